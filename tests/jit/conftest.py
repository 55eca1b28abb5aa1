"""Tests of recorded programs run twice: as these are for small arrays, and as they are for large ones."""

from __future__ import annotations

import pytest

from nnx.backend import joined
from nnx.backend.numpy_adapter import NumpyAdapter
from nnx.jitting import reusing


@pytest.fixture(scope="module", params=["small", "large"], autouse=True)
def sizes(request):
    """For "large" every array counts as large: chains are joined, in tiny blocks, and places used again."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "large":
            patch.setattr(NumpyAdapter, "worth_joining", 8)
            patch.setattr(joined, "_BLOCK", 32)
            patch.setattr(joined, "_WORTH_A_CORE", 1)
            patch.setattr(reusing, "_WORTH_A_PLACE", 1)
        yield request.param
