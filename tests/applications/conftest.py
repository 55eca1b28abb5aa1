"""Keras' applications beside nnx's: the same weights, and networks that are drawn but have none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from keras_on_torch import keras, of_keras, usual_type

import nnx
from nnx.applications import application
from nnx.models.graph import Nowhere, drawn

__all__ = ["keras", "of_keras"]


@pytest.fixture
def network_of(monkeypatch):
    """A function that gives an application's network without making its weights, and the model's name."""

    def network(name, *args, **options):
        found = {}

        def record(inputs, outputs, **others):
            found.update(inputs=inputs, outputs=outputs, **others)

        with monkeypatch.context() as patch:
            patch.setattr(application, "Model", record)
            getattr(nnx.applications, name)(*args, weights=None, **options)
        return drawn([found["inputs"]], [found["outputs"]], Nowhere(), "Model"), found["name"]

    return network


@pytest.fixture
def of_both(keras):
    """A function that gives an application of nnx's and the same of Keras' with equal random weights.

    Scales, biases and running statistics are random too: as they are made they would hide a confusion.
    Kernels are so large that signals stay alive: in prediction nothing is normalized.
    """

    def both(name, dtype, **options):
        own = getattr(nnx.applications, name)(weights=None, seed=1, dtype=dtype, **options)
        random, arrays = np.random.default_rng(2), []
        ranges = {"gamma": (0.8, 1.2), "moving_variance": (0.5, 1.5)}
        for layer in own.layers:
            for weight, old in zip(layer.weight_names, layer.get_weights(), strict=True):
                limit = 0.2
                if old.ndim > 1:
                    each = "depthwise" in f"{type(layer).__name__} {weight}".lower()
                    limit = (6.0 / math.prod(old.shape[: 2 if each else -1])) ** 0.5
                low, high = ranges.get(weight, (-limit, limit))
                arrays.append(random.uniform(low, high, old.shape).astype(dtype))
        own.set_weights(arrays)
        keras.backend.clear_session()
        with usual_type(keras, dtype):
            theirs = getattr(keras.applications, name)(weights=None, **options)
        theirs.set_weights(arrays)
        return own, theirs

    return both
