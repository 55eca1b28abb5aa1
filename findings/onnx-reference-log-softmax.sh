#!/usr/bin/env bash
# LogSoftmax and SoftmaxCrossEntropyLoss in ONNX's reference implementation take the logarithm of the softmax,
# so they are infinite as soon as a float32 score lies about 104 below the largest. ONNX Runtime gives the
# difference of the scores.
#
# Why care: scores of such a spread are normal in a trained classifier. An exported model that is right
# differs from the reference by infinity, and only for the confident samples.
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
    '<ir_version: 10, opset_import: ["" : 22]> f (float[1,2] x, int64[1] t) => (float[1,2] y, float z) '
    "{ y = LogSoftmax(x) z = SoftmaxCrossEntropyLoss(x, t) }"
)
onnx.checker.check_model(model, full_check=True)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
print("onnx", onnx.__version__, "and onnxruntime", onnxruntime.__version__)
still = True
for gap in (50.0, 110.0):
    inputs = {"x": np.array([[0.0, gap]], "float32"), "t": np.array([0])}
    print(f"scores [0, {gap}], label 0; expected: LogSoftmax [-{gap}, 0], loss {gap}")
    for name, run in [("reference", ReferenceEvaluator(model).run), ("ONNX Runtime", session.run)]:
        logarithms, loss = run(None, inputs)
        print(f"  {name}: {logarithms[0]}, {float(loss)}")
        value = np.inf if name == "reference" and gap > 104 else gap
        still &= np.allclose(logarithms, [[-value, 0]]) and np.allclose(loss, value)
raise SystemExit(0 if still else "no longer so")
PYTHON
