"""Tests of recorded programs that run twice: with arrays as they are, and as if these were large."""

from __future__ import annotations

import pytest

from nnx.backend import joined
from nnx.backend.numpy_adapter import NumpyAdapter
from nnx.jitting import reusing


@pytest.fixture(scope="module", params=["small", "large"])
def sizes(request):
    """For "large" every array counts as large: chains are joined, in tiny blocks, and places used again."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "large":
            patch.setattr(NumpyAdapter, "worth_joining", 8)
            patch.setattr(joined, "_BLOCK", 32)
            patch.setattr(joined, "_WORTH_A_CORE", 1)
            patch.setattr(reusing, "_WORTH_A_PLACE", 1)
        yield request.param
