#!/usr/bin/env bash
# Keras' ConcordanceCorrelation of perfect predictions is 0, and PearsonCorrelation NaN, for a model with one
# output: both correlate along the last axis, which then has one entry, and the documentation's example hands
# them to `compile` like so. With axis=0 they take the mean of the batches' correlations, which is not the
# correlation: see the shifted second batch.
#
# Why care: regression with one output is the common case, and 0 reads as a model that has learnt nothing.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet keras==3.15.1 numpy==2.4.6 scipy==1.17.1 jax==0.10.2 jaxlib==0.10.2

KERAS_BACKEND=jax "$folder/bin/python" - <<'PYTHON'
import keras
import numpy as np
from keras.metrics import ConcordanceCorrelation, PearsonCorrelation


def result(metric, *batches):
    for targets, outputs in batches:
        metric.update_state(targets, outputs)
    return float(metric.result())


print("Keras", keras.__version__, "on JAX")
targets = np.array([[1.0], [2.0], [3.0], [4.0]], "float32")
concordance = result(ConcordanceCorrelation(), (targets, targets))
pearson = result(PearsonCorrelation(), (targets, targets))
print("perfect predictions of shape (4, 1); expected: 1 and 1")
print(f"  ConcordanceCorrelation {concordance}, PearsonCorrelation {pearson}")

outputs = np.array([[1.0], [2.0], [-7.0], [-6.0]], "float32")
expected = np.corrcoef(targets[:, 0], outputs[:, 0])[0, 1]
whole = result(PearsonCorrelation(axis=0), (targets, outputs))
halves = result(PearsonCorrelation(axis=0), (targets[:2], outputs[:2]), (targets[2:], outputs[2:]))
print(f"axis=0, four samples; expected: {expected:.3f}, in whatever batches")
print(f"  in one batch {whole:.3f}, in two batches {halves:.3f}")
still = concordance == 0 and np.isnan(pearson)
still &= np.isclose(whole, expected, atol=1e-5) and np.isclose(halves, 1, atol=1e-5)
raise SystemExit(0 if still else "no longer so")
PYTHON
