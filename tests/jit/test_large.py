"""Programs on large arrays, whose chains are joined, with their sums, and compiled."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx.backend import entry_loops, loops
from nnx.jitting import Replayed

RANDOM = np.random.default_rng(0)


def curve(x):
    return np.where(x > 1.0, np.tanh(x), x * (1.0 - x * x / 3.0)) * np.exp(-0.1 * x)


def test_a_gradient_with_its_value_is_one_loop(monkeypatch):
    if loops.compiled("entries") is None:
        pytest.skip("Numba is not there, or left out")
    monkeypatch.setattr(entry_loops, "WORTH_COMPILING", 0.0)
    x = RANDOM.uniform(0.5, 30.0, 1 << 17)
    both = nnx.value_and_grad(lambda x: np.mean(curve(x)))
    jitted = nnx.jit(both)
    value, slope = both(x)
    jitted(x)
    again, slopes = jitted(x)
    (call,) = [step.function for step in jitted.program(x).steps if step.function.__name__ == "joined"]
    assert "mean(axis=None) of" in str(jitted.program(x))
    assert call._function._kernel._kernel.__module__ == entry_loops.__name__
    # the sum's error grows with log n; the slope is a sum of a few parts of its size
    np.testing.assert_allclose(again, value, rtol=1e-14)
    np.testing.assert_allclose(slopes, slope, rtol=1e-13, atol=1e-14 * np.max(np.abs(slope)))
    np.testing.assert_array_equal(jitted(x)[1], slopes)


def test_programs_that_are_compared_bit_for_bit_keep_numpys_functions(monkeypatch):
    monkeypatch.setattr(entry_loops, "WORTH_COMPILING", 0.0)
    x = RANDOM.uniform(0.5, 3.0, 1 << 17)

    def both(x):
        return nnx.value_and_grad(lambda x: np.sum(curve(x)))(x)

    function = Replayed(both)
    for _ in range(45):
        value, slope = function(x)
    assert not function.reason and "joined" in str(function.programs[0])
    wanted = both(x)
    np.testing.assert_array_equal(value, wanted[0])
    np.testing.assert_array_equal(slope, wanted[1])
