#!/usr/bin/env bash
# skl2onnx exports scikit-learn's Normalizer(norm="max"), which divides by the largest absolute value, as
# ONNX's Normalizer with norm MAX, which divides by the largest value. Rows whose largest entry by size is
# negative come out wrong, rows of negative entries with their signs turned round. The norms l1 and l2 agree.
#
# Why care: both documentations are right about their own "max", the conversion gives no warning, and data ≥ 0
# hide it.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet skl2onnx==1.20.0 scikit-learn==1.9.1 numpy==2.4.6 \
    onnx==1.23.2 onnxruntime==1.32.0

"$folder/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from sklearn.preprocessing import Normalizer

x = np.array([[3, 2], [1, -4], [-1, -2]], "float32")
print(", ".join(f"{name} {version(name)}" for name in ("skl2onnx", "scikit-learn", "onnx", "onnxruntime")))
still = True
for norm in ("l1", "l2", "max"):
    fitted = Normalizer(norm).fit(x)
    session = onnxruntime.InferenceSession(
        to_onnx(fitted, x).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    expected, seen = fitted.transform(x), session.run(None, {"X": x})[0]
    print(f"{norm}: scikit-learn {expected.tolist()}")
    print(f"{' ' * len(norm)}  exported     {seen.tolist()}")
    still &= np.allclose(seen, x / x.max(axis=1, keepdims=True) if norm == "max" else expected, atol=1e-6)
raise SystemExit(0 if still else "no longer so")
PYTHON
