"""Keras, where it is installed, with float64 as its usual type."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from keras_on_torch import keras_in_process, usual_type


@pytest.fixture
def keras() -> Iterator[Any]:
    """Keras 3 on PyTorch, in this process, computing in float64."""
    keras = keras_in_process()
    with usual_type(keras, "float64"):
        yield keras
