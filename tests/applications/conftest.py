"""Keras' applications beside nnx's: the same weights, and networks that are drawn but have none."""

from __future__ import annotations

import numpy as np
import pytest
from keras_on_torch import keras, of_keras

import nnx
from nnx.applications import application
from nnx.models.graph import drawn

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
        return drawn([found["inputs"]], [found["outputs"]], lambda layer: layer, "Model"), found["name"]

    return network


@pytest.fixture
def of_both(keras):
    """A function that gives an application of nnx's and the same of Keras' with equal random weights.

    Scales, biases and running statistics are random too: as they are made they would hide a confusion.
    """

    def both(name, dtype, **options):
        own = getattr(nnx.applications, name)(weights=None, seed=1, dtype=dtype, **options)
        random, arrays = np.random.default_rng(2), []
        for layer in own.layers:
            for weight, array in zip(layer.weight_names, layer.get_weights(), strict=True):
                usual = {"gamma": (0.8, 1.2), "moving_variance": (0.5, 1.5)}
                if array.ndim == 1:
                    array = random.uniform(*usual.get(weight, (-0.2, 0.2)), array.shape).astype(dtype)
                arrays.append(array)
        own.set_weights(arrays)
        keras.backend.clear_session()
        policy = keras.config.dtype_policy()
        keras.config.set_dtype_policy(dtype)
        try:
            theirs = getattr(keras.applications, name)(weights=None, **options)
        finally:
            keras.config.set_dtype_policy(policy)
        theirs.set_weights(arrays)
        return own, theirs

    return both
