"""Keras on PyTorch where both are installed, to compare with."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


def keras_in_process():
    """Keras on PyTorch, which keeps float64 where it is asked for; skips the test where they are missing."""
    pytest.importorskip("torch")
    os.environ.setdefault("KERAS_BACKEND", "torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keras = pytest.importorskip("keras", minversion="3.10", exc_type=ImportError)
        from keras.src.backend.common import dtypes
    if keras.backend.backend() != "torch":
        pytest.skip("Keras was loaded with another backend than torch.")
    dtypes.BIT64_TO_BIT32_DTYPE.pop("float64", None)
    return keras


@contextmanager
def usual_type(keras: Any, name: str) -> Iterator[None]:
    """A context in which Keras' arrays and layers are of that type where none is given.

    Both, for whoever asks first for the policy makes one of the type of that moment, and it stays.
    """
    policy, before = keras.config.dtype_policy(), keras.config.floatx()
    keras.config.set_floatx(name)
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_floatx(before)
        keras.config.set_dtype_policy(policy)


@pytest.fixture(scope="session")
def keras():
    """Keras on PyTorch, with its usual type float32."""
    return keras_in_process()


@pytest.fixture(scope="session")
def of_keras(keras):
    """A function that applies a layer or model of Keras' to NumPy arrays."""
    import torch

    def apply(layer, *xs, **options):
        tensors = [torch.tensor(x) for x in xs]
        y = layer(tensors if len(tensors) > 1 else tensors[0], **options)
        return y.detach().cpu().numpy()

    return apply
