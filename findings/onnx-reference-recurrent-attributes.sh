#!/usr/bin/env bash
# The reference implementation of ONNX (onnx.reference) computes LSTM, GRU and RNN as if `sequence_lens` and
# `clip` were not there, LSTM and GRU as if `activations` were not, and LSTM as if `input_forget` were not:
# the output is that of the node without them, bit for bit, and nothing is said. ONNX Runtime obeys the
# attributes (it is not given `sequence_lens` here).
#
# Why care: an exporter is tested against the reference. A Keras layer with
# recurrent_activation="hard_sigmoid" is exported rightly and looks wrong; one whose exporter forgets the
# attribute looks right.
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

random = np.random.default_rng(0)
steps, batch, features, units = 4, 2, 3, 2
x = random.standard_normal((steps, batch, features)).astype("float32")
gates = {"LSTM": 4, "GRU": 3, "RNN": 1}


def output(cell, attributes="", lengths=None, run=ReferenceEvaluator):
    n, weights = gates[cell] * units, np.random.default_rng(1)
    inputs = {
        "x": x,
        "w": weights.standard_normal((1, n, features)).astype("float32"),
        "r": weights.standard_normal((1, n, units)).astype("float32"),
        "b": weights.standard_normal((1, 2 * n)).astype("float32"),
    }
    declared = ", ".join(f"float[{','.join(map(str, a.shape))}] {name}" for name, a in inputs.items())
    if lengths is not None:
        declared += f", int32[{batch}] n"
        inputs["n"] = np.array(lengths, "int32")
    model = onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["" : 22]> f ({declared}) => (float[{steps},1,{batch},{units}] y) '
        f"{{ y = {cell}<hidden_size = {units}{attributes}>(x, w, r, b{', n' if lengths else ''}) }}"
    )
    onnx.checker.check_model(model, full_check=True)
    if run is ReferenceEvaluator:
        return run(model).run(None, inputs)[0]
    return run(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, inputs)[0]


print("onnx", onnx.__version__, "and onnxruntime", onnxruntime.__version__)
print("expected: another output with the attribute than without it")
still = True
for cell, attributes in [
    ("LSTM", ', activations = ["HardSigmoid", "Tanh", "Tanh"]'),
    ("GRU", ', activations = ["HardSigmoid", "Tanh"]'),
    ("LSTM", ", input_forget = 1"),
    ("LSTM", ", clip = 0.5"),
    ("GRU", ", clip = 0.5"),
    ("RNN", ", clip = 0.5"),
]:
    reference = np.array_equal(output(cell, attributes), output(cell))
    runtime, plain = (output(cell, a, run=onnxruntime.InferenceSession) for a in (attributes, ""))
    print(f"{cell}{attributes}: reference {'the same' if reference else 'another'},", end=" ")
    print(f"ONNX Runtime another by {np.abs(runtime - plain).max():.2f}")
    still &= reference and not np.allclose(runtime, plain, atol=1e-3)
for cell in gates:
    cut = output(cell, lengths=[4, 2])
    print(f"{cell}, sequence_lens [4, 2]; expected: 0 in the second row from step 3 on; seen {cut[3, 0, 1]}")
    still &= np.array_equal(cut, output(cell)) and bool(np.all(cut[2:, 0, 1] != 0))
raise SystemExit(0 if still else "no longer so")
PYTHON
