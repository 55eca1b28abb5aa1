#!/usr/bin/env bash
# pymanopt's ComplexCircle.exp drops the imaginary part: it collects the result in a real array. What comes
# back is not on the circle, and `exp` of a zero tangent vector is not the point itself. `retraction` beside
# it is right.
#
# Why care: phases (beamforming, phase retrieval, unitary networks) live on this manifold. pymanopt's own
# optimizers step by `retraction`; whoever follows a geodesic, or writes an optimizer by `exp`, leaves the
# manifold, and NumPy's ComplexWarning is the only hint.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet pymanopt==2.2.1 numpy==2.4.6 scipy==1.17.1

"$folder/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

import numpy as np
from pymanopt.manifolds import ComplexCircle

circle = ComplexCircle(2)
point = np.exp(1j * np.array([0.5, 2.0]))
tangent = 1j * point * np.array([0.3, 0.0])  # turns the first entry by 0.3 and leaves the second
expected = np.exp(1j * np.array([0.8, 2.0]))

seen = circle.exp(point, tangent)
print("pymanopt", version("pymanopt"))
print("expected:  ", expected, "of modulus", np.abs(expected))
print("exp:       ", seen, "of modulus", np.abs(seen))
retracted = circle.retraction(point, tangent)
print("retraction:", retracted, "of modulus", np.abs(retracted))
still = np.allclose(seen, expected.real) and not np.allclose(np.abs(seen), 1)
still &= np.allclose(np.abs(retracted), 1)
raise SystemExit(0 if still else "no longer so")
PYTHON
