#!/usr/bin/env bash
# Keras' RandomCrop crops nothing in prediction: pictures of 6×7 leave it as 6×7, while its own output shape says
# 4×3 and its documentation promises a crop from the middle. In training one place is drawn for the whole batch.
#
# Why care: the next layer of a model is built for 4×3, so a model that trains well fails, or reads other pixels,
# when it predicts; and all pictures of a batch are cut at the same place.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet keras==3.15.1 numpy==2.4.6 jax==0.10.2 jaxlib==0.10.2

KERAS_BACKEND=jax "$folder/bin/python" - <<'PYTHON'
import keras
import numpy as np

print("Keras", keras.__version__, "on JAX")
pictures = np.random.default_rng(0).random((2, 6, 7, 1)).astype("float32")
layer = keras.layers.RandomCrop(4, 3)
said, seen = tuple(layer.compute_output_shape(pictures.shape)), tuple(layer(pictures, training=False).shape)
print(f"RandomCrop(4, 3) in prediction; expected: {said}, as compute_output_shape says")
print(f"  the output has the shape {seen}")

numbered = np.tile(np.arange(36.0, dtype="float32").reshape(1, 6, 6, 1), (64, 1, 1, 1))
cropped = np.asarray(keras.layers.RandomCrop(2, 2, seed=0)(numbered, training=True))
places = len(np.unique(cropped[:, 0, 0, 0]))
print("64 equal pictures in training, 25 places to choose from; expected: about 23 different places")
print(f"  {places}")
raise SystemExit(0 if said == (2, 4, 3, 1) and seen == (2, 6, 7, 1) and places == 1 else "no longer so")
PYTHON
