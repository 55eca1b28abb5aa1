"""Recurrent cells over sequences: each library's own way does what the one in standard calls does."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest

from nnx.backend import Adapter, numpy_recurrent, numpy_steps, to_numpy
from nnx.backend.recurrent import CELLS, by_input, by_weights

SIZES = [(3, 5, 4, 6), (1, 1, 1, 1), (2, 1, 3, 2), (4, 2, 1, 3)]


@pytest.fixture(params=["calls", "loops"])
def elementwise(request, monkeypatch):
    """NumPy's gates by its own functions, and in loops compiled by Numba."""
    if request.param == "loops":
        pytest.importorskip("numba")
    monkeypatch.setattr(numpy_steps, "_WORTH_COMPILING", 0 if request.param == "loops" else 1 << 60)


def arguments(backend, name, n, steps, features, units, masked):
    random, gates = np.random.default_rng(0), {"simple_rnn": 1, "lstm": 4, "gru": 3}[name]

    def draw(*shape):
        return backend.asarray(random.normal(size=shape) * 0.7, dtype="float64")

    bias = (2, gates * units) if name == "gru" else (gates * units,)
    states = tuple(draw(n, units) for _ in range(CELLS[name].states))
    weights = draw(features, gates * units), draw(units, gates * units), draw(*bias)
    mask = backend.asarray(random.random((n, steps)) > 0.4) if masked else None
    return draw(n, steps, features), states, weights, mask, draw


def assert_same(found, expected):
    for a, b in zip(found, expected, strict=True):
        # sums of some hundred terms of size 1 in float64, in another order
        np.testing.assert_allclose(to_numpy(a), to_numpy(b), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", CELLS)
def test_the_adapter_agrees_with_the_reference(backend, name, size, masked, elementwise):
    x, states, weights, mask, draw = arguments(backend, name, *size, masked)
    own, reference = backend.adapter, Adapter(backend.xp)
    expected, kept = reference.recurrence(name, x, states, weights, mask)
    found, past = own.recurrence(name, x, states, weights, mask)
    assert_same(found, expected)
    last, _ = own.recurrence(name, x, states, weights, mask, sequences=False, keep=False)
    assert_same(last[1:], expected[1:])
    for gs in (
        [draw(*y.shape) for y in expected],
        [None, draw(*states[0].shape), *(None,) * len(states[1:])],
    ):
        by_gates, by_states = own.recurrence_back(name, weights[1], mask, past, gs)
        wanted, wanted_states = reference.recurrence_back(name, weights[1], mask, kept, gs)
        assert_same((by_gates, *by_states), (wanted, *wanted_states))


@pytest.mark.parametrize("name", CELLS)
def test_each_samples_gradients_add_up_to_that_by_the_weights(backend, name):
    x, states, weights, _, draw = arguments(backend, name, 3, 4, 2, 5, False)
    results, past = backend.adapter.recurrence(name, x, states, weights)
    by_gates, _ = backend.adapter.recurrence_back(
        name, weights[1], None, past, [draw(*y.shape) for y in results]
    )
    xp = backend.xp
    together = by_weights(xp, name, past.seen, by_gates, 5)
    each = by_weights(xp, name, past.seen, by_gates, 5, each=True)
    assert [tuple(g.shape) for g in each] == [(3, *w.shape) for w in weights]
    assert_same([to_numpy(g).sum(axis=0) for g in each], together)
    assert by_input(xp, weights[0], by_gates).shape == x.shape


class ThreeThreads:
    """Threads that take turns, as many of them as a machine of three cores has."""

    @contextmanager
    def held(self):
        yield 3

    def run(self, function, blocks):
        return [function(block) for block in reversed(blocks)][::-1]


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_the_pullback_in_pieces_is_that_of_the_reference(backend, name, masked, shared, monkeypatch):
    """Samples shared out among threads, and gradients by the gates a few steps at a time."""
    if shared:
        monkeypatch.setattr(numpy_recurrent, "TEAM", ThreeThreads())
        monkeypatch.setattr(numpy_recurrent, "_WORTH_SHARING", 0)
        monkeypatch.setattr(numpy_recurrent, "_FEWEST", 1)
    monkeypatch.setattr(numpy_recurrent, "_CACHED", 1200)
    x, states, weights, mask, draw = arguments(backend, name, 5, 4, 2, 3, masked)
    own, reference = backend.adapter, Adapter(backend.xp)
    expected, kept = reference.recurrence(name, x, states, weights, mask)
    found, past = own.recurrence(name, x, states, weights, mask, together=False)
    assert_same(found, expected)
    last, _ = own.recurrence(name, x, states, weights, mask, sequences=False, keep=False, together=False)
    assert_same(last[1:], expected[1:])
    gs = [draw(*y.shape) for y in expected]
    wanted = reference.recurrence_pullback(name, *weights[:2], mask, kept, gs)
    by_x, by_states, by_all = own.recurrence_pullback(name, *weights[:2], mask, past, gs)
    assert_same((by_x, *by_states, *by_all), (wanted[0], *wanted[1], *wanted[2]))
    by_x, _, by_all = own.recurrence_pullback(name, *weights[:2], mask, past, gs, needs=(False, False))
    assert by_x is None
    assert all(g is None for g in by_all)
