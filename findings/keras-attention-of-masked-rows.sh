#!/usr/bin/env bash
# What Keras' MultiHeadAttention gives for a step that may see nothing depends on whether the scores are asked for
# as well: without return_attention_scores it is the mean of all values, masked ones included; with it, the
# projection of 0.
#
# Why care: asking for the scores to look at them changes the outputs, and the mean of what was masked leaks what a
# mask was to hide.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet keras==3.15.1 numpy==2.4.6 jax==0.10.2 jaxlib==0.10.2

KERAS_BACKEND=jax "$folder/bin/python" - <<'PYTHON'
import keras
import numpy as np

print("Keras", keras.__version__, "on JAX")
keras.utils.set_random_seed(0)
x = np.random.default_rng(0).normal(size=(1, 3, 4)).astype("float32")
layer = keras.layers.MultiHeadAttention(num_heads=1, key_dim=2)
layer(x, x)
nothing = np.zeros((1, 3, 3), bool)
alone = np.asarray(layer(x, x, attention_mask=nothing))
beside = np.asarray(layer(x, x, attention_mask=nothing, return_attention_scores=True)[0])
mean = np.asarray(layer(np.zeros_like(x), x))  # a query of 0 weighs all values alike
print("outputs of steps that see nothing, alone and beside the scores; expected: the same")
print(f"  largest difference {np.abs(alone - beside).max():.3f}")
print(f"  alone, to the mean of all values: {np.abs(alone - mean).max():.1e}; beside: largest {np.abs(beside).max():.1e}")
still = np.allclose(alone, mean, atol=1e-5) and np.all(beside == 0.0) and np.abs(alone).max() > 0.01
raise SystemExit(0 if still else "no longer so")
PYTHON
