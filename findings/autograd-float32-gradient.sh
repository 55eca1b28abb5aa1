#!/usr/bin/env bash
# HIPS autograd gives the gradient of some float32 functions in float64: through mean, var, max and where(…,
# x, 0.), but not through sum, dot or norm. The value itself stays float32 everywhere.
#
# Why care: one such gradient in `weights - rate * gradient` turns the weights, and from then on every
# activation, into float64: twice the memory, without a message. Cast the gradient back.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet autograd==1.9.1 numpy==2.4.6

"$folder/bin/python" - <<'PYTHON'
from importlib.metadata import version

import autograd.numpy as np
from autograd import grad

functions = {
    "sum": lambda x: np.sum(x * x),
    "dot": lambda x: np.dot(x, x),
    "norm": lambda x: np.linalg.norm(x),
    "mean": lambda x: np.mean(x * x),
    "var": lambda x: np.var(x),
    "max": lambda x: np.max(x),
    "where": lambda x: np.sum(np.where(x > 0, x, 0.0)),
}
x = np.array([1.0, 2.0, 4.0], dtype="float32")
print("autograd", version("autograd"), "with NumPy", version("numpy"))
print("of float32 arguments; expected: value and gradient float32")
seen = {}
for name, function in functions.items():
    value, seen[name] = function(x), grad(function)(x).dtype.name
    print(f"  {name}: value {value.dtype}, gradient {seen[name]}")
single, double = ["sum", "dot", "norm"], ["mean", "var", "max", "where"]
still = all(seen[name] == "float32" for name in single) and all(seen[name] == "float64" for name in double)
raise SystemExit(0 if still else "no longer so")
PYTHON
