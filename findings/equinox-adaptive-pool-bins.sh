#!/usr/bin/env bash
# Equinox's AdaptiveAvgPool and AdaptiveMaxPool cut the input into bins that do not overlap, the first ones
# longer, where PyTorch's and Keras' layers of the same name use windows from floor(i·n/m) to ceil((i+1)·n/m).
# They agree only if m divides n; to more outputs than inputs, which PyTorch allows, Equinox raises
# ZeroDivisionError.
#
# Why care: adaptive pooling is what joins a VGG's or ResNet's convolutions to its dense layers. Weights
# carried over from PyTorch give other predictions at every input size but the one they were tested at.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet equinox==0.13.8 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6

"$folder/bin/python" - <<'PYTHON'
from importlib.metadata import version

import equinox
import jax.numpy as jnp
import numpy as np

print("Equinox", version("equinox"), "with jax", version("jax"))
still = True
for n, m in [(6, 3), (5, 3), (10, 7)]:
    x = np.arange(n, dtype="float32")
    windows = [x[i * n // m : -(-(i + 1) * n // m)].mean() for i in range(m)]
    seen = np.ravel(equinox.nn.AdaptiveAvgPool1d(m)(jnp.asarray(x)[None]))
    print(f"0 … {n - 1} to {m}: expected {np.array(windows)}, seen {seen}")
    bins = [part.mean() for part in np.array_split(x, m)]
    still &= np.allclose(seen, bins) and np.allclose(bins, windows) == (n % m == 0)
raise SystemExit(0 if still else "no longer so")
PYTHON
