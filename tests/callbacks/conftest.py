"""Keras, to compare decisions with."""

from __future__ import annotations

import os
import warnings

import pytest


@pytest.fixture(scope="session")
def keras():
    """Keras 3 in this process, on PyTorch."""
    pytest.importorskip("torch")
    os.environ.setdefault("KERAS_BACKEND", "torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("keras", minversion="3.10", exc_type=ImportError)
