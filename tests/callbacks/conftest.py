"""Keras, to compare decisions with."""

from keras_on_torch import keras

__all__ = ["keras"]
