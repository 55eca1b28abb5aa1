#!/usr/bin/env bash
# LpNormalization with p = 1, in ONNX's reference implementation, divides by the sum of the entries, not of
# their absolute values: signs turn round where the sum is negative, and a row that sums to 0 becomes all
# zeros.
#
# Why care: with entries ≥ 0 (probabilities, histograms) it is right, so a test with such data says nothing.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6

"$folder/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator

model = onnx.parser.parse_model(
    '<ir_version: 10, opset_import: ["" : 22]> f (float[3,2] x) => (float[3,2] y) '
    "{ y = LpNormalization<p = 1>(x) }"
)
onnx.checker.check_model(model, full_check=True)
x = np.array([[1, 3], [1, -3], [2, -2]], "float32")
expected = x / np.abs(x).sum(axis=1, keepdims=True)
reference = ReferenceEvaluator(model).run(None, {"x": x})[0]
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
runtime = session.run(None, {"x": x})[0]
print("onnx", onnx.__version__, "and onnxruntime", onnxruntime.__version__)
for row in range(3):
    print(f"{x[row]}: expected {expected[row]}, ONNX Runtime {runtime[row]}, reference {reference[row]}")
still = np.allclose(runtime, expected) and np.allclose(reference, [[0.25, 0.75], [-0.5, 1.5], [0, 0]])
raise SystemExit(0 if still else "no longer so")
PYTHON
