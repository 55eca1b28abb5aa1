#!/usr/bin/env bash
# MaxPool with auto_pad = SAME_UPPER and dilations in ONNX Runtime pads as if there were no dilation: the
# output is shorter than ceil(input / stride), which the standard promises and shape inference writes into the
# model.
#
# Why care: the session is made and runs (a Conv with the same two attributes is at least refused when it
# runs), and every layer behind it gets fewer columns than the model says. Write `pads` out (each must be less
# than the kernel).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6

"$folder/bin/python" - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime

onnxruntime.set_default_logger_severity(3)  # it does log that the shape is not the declared one
x = np.array([[[1, 5, 2, 4, 3, 0]]], "float32")


def model(dilation, padding):
    parsed = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 22]> f (float[1,1,6] x) => (float[1,1,n] y) '
        f"{{ y = MaxPool<kernel_shape = [3], dilations = [{dilation}], {padding}>(x) }}"
    )
    onnx.checker.check_model(parsed, full_check=True)
    return parsed


def pooled(*description):
    text = model(*description).SerializeToString()
    session = onnxruntime.InferenceSession(text, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0][0, 0]


print("onnx", onnx.__version__, "and onnxruntime", onnxruntime.__version__)
still = True
for dilation, pads in [(1, [1, 1]), (2, [2, 2])]:
    inferred = onnx.shape_inference.infer_shapes(model(dilation, 'auto_pad = "SAME_UPPER"')).graph.output[0]
    length = inferred.type.tensor_type.shape.dim[2].dim_value or "unknown"
    expected, seen = pooled(dilation, f"pads = {pads}"), pooled(dilation, 'auto_pad = "SAME_UPPER"')
    print(f"{x[0, 0]} with dilation {dilation}; length by shape inference: {length}")
    print(f"  expected, as with pads = {pads}: {expected}\n  seen: {seen}")
    still &= expected.size == 6 and seen.size == {1: 6, 2: 4}[dilation] and length in (6, "unknown")
raise SystemExit(0 if still else "no longer so")
PYTHON
