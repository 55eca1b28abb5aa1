"""What the CuPy adapter makes of a rule: one kernel, or the rule as it stands; computed on the host."""

from __future__ import annotations

import math

import cupy_double
import mpmath
import numpy as np
import on_the_cpu
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnx.backend import cupy_kernels
from nnx.backend.recording import FORMS, LOGICAL, record

VALUES = (0.0, -0.0, 1.0, -1.0, 0.1, -2.5, 3e-5, 7e9, math.inf, -math.inf, math.nan)
#: All but those that come from a library of functions.
EXACT = sorted(set(FORMS) - {"exp", "pow"})
ARITY = {name: 1 + max(k for k in range(3) if f"{{{k}}}" in form) for name, form in FORMS.items()}


@pytest.fixture(autouse=True)
def _compiler():
    on_the_cpu.need_compiler()


@pytest.fixture
def cupys():
    with cupy_double.in_cupys_place() as backend:
        yield backend


# -- the text -------------------------------------------------------------------------------------------


def program(steps):
    """A function of the vectors x, y and mask and of a number: each step takes what was there before."""

    def function(xp, x, y, mask, a):
        numbers, bools, constants = [x, y, a], [mask, x < y], list(VALUES)
        for name, wide, places in steps:
            first, *others = places[: ARITY[name]]
            if name == "where":
                pool = numbers + constants if wide else bools
                one, other = (pool[k % len(pool)] for k in others)
                condition = bools[first % len(bools)]
                (numbers if wide else bools).append(xp.where(condition, one, other))
                continue
            pool = bools if name.startswith("logical") else numbers
            rest = pool if name.startswith("logical") else numbers + constants
            given = [pool[first % len(pool)], *(rest[k % len(rest)] for k in others)]
            result = getattr(xp, name)(*given)
            if name in ("maximum", "minimum"):
                result = result + 0.0  # which of two zeros is the larger one is open
            (bools if name in LOGICAL else numbers).append(result)
        return numbers[-1] + 0.0 * x, numbers[-2] * 1.0, xp.where(bools[-1], numbers[-1], x)

    return function


STEP = st.tuples(st.sampled_from(EXACT), st.booleans(), st.tuples(*(st.integers(0, 40),) * 3))


@given(programs=st.lists(st.lists(STEP, min_size=2, max_size=14), min_size=6, max_size=12))
@settings(deadline=None, max_examples=3)
def test_any_function_of_exact_operations_is_numpys_bit_for_bit(programs):
    x, y = (v.ravel() for v in np.meshgrid(VALUES, VALUES))
    mask = np.arange(x.size) % 3 == 0
    on_the_cpu.updates_beside_numpy([
        (program(steps), (x.astype(dtype), y.astype(dtype), mask), (0.7,), (1, None, 0))
        for steps in programs
        for dtype in ("float32", "float64")
    ])  # fmt: skip


def computed(function, read, scalars=(), results=1):
    kernel = cupy_kernels.update(record(function, len(read), len(scalars)), [x.dtype == bool for x in read])
    out = [np.full_like(read[0], np.nan) for _ in range(results)]
    on_the_cpu.run(kernel, *read, *scalars, *out)
    return out


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_exponentials_and_powers_are_right_to_two_units(dtype):
    x = np.linspace(-8.0, 8.0, 41).astype(dtype)
    found = computed(lambda xp, x, a: (xp.exp(x), xp.abs(x) ** a, x**2.0, a**x, x**-1.0), (x,), (0.7,), 5)
    a = mpmath.mpf(float(np.asarray(0.7, dtype)))
    places = [mpmath.mpf(float(v)) for v in x]
    rows = [(mpmath.exp(v), abs(v) ** a, v * v, a**v, 1 / v if v else mpmath.inf) for v in places]
    for got, values in zip(found, zip(*rows, strict=True), strict=True):
        wanted = np.asarray(values, float)
        np.testing.assert_allclose(got, wanted, rtol=2 * np.finfo(dtype).eps, atol=0)


def test_constants_keep_every_bit_and_are_of_the_vectors_type():
    large, small = (1.7976931348623157e308, 16777217.0, 1e22, math.inf, -math.inf), (1e-320, 5e-324, -0.0)
    constants = (0.1, -math.pi, *large, *small)

    def function(xp, x):
        return tuple(xp.where(x > 0.0, c, x) for c in (*constants, math.nan))

    for dtype in ("float32", "float64"):
        with np.errstate(over="ignore"):
            wanted = np.asarray([*constants, math.nan]).astype(dtype)
        found = np.concatenate(computed(function, (np.ones(1, dtype),), results=len(wanted)))
        np.testing.assert_array_equal(found, wanted)
        assert (np.signbit(found) == np.signbit(wanted))[:-1].all()


def test_nothing_is_computed_in_double_precision():
    def function(xp, x, mask, a):
        return xp.where(mask, x * 0.1 + a, xp.sign(x) ** a), xp.maximum(x, 1e-7) / a

    text = cupy_kernels.update(record(function, 2, 1), (False, True))
    assert (text.in_params, text.out_params) == ("T r0, bool r1, T s0", "T w0, T w1")
    lines = text.operation.split("\n")
    assert {line.split()[0] for line in lines[:-2]} == {"T"} | {"bool"} and lines[-1].startswith("w1 = (T)")
    assert "double" not in text.operation and "(T)0.1" in text.operation
    # one addition in double precision would not lose the 1
    x = np.asarray([1e8], "float32")
    assert computed(lambda xp, x, a: ((x + a) - x,), (x,), (1.0,))[0].tolist() == [0.0]


def test_bools_alone_are_no_numbers():
    for function in (
        lambda xp, m, x: (x * (m + m),),
        lambda xp, m, x: (x * -m,),
        lambda xp, m, x: (xp.maximum(m, x > 0.0) * x,),
        lambda xp, m, x: (x * xp.sqrt(m),),
    ):
        assert cupy_kernels.update(record(function, 2, 0), (True, False)) is None
    m, x = np.asarray([True, False]), np.asarray([3.0, 5.0])
    found = computed(lambda xp, x, m: (x * m + (m == (x > 4.0)),), (x, m))
    assert found[0].tolist() == [3.0, 0.0]


# -- the adapter ----------------------------------------------------------------------------------------


@pytest.fixture
def launches(cupys, monkeypatch):
    """The names of the kernels that were called, one by one."""
    import cupy

    called, plain = [], cupy.ElementwiseKernel.__call__

    def call(self, *args):
        called.append(self._text.name)
        return plain(self, *args)

    monkeypatch.setattr(cupy.ElementwiseKernel, "__call__", call)
    return called


def decayed(xp, w, g, mask, rate):
    return xp.where(mask, w - rate * g, w * 0.5), g * g


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_update_is_one_kernel_for_all_steps(cupys, launches, dtype):
    w, g, mask = np.linspace(-1, 1, 9).astype(dtype), np.arange(9.0).astype(dtype), np.arange(9) % 2 == 0
    own = [cupys.asarray(v) for v in (w, g, mask)]
    for rate in (0.1, np.float64(0.3)):  # numbers of NumPy's as well
        cupys.adapter.map_inplace(decayed, tuple(own), tuple(own[:2]), (rate,))
        w, g = decayed(np, w, g, mask, np.asarray(rate, dtype))
    assert launches == ["nnx_update"] * 2
    np.testing.assert_array_equal(own[0].get(), w)
    np.testing.assert_array_equal(own[1].get(), g)


def test_kernels_are_made_once(cupys, launches, monkeypatch):
    import cupy

    made, start = [], cupy.ElementwiseKernel.__init__
    monkeypatch.setattr(
        cupy.ElementwiseKernel, "__init__", lambda self, **text: made.append(text) or start(self, **text)
    )

    def shrink(xp, w, rate):
        return (w - rate * w,)

    for dtype in ("float32", "float64", "float32"):
        w = cupys.asarray(np.ones(3), dtype=dtype)
        cupys.adapter.map_inplace(shrink, (w,), (w,), (0.5,))
        assert w.get().tolist() == [0.5] * 3
    assert (len(made), launches) == (1, ["nnx_update"] * 3)


@pytest.mark.parametrize(
    ("function", "types", "wanted"),
    [
        (lambda xp, a, b: (b, a), ("float64", "float64"), [3.0, 2.0]),  # results that are arguments
        (lambda xp, a, b: (xp.cumulative_sum(a), b * 1.0), ("float64", "float64"), [2.0, 3.0]),
        (lambda xp, a, b: (a + b, b * 2.0), ("float32", "float64"), [5.0, 6.0]),  # two types
        (lambda xp, a, b: (a + b, b * 2), ("int64", "int64"), [5, 6]),
        (
            lambda xp, a, b: (a * b, a / b),
            ("complex64", "complex64"),
            [6.0, np.complex64(2) / np.complex64(3)],
        ),
    ],
)
def test_what_is_no_kernel_is_evaluated_as_it_stands(cupys, launches, function, types, wanted):
    a, b = (cupys.asarray(np.asarray([v], t)) for v, t in zip((2, 3), types, strict=True))
    cupys.adapter.map_inplace(function, (a, b), (a, b))
    assert [a.get()[0], b.get()[0]] == wanted
    assert launches == []
