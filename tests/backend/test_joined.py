"""Chains of entry-by-entry calls in blocks: the bits of the calls one after the other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnx.backend import joined, kernels
from nnx.backend.recording import LOGICAL, Recording

RANDOM = np.random.default_rng(0)
ONE = ("negative", "absolute", "sqrt", "exp", "tanh", "sign", "square")
TWO = ("add", "subtract", "multiply", "divide", "maximum", "minimum")


@pytest.fixture(autouse=True, scope="module")
def tiny_blocks():
    """Blocks of a few entries, and a core for each of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joined, "_BLOCK", 64)
        patch.setattr(joined, "_WORTH_A_CORE", 1)
        patch.setenv("OMP_NUM_THREADS", "3")
        yield


def one_after_the_other(recording: Recording, arrays):
    values = list(arrays)
    for name, operands in recording.steps:
        given = [values[v] if isinstance(v, int) else v for v in operands]
        values.append(getattr(np, name)(*given))
    return [values[i] for i in recording.outputs]


def compared(recording: Recording, arrays, shape, dtype):
    with np.errstate(all="ignore"):
        function = joined.joined(
            recording, [(x.shape, x.dtype == bool) for x in arrays], shape, np.dtype(dtype)
        )
        found = function(*arrays)
        found = found if isinstance(found, tuple) else (found,)
        for a, b in zip(found, one_after_the_other(recording, arrays), strict=True):
            np.testing.assert_array_equal(a, b, strict=True)


@st.composite
def recordings(draw):
    n, steps, logical = draw(st.integers(1, 3)), [], []
    for _ in range(draw(st.integers(2, 9))):
        floats = [*range(n), *(n + i for i, (name, _) in enumerate(steps) if name not in LOGICAL)]
        value = st.sampled_from(floats)
        kind = draw(st.sampled_from(["one", "two", "number", "compare", *(["where"] if logical else [])]))
        if kind == "one":
            steps.append((draw(st.sampled_from(ONE)), (draw(value),)))
        elif kind == "two":
            steps.append((draw(st.sampled_from(TWO)), (draw(value), draw(value))))
        elif kind == "number":
            steps.append((draw(st.sampled_from(TWO)), (draw(value), draw(st.sampled_from([0.5, -2.0])))))
        elif kind == "compare":
            logical.append(n + len(steps))
            steps.append(("greater", (draw(value), draw(value))))
        else:
            steps.append(("where", (draw(st.sampled_from(logical)), draw(value), draw(value))))
    made = range(n, n + len(steps))
    outputs = draw(st.lists(st.sampled_from(made), min_size=1, max_size=3, unique=True))
    return Recording(n, n, tuple(steps), tuple(outputs))


@given(recordings(), st.sampled_from(["float32", "float64"]), st.integers(0, 70))
@settings(max_examples=80, deadline=None)
def test_random_chains(recording, dtype, n):
    arrays = [RANDOM.normal(size=n).astype(dtype) for _ in range(recording.inputs)]
    for x in arrays:
        x[::7] = np.nan
    compared(recording, arrays, (n,), dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(20, 3), (1, 3), (33, 1), (9, 2, 2)])
def test_rows_columns_and_numbers_are_spread(shape, dtype):
    steps = (("add", (0, 1)), ("multiply", (4, 2)), ("subtract", (3, 5)), ("tanh", (6,)))
    recording = Recording(4, 4, steps, (5, 7))
    shapes = (shape, shape[1:], (shape[0], *(1,) * (len(shape) - 1)), ())
    compared(recording, [np.asarray(RANDOM.normal(size=s), dtype) for s in shapes], shape, dtype)


def test_rows_longer_than_a_block_are_left_alone():
    recording = Recording(2, 2, (("add", (0, 1)), ("tanh", (2,))), (3,))
    assert (
        joined.joined(recording, [((4, 100), False), ((100,), False)], (4, 100), np.dtype("float64")) is None
    )


def test_warnings_and_errors_are_those_of_numpy():
    recording = Recording(1, 1, (("negative", (0,)), ("sqrt", (1,))), (2,))
    function = joined.joined(recording, [((50,), False)], (50,), np.dtype("float64"))
    with pytest.warns(RuntimeWarning, match="sqrt"):
        function(np.ones(50))
    with np.errstate(invalid="raise"), pytest.raises(FloatingPointError, match="sqrt"):
        function(np.ones(50))


def test_the_places_of_results_are_not_shared_by_calls():
    recording = Recording(1, 1, (("negative", (0,)), ("square", (1,))), (1, 2))
    function = joined.joined(recording, [((1 << 16,), False)], (1 << 16,), np.dtype("float64"))
    first = function(np.ones(1 << 16))
    second = function(np.full(1 << 16, 2.0))
    assert first[0][0] == -1.0 and second[0][0] == -2.0
    assert not any(np.shares_memory(a, b) for a in first for b in second)


def test_what_tells_is_a_buffer_of_bools():
    recording = Recording(1, 1, (("isnan", (0,)), ("where", (1, 0.0, 0))), (2,))
    assert kernels.body(recording, (None,))[1] == {"b0": True}
