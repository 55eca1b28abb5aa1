"""Other libraries to compare with, where they are installed."""

from __future__ import annotations

import os
import warnings

import pytest


@pytest.fixture(scope="session")
def keras():
    """Keras 3 on PyTorch, in this process, with float64 kept as it is."""
    pytest.importorskip("torch")
    os.environ.setdefault("KERAS_BACKEND", "torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keras = pytest.importorskip("keras", minversion="3.0", exc_type=ImportError)
        from keras.src.backend.common import dtypes
    if keras.backend.backend() != "torch":
        pytest.skip("Keras was loaded with another backend than torch.")
    dtypes.BIT64_TO_BIT32_DTYPE.pop("float64", None)
    before = keras.backend.floatx()
    keras.backend.set_floatx("float64")
    yield keras
    keras.backend.set_floatx(before)
