"""Chains as loops compiled by Numba: the bits of NumPy's calls, but for exp and the like."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from nnx.backend import entry_loops, joined, loops
from nnx.backend.joined import Reduction
from nnx.backend.pairwise import parts, total
from nnx.backend.recording import LOGICAL, Asked, Recording

RANDOM = np.random.default_rng(0)
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, np.inf, -np.inf, np.nan, 5e-324, 1e-310, 1e300, -1e300]
ONE = ("negative", "absolute", "sqrt", "sign", "square", "reciprocal", "positive")
TWO = ("add", "subtract", "multiply", "divide", "maximum", "minimum")
COMPARISONS = ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal")
OF_ONE = ("isnan", "isinf", "isfinite", "logical_not")
OF_TWO = ("logical_and", "logical_or")


def needs_numba():
    if loops.compiled("entries") is None:
        pytest.skip("Numba is not there, or left out")


def by_loop(recording, arrays, shape, dtype, monkeypatch, asked=None, exact=True):
    """What the loop computes, used from the first call on."""
    monkeypatch.setattr(entry_loops, "WORTH_COMPILING", 0.0)
    kinds = [(x.shape, x.dtype == bool) for x in arrays]
    function = joined.joined(recording, kinds, shape, np.dtype(dtype), asked, exact)
    found = function(*arrays)
    assert function._kernel._kernel.__module__ == entry_loops.__name__, "the loop is not in use"
    return found


def grid(dtype):
    """All pairs of special numbers and some others, as two vectors."""
    with np.errstate(over="ignore"):
        x = np.asarray([*SPECIAL, *RANDOM.normal(size=20)]).astype(dtype)
    return [a.reshape(-1) for a in np.meshgrid(x, x)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arithmetic_and_choices_have_numpys_bits(dtype, monkeypatch):
    needs_numba()
    a, b = grid(dtype)
    steps = [(name, (0,)) for name in (*ONE, *OF_ONE)]
    steps += [(name, (0, 1)) for name in (*TWO, *COMPARISONS, *OF_TWO)]
    steps += [(name, (0, 0.1)) for name in TWO] + [(name, (-2.5, 1)) for name in TWO]
    n = len(steps)
    chosen = [("where", (2 + k, 0, 1)) for k in range(n)]  # conditions may be numbers, too
    recording = Recording(2, 2, (*steps, *chosen), tuple(range(2, 2 + 2 * n)))
    monkeypatch.setattr(entry_loops, "_MOST_PAIRS", 10**6)
    with np.errstate(all="ignore"):
        found = by_loop(recording, [a, b], a.shape, dtype, monkeypatch)
        for k, (name, operands) in enumerate(steps):
            given = [(a, b)[v] if isinstance(v, int) else v for v in operands]
            wanted = getattr(np, name)(*given)
            np.testing.assert_array_equal(found[k], wanted, err_msg=name, strict=True)
            np.testing.assert_array_equal(found[n + k], np.where(wanted, a, b), err_msg=name)
            if name not in LOGICAL:
                same = np.signbit(found[k]) == np.signbit(wanted)
                assert (same | np.isnan(wanted)).all(), name


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nothing_is_fused_and_nothing_computed_in_a_wider_type(dtype, monkeypatch):
    needs_numba()
    x, y, z = (RANDOM.normal(size=5000).astype(dtype) for _ in range(3))
    steps = (("multiply", (0, 1)), ("add", (3, 2)), ("multiply", (0.1, 4)), ("subtract", (0.3, 5)))
    found = by_loop(Recording(3, 3, steps, (6,)), [x, y, z], x.shape, dtype, monkeypatch)
    np.testing.assert_array_equal(found, 0.3 - 0.1 * (x * y + z), strict=True)


#: units in the last place: those of float32 are of float64's functions rounded once
FUNCTIONS = {"exp": 1.0, "log": 1.0, "log1p": 2.0, "expm1": 2.0, "tanh": 3.0}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_exact_to_a_few_units(name, monkeypatch):
    needs_numba()
    special = np.asarray([*SPECIAL, 709.7, 710.0, -745.0, -750.0, 1e-20, -1.0 + 1e-16])
    x = np.concatenate([special, RANDOM.normal(size=300), np.exp(RANDOM.uniform(-30, 6, 300))])
    steps = ((name, (0,)), ("positive", (1,)))
    recording = Recording(1, 1, steps, (1,))
    for dtype, units in (("float64", FUNCTIONS[name]), ("float32", 0.501)):
        with np.errstate(all="ignore"):
            given = x.astype(dtype)
            found = by_loop(recording, [given], x.shape, dtype, monkeypatch, exact=False)
            rough = getattr(np, name)(given)
        finite = np.isfinite(rough) & (rough != 0)
        np.testing.assert_array_equal(found[~finite], rough[~finite])
        np.testing.assert_array_equal(np.signbit(found[rough == 0]), np.signbit(rough[rough == 0]))
        with mpmath.workprec(200):
            exact = [getattr(mpmath, name)(mpmath.mpf(float(v))) for v in given[finite]]
            errors = [float(mpmath.mpf(float(f)) - e) for f, e in zip(found[finite], exact, strict=True)]
        assert (np.abs(errors) <= units * np.spacing(np.abs(rough[finite]))).all(), dtype


def test_where_bits_count_functions_are_numpys(monkeypatch):
    needs_numba()
    monkeypatch.setattr(entry_loops, "WORTH_COMPILING", 0.0)
    x = RANDOM.normal(size=3000)
    recording = Recording(1, 1, (("tanh", (0,)), ("exp", (1,))), (2,))
    function = joined.joined(recording, [(x.shape, False)], x.shape, x.dtype, exact=True)
    np.testing.assert_array_equal(function(x), np.exp(np.tanh(x)))


@pytest.mark.parametrize("shape", [(20, 3), (1, 3), (33, 1), (9, 2, 2)])
def test_rows_columns_numbers_and_bools_are_spread(shape, monkeypatch):
    needs_numba()
    monkeypatch.setattr(joined, "_WORTH_A_CORE", 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    shapes = (shape, shape[1:], (shape[0], *(1,) * (len(shape) - 1)), ())
    a, row, column, one = (RANDOM.normal(size=s) for s in shapes)
    mask = RANDOM.random(shape) > 0.5
    steps = (("add", (0, 1)), ("multiply", (5, 2)), ("subtract", (3, 6)), ("where", (4, 7, 5)))
    recording = Recording(5, 5, steps, (8,))
    for x in (a, row, mask):
        x.setflags(write=False)  # as constants of a program are
    found = by_loop(recording, [a, row, column, np.asarray(one), mask], shape, "float64", monkeypatch)
    np.testing.assert_array_equal(found, np.where(mask, one - (a + row) * column, a + row))


def test_neighbouring_axes_are_one():
    shapes = [(5, 3, 4), (3, 4), (5, 1, 1), (1, 3, 1), ()]
    axes, sizes = entry_loops.merged(shapes, (5, 3, 4))
    assert (axes, sizes) == ([(0, 1, 2), (1, 2), (0,), (1,), ()], [5, 3, 4])
    assert entry_loops.merged([(5, 3, 4)], (5, 3, 4)) == ([(0,)], [60])
    assert entry_loops.merged([(5, 1, 4), (1, 4)], (5, 1, 4)) == ([(0, 1), (1,)], [5, 4])


def test_the_loop_comes_when_the_chain_has_run_for_a_while(monkeypatch):
    needs_numba()
    x = RANDOM.normal(size=1000)
    monkeypatch.setattr(entry_loops, "WORTH_COMPILING", 3 * 1000 * 1.0)  # two operations of half a nanosecond
    recording = Recording(1, 1, (("square", (0,)), ("add", (1, 1.0))), (2,))
    function = joined.joined(recording, [(x.shape, False)], x.shape, x.dtype)
    used = []
    for _ in range(5):
        function(x)
        used.append(function._kernel._kernel.__module__ == entry_loops.__name__)
    assert used == [False] * 3 + [True] * 2


def test_where_numpy_is_to_raise_it_does(monkeypatch):
    needs_numba()
    monkeypatch.setattr(entry_loops, "WORTH_COMPILING", 0.0)
    x = RANDOM.normal(size=1000)
    recording = Recording(1, 1, (("negative", (0,)), ("sqrt", (1,))), (2,))
    function = joined.joined(recording, [(x.shape, False)], x.shape, x.dtype)
    with np.errstate(all="ignore"):
        assert np.isnan(function(x)).any()
    with np.errstate(invalid="raise"), pytest.raises(FloatingPointError, match="sqrt"):
        function(x)


def test_without_numba_chains_stay_in_blocks(monkeypatch):
    monkeypatch.setattr(entry_loops, "WORTH_COMPILING", 0.0)
    monkeypatch.setenv("NNX_NUMBA", "0")
    x = RANDOM.normal(size=1000)
    recording = Recording(1, 1, (("square", (0,)), ("exp", (1,))), (2,))
    function = joined.joined(recording, [(x.shape, False)], x.shape, x.dtype, exact=False)
    np.testing.assert_array_equal(function(x), np.exp(np.square(x)))


# -- sums ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_sum_of_parts_has_the_bits_of_the_whole(dtype):
    for n in (0, 1, 7, 128, 129, 1000, 4099, 99_999, 1 << 17):
        x = RANDOM.normal(size=n).astype(dtype)
        for most in (1, 128, 200, 1000, 10**6):
            sums = iter([np.add.reduce(x[a:b]) for a, b in parts(n, most)])
            np.testing.assert_array_equal(total(n, most, sums), np.add.reduce(x), strict=True)


REDUCTIONS = {
    "sum": (Reduction(np.add, False, False, False), lambda y: np.sum(y)),
    "mean": (Reduction(np.add, False, False, True), lambda y: np.mean(y)),
    "mean, axes kept": (Reduction(np.add, False, True, True), lambda y: np.mean(y, keepdims=True)),
    "rows": (Reduction(np.add, True, False, False), lambda y: np.sum(y, -1)),
    "means of rows": (Reduction(np.add, True, False, True), lambda y: np.mean(y, -1)),
    "largest": (Reduction(np.maximum, True, True, False), lambda y: np.max(y, -1, keepdims=True)),
}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_joined_reductions_have_numpys_bits(name, dtype, compiled, monkeypatch):
    monkeypatch.setattr(joined, "_BLOCK", 1 << 12)
    monkeypatch.setattr(joined, "_WORTH_A_CORE", 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    if compiled:
        needs_numba()
    reduction, plain = REDUCTIONS[name]
    for shape, other in [((301, 37), (37,)), ((301, 37), (301, 37)), ((3, 5, 7), (5, 7)), ((2, 3), (2, 1))]:
        x, y = RANDOM.normal(size=shape).astype(dtype), RANDOM.normal(size=other).astype(dtype)
        recording = Recording(2, 2, (("add", (0, 1)), ("square", (2,))), (2, 3))
        for asked in (Asked((0,), ((1, reduction),)), Asked((), ((1, reduction), (0, reduction)))):
            if compiled:
                found = by_loop(recording, [x, y], shape, dtype, monkeypatch, asked)
            else:
                kinds = [(x.shape, False), (y.shape, False)]
                found = joined.joined(recording, kinds, shape, np.dtype(dtype), asked)(x, y)
            sums, squares = x + y, np.square(x + y)
            wanted = [sums, plain(squares)] if asked.entries else [plain(squares), plain(sums)]
            for got, want in zip(found, wanted, strict=True):
                assert type(got) is type(want)
                np.testing.assert_array_equal(got, want, strict=True)


def test_nnx_functions_and_their_slopes_have_the_bits_that_they_have_apart(monkeypatch):
    needs_numba()
    functions = loops.compiled("functions")
    x = np.concatenate([np.asarray([*SPECIAL, 30.0, -40.0]), 8.0 * RANDOM.normal(size=3001)])
    steps = [("own_tanh", (0,)), ("square", (1,)), ("subtract", (1.0, 2)), ("restored_sech_squared", (3, 0))]
    steps += [("own_sigmoid", (0,)), ("subtract", (1.0, 5)), ("multiply", (5, 6))]
    steps += [("restored_logistic_slope", (7, 0))]
    recording = Recording(1, 1, tuple(steps), (1, 4, 5, 8))
    monkeypatch.setattr(entry_loops, "_MOST_PAIRS", 10**6)
    with np.errstate(all="ignore"):
        found = by_loop(recording, [x], x.shape, "float64", monkeypatch)
        y, s = functions.tanh(x), functions.sigmoid(x)
        d, e = 1.0 - np.square(y), s * (1.0 - s)
        functions.RESTORES["sech_squared"](d, x, functions.FEW_DIGITS)
        functions.RESTORES["logistic_slope"](e, x, functions.FEW_DIGITS)
    for got, want in zip(found, (y, d, s, e), strict=True):
        np.testing.assert_array_equal(got, want)
