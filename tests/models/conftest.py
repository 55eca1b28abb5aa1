"""Keras, where it is installed: what bears its names computes its numbers."""

from keras_on_torch import keras, of_keras

__all__ = ["keras", "of_keras"]
