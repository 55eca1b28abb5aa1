"""max(x, 0) and its cut-off, shared by the cores where arrays are large: the bits of one core."""

from __future__ import annotations

import numpy as np
import pytest

from nnx.backend import adapter_of, numpy_ending
from nnx.backend.reference import Adapter

NUMPY = adapter_of(np.ones(1))


@pytest.mark.parametrize("most", [None, 6.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(7, 30), (2, 5, 3, 4), (40,), (1, 50), (0, 3), (6, 0)])
def test_shared_rectifiers_have_the_bits_of_the_reference(shape, dtype, most, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setattr(numpy_ending, "_WORTH_SHARING", 4)
    x = (20.0 * np.random.default_rng(0).normal(size=shape)).astype(dtype)
    x.reshape(-1)[::5] = np.nan
    x.reshape(-1)[1::5] = -0.0
    for given in (x, x.T, x[..., ::2]):
        found = NUMPY.rectified(given, most)
        wanted = Adapter.rectified(NUMPY, given, most)
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)
        assert found is not given and not np.shares_memory(found, given)
