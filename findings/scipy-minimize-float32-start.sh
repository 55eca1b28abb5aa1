#!/usr/bin/env bash
# scipy.optimize.minimize from a float32 x0 answers x0 with success=True: the default finite difference of
# 1.5e-8 is lost in float32, so the gradient is 0 and the start counts as the minimum. Newton-CG does so even
# with the exact gradient. The same call with jac="2-point", SciPy's name for finite differences, moves; TNC
# and SLSQP refuse float32.
#
# Why care: the weights of networks are float32. Whoever hands them to minimize gets the initial weights back,
# and no sign but a gradient of exact zeros. (Convert: x0.astype(float).)
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet scipy==1.17.1 numpy==2.4.6

"$folder/bin/python" - <<'PYTHON'
import numpy as np
import scipy
from scipy.optimize import minimize


def cost(x):
    return np.sum((x - 3) ** 2)


def gradient(x):
    return 2 * (x - 3)


print("SciPy", scipy.__version__, "with NumPy", np.__version__)
print("minimize sum((x - 3)**2) from [1, 1]; expected: about [3, 3], or success=False, or an error")
still = True
for name, jac in [("BFGS", None), ("CG", None), ("Newton-CG", gradient), ("BFGS", "2-point")]:
    in_double, in_single = (minimize(cost, np.ones(2, dtype), method=name, jac=jac) for dtype in ("f8", "f4"))
    how = getattr(jac, "__name__", jac)
    print(f"{name}, jac={how}: from float64 {in_double.x}", end=", ")
    print(f"from float32 {in_single.x} success={in_single.success}")
    still &= np.allclose(in_double.x, 3, atol=1e-4)
    stays = in_single.success and np.array_equal(in_single.x, [1, 1])
    still &= stays if jac != "2-point" else not stays
for name in ("TNC", "SLSQP"):
    try:
        minimize(cost, np.ones(2, "f4"), method=name)
    except Exception as error:
        print(f"{name}: {type(error).__name__}: {error}")
    else:
        still = False
raise SystemExit(0 if still else "no longer so")
PYTHON
