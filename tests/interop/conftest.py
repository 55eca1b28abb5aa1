"""Keras, where it is installed: it writes what nnx reads, and reads what nnx writes."""

import pytest
from keras_on_torch import keras

__all__ = ["keras"]

pytest.importorskip("h5py")
