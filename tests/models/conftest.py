"""Keras, where it is installed: what bears its names computes its numbers. And a Ctrl-C that interrupts."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from keras_on_torch import keras, of_keras

__all__ = ["ctrl_c_interrupts", "keras", "of_keras"]


@pytest.fixture
def ctrl_c_interrupts() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt, also in a background job of a shell, which starts with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
