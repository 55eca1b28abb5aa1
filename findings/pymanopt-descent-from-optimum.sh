#!/usr/bin/env bash
# pymanopt's SteepestDescent that starts at a point of zero gradient returns a point of NaN, with the stopping
# criterion "min grad norm reached": the line search divides by the gradient's norm before the criterion is
# asked.
#
# Why care: a warm start from the last solution is the normal case of a parameter sweep. It loses the
# solution, and reads as a success. TrustRegions returns the point.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet pymanopt==2.2.1 numpy==2.4.6 scipy==1.17.1 autograd==1.9.1

"$folder/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

import numpy as np
import pymanopt
from pymanopt.manifolds import Sphere
from pymanopt.optimizers import SteepestDescent, TrustRegions

sphere, matrix = Sphere(3), np.diag([5.0, 3.0, 1.0])


@pymanopt.function.autograd(sphere)
def cost(x):
    return -x @ matrix @ x


problem, optimum = pymanopt.Problem(sphere, cost), np.array([1.0, 0.0, 0.0])
print("pymanopt", version("pymanopt"))
print("start at the optimum; expected:", optimum)
points = {}
for optimizer in (SteepestDescent, TrustRegions):
    result = optimizer(verbosity=0).run(problem, initial_point=optimum)
    points[optimizer] = result.point
    criterion = result.stopping_criterion.split(" after ")[0]
    print(f"{optimizer.__name__}: {result.point}, cost {result.cost}, {criterion!r}")
still = np.isnan(points[SteepestDescent]).all() and np.allclose(points[TrustRegions], optimum)
raise SystemExit(0 if still else "no longer so")
PYTHON
