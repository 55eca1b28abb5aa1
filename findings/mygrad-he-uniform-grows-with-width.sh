#!/usr/bin/env bash
# mygrad's he_uniform draws from ±gain·√(fan_in/3), where its documentation has ±√(6/((1+a²)·fan_in)): the
# wider the layer, the larger the weights. he_normal beside it is right up to its gain.
#
# Why care: the two are offered for the same purpose. With 512 inputs the standard deviation is 10.7 in place
# of 0.06, so a deep network overflows or saturates at its first step, and the initializer is the last place
# that one looks at.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet mygrad==2.5.0 numpy==2.4.6

"$folder/bin/python" - <<'PYTHON'
from importlib.metadata import version

import numpy as np
from mygrad.nnet.initializers import he_normal, he_uniform

np.random.seed(0)
print("mygrad", version("mygrad"))
still = True
for fan_in in (8, 64, 512):
    shape, gain = (1000, fan_in), np.sqrt(2)
    uniform, normal = (float(draw(*shape, gain=gain).data.std()) for draw in (he_uniform, he_normal))
    expected = np.sqrt(2 / fan_in)
    print(f"shape {shape}: expected standard deviation {expected:.4f}", end="")
    print(f"; he_normal {normal:.4f}, he_uniform {uniform:.4f}")
    still &= abs(normal / expected - 1) < 0.05  # 8000 draws and more: 2.5 % is three standard errors
    still &= abs(uniform / (gain * np.sqrt(fan_in) / 3) - 1) < 0.05
raise SystemExit(0 if still else "no longer so")
PYTHON
