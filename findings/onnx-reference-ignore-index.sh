#!/usr/bin/env bash
# NegativeLogLikelihoodLoss with ignore_index = -1 and no weights, in ONNX's reference implementation, divides
# by the ignored labels too: -1 stands there for "no ignore_index". Every other value, weights of 1, and
# SoftmaxCrossEntropyLoss with -1 divide by the labels that count, as ONNX Runtime does.
#
# Why care: -1 is what most data pipelines pad labels with. The loss is too small by the share of padding, so
# a comparison of an exported training graph with the reference fails for a reason that is not in the graph.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6

"$folder/bin/python" - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator

scores = np.log(np.array([[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]], "float32"))  # log-probabilities already
ones = np.ones(3, "float32")


def losses(operator, ignored, weighted=False):
    model = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 22]> f (float[2,3] x, int64[2] t, float[3] w) => (float y) '
        f"{{ y = {operator}<ignore_index = {ignored}>(x, t{', w' if weighted else ''}) }}"
    )
    onnx.checker.check_model(model, full_check=True)
    inputs = {"x": scores, "t": np.array([0, ignored]), "w": ones}
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return float(ReferenceEvaluator(model).run(None, inputs)[0]), float(session.run(None, inputs)[0])


print("onnx", onnx.__version__, "and onnxruntime", onnxruntime.__version__)
expected = float(-scores[0, 0])
print(f"two labels, the second ignored; expected: the first one's loss, {expected:.4f}")
still = True
for operator, ignored, weighted in [
    ("NegativeLogLikelihoodLoss", -1, False),
    ("NegativeLogLikelihoodLoss", -1, True),
    ("NegativeLogLikelihoodLoss", -100, False),
    ("NegativeLogLikelihoodLoss", 2, False),
    ("SoftmaxCrossEntropyLoss", -1, False),
]:
    reference, runtime = losses(operator, ignored, weighted)
    print(f"{operator} {ignored}{', weights 1' * weighted}:", end=" ")
    print(f"reference {reference:.4f}, ONNX Runtime {runtime:.4f}")
    halved = (operator, ignored, weighted) == ("NegativeLogLikelihoodLoss", -1, False)
    still &= np.isclose(reference, expected / 2 if halved else expected) and np.isclose(runtime, expected)
raise SystemExit(0 if still else "no longer so")
PYTHON
