"""tanh and the logistic function in compiled loops: a few roundings, and NumPy's special values."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

import nnx
from nnx.backend import adapter_of, loops

NUMPY = adapter_of(np.ones(1))
RNG = np.random.default_rng(0)
#: near 0, near the joints of the polynomials, everywhere, and where the results are 1 or tiny
POINTS = np.concatenate(
    [
        RNG.normal(size=1500),
        RNG.uniform(0.1, 0.6, 1500) * RNG.choice([-1.0, 1.0], 1500),
        RNG.uniform(-40.0, 40.0, 1000),
        np.exp(RNG.uniform(-700.0, 0.0, 500)),
        -RNG.uniform(600.0, 745.0, 500),
    ]
)
SPECIAL = np.asarray(
    [0.0, -0.0, np.nan, np.inf, -np.inf, 5e-324, -5e-324, 1e-310, 22.0, -22.5]
    + [y for x in (708.5, 745.1, 745.2, 746.5, 1e308) for y in (x, -x)]
)
EXACT = {"tanh": mpmath.tanh, "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x))}


@pytest.fixture
def functions():
    return pytest.importorskip("nnx.backend.compiled_functions")


@pytest.mark.parametrize("name", EXACT)
def test_the_error_is_below_three_units_in_the_last_place(functions, name):
    found = getattr(functions, name)(POINTS)
    with mpmath.workprec(150):
        exact = [EXACT[name](mpmath.mpf(x)) for x in POINTS.tolist()]
        units = [float(abs(y - e)) for y, e in zip(found.tolist(), exact, strict=True)]
    assert np.max(units / np.spacing(np.abs([float(e) for e in exact]))) < 3.0


@pytest.mark.parametrize("name", EXACT)
def test_special_values_are_those_of_numpy(functions, name):
    found, wanted = getattr(functions, name)(SPECIAL), getattr(super(type(NUMPY), NUMPY), name)(SPECIAL)
    np.testing.assert_allclose(found, wanted, rtol=1e-15, atol=5e-324)
    np.testing.assert_array_equal(np.signbit(found[:2]), np.signbit(wanted[:2]))


@pytest.mark.parametrize("name", EXACT)
def test_only_large_arrays_of_float64_are_computed_so(functions, name, monkeypatch):
    asked = []
    monkeypatch.setattr(loops, "compiled", lambda module: asked.append(module) or functions)
    function = getattr(nnx.activations, name)
    x = RNG.normal(size=(200, 100))
    for other in (x[:3], x.astype(np.float32), x.T, x[:, ::2]):
        function(other)
    assert not asked
    assert function(x).shape == x.shape and asked == ["functions"]
    np.testing.assert_allclose(function(x), function(x.T).T, rtol=1e-15)
    nnx.check_derivatives(lambda w: function(w * x), np.asarray(0.7))


def test_the_environment_leaves_numba_out(monkeypatch):
    monkeypatch.setenv("NNX_NUMBA", "0")
    x = RNG.normal(size=1 << 15)
    loops.compiled.cache_clear()
    try:
        assert loops.compiled("functions") is None
        np.testing.assert_array_equal(nnx.activations.tanh(x), np.tanh(x))
    finally:
        loops.compiled.cache_clear()


SLOPES = {
    "sech_squared": (lambda x: 1.0 - np.tanh(x) ** 2, lambda x: mpmath.sech(x) ** 2, 1e-4),
    "logistic_slope": (
        lambda x: np.exp(-abs(x)) / (1.0 + np.exp(-abs(x))) ** 2,
        lambda x: mpmath.exp(-abs(x)) / (1 + mpmath.exp(-abs(x))) ** 2,
        1e-4,
    ),
}


@pytest.mark.parametrize("name", SLOPES)
@pytest.mark.parametrize("size", [0.5, 3.0, 30.0, 500.0], ids=["none", "few", "most", "nearly all"])
def test_slopes_are_computed_anew_only_where_they_are_small(functions, name, size):
    quick, exact, least = SLOPES[name]
    x = RNG.normal(size=4001) * size
    x[::1000] = np.nan, np.inf, -np.inf, 0.0, 1e308
    with np.errstate(all="ignore"):
        before = quick(x)
    found = before.copy()
    functions.RESTORES[name](found, x, least)
    small = before < least  # of NaN this is false
    assert found[~small].tobytes() == before[~small].tobytes()
    picked = np.flatnonzero(small)[:300]
    wanted = np.asarray([float(exact(mpmath.mpf(float(x[i])))) for i in picked])
    # an exponential within a unit in the last place, and four roundings; subnormal numbers have less
    np.testing.assert_allclose(found[picked], wanted, rtol=8 * 2.2e-16, atol=1e-300)
