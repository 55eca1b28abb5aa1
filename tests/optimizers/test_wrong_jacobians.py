"""A ``jac`` that contradicts the residuals is found at the start; whatever may be right is let pass."""

from __future__ import annotations

import math

import numpy as np
import pytest

import nnx
from nnx.backend import namespace, to_numpy

T = np.linspace(0.0, 3.0, 30)
Y = 2.0 * np.exp(-1.5 * T)
METHODS = ("lm", "dogleg", "gauss_newton", "bayesian")

each_method = pytest.mark.parametrize("method", METHODS)


def decay(b):
    return b[0] * np.exp(-b[1] * T) - Y


def right(b):
    e = np.exp(-b[1] * T)
    return np.stack([e, -b[0] * T * e], axis=1)


WRONG = {
    "sign": lambda b: -right(b),
    "one sign": lambda b: right(b) * [1.0, -1.0],
    "twice": lambda b: 2.0 * right(b),
    "zero": lambda b: 0.0 * right(b),
    "columns exchanged": lambda b: right(b)[:, ::-1],
    "factor forgotten": lambda b: right(b) * [1.0, 1.0 / 3.0],
}


@each_method
@pytest.mark.parametrize("jac", WRONG.values(), ids=WRONG)
def test_it_is_found_at_the_start(method, jac):
    result = nnx.least_squares(decay, [1.0, 1.0], jac, method=method)
    assert not result.success
    assert (result.status, result.nit, result.nfev) == (-3, 0, 4)
    assert "jac contradicts fun" in result.message
    np.testing.assert_array_equal(result.x, [1.0, 1.0])


@each_method
def test_the_right_one_costs_one_evaluation(method):
    given, own = (nnx.least_squares(decay, [1.0, 1.0], jac, method=method) for jac in (right, None))
    assert given.success
    assert given.nfev == own.nfev + 1
    np.testing.assert_array_equal(given.x, own.x)


@pytest.mark.parametrize("unit", [1e-15, 1e-6, 1e12])
@pytest.mark.parametrize("size", [1e-12, 1.0, 1e12])
def test_units_do_not_matter(unit, size):
    def fun(x):
        return size * decay(x / unit)

    good = nnx.least_squares(fun, [unit, unit], lambda x: size / unit * right(x / unit))
    assert good.success
    np.testing.assert_allclose(good.x / unit, [2.0, 1.5], rtol=1e-9)
    bad = nnx.least_squares(fun, [unit, unit], lambda x: size / unit * WRONG["one sign"](x / unit))
    assert "jac contradicts fun" in bad.message


def test_it_runs_on_every_backend(backend):
    t, y, b = (backend.asarray(a, dtype="float64") for a in (T, Y, [1.0, 1.0]))

    def fun(b):
        return b[0] * namespace(b).exp(-b[1] * t) - y

    def jac(b, sign):
        xp = namespace(b)
        e = xp.exp(-b[1] * t)
        return xp.stack([e, sign * -b[0] * t * e], axis=1)

    good = nnx.least_squares(fun, b, lambda b: jac(b, 1.0))
    np.testing.assert_allclose(to_numpy(good.x), [2.0, 1.5], rtol=1e-9)
    assert "jac contradicts fun" in nnx.least_squares(fun, b, lambda b: jac(b, -1.0)).message


def test_single_precision_is_rounded_and_not_contradicted():
    t, y = T.astype("float32"), Y.astype("float32")

    def fun(b):
        return 1e3 + b[0] * np.exp(-b[1] * t) - y  # of which three digits are left in a difference

    def jac(b):
        return right(b).astype("float32")

    result = nnx.least_squares(fun, np.ones(2, np.float32), jac)
    assert "contradicts" not in result.message
    assert result.nit > 0


def test_nothing_is_called_out_of_bounds():
    seen = []

    def fun(x):
        seen.append(x.copy())
        return decay(x)

    bounds = ([1.0, 0.5], [9.0, 1.0])  # the start is a corner
    result = nnx.least_squares(fun, [1.0, 1.0], WRONG["sign"], bounds=bounds)
    assert "jac contradicts fun" in result.message
    assert np.all((np.asarray(bounds[0]) <= seen) & (seen <= np.asarray(bounds[1])))
    assert nnx.least_squares(fun, [1.0, 1.0], right, bounds=bounds).success


def test_few_evaluations_are_not_spent_on_it():
    calls = []

    def fun(x):
        calls.append(1)
        return decay(x)

    result = nnx.least_squares(fun, [1.0, 1.0], right, max_nfev=5)
    assert result.nit == 4
    assert len(calls) == result.nfev == 5
    calls.clear()
    result = nnx.least_squares(fun, [1.0, 1.0], WRONG["sign"], max_nfev=100)
    assert "jac contradicts fun" in result.message
    assert len(calls) == result.nfev == 4


KINKS = {
    "a kink at the start": (lambda x: np.abs(x) + 1.0, lambda x: np.asarray([[-1.0]]), 0.0),
    "waves shorter than the step": (
        lambda x: 2.0 + np.sin(1e9 * x),
        lambda x: 1e9 * np.cos(1e9 * x)[:, None],
        1.0,
    ),
    "noise": (
        lambda x: x - 3.0 + 1e-6 * math.modf(math.sin(1e12 * x[0]) * 1e6)[0],
        lambda x: np.ones((1, 1)),
        1.0,
    ),
    "steps": (lambda x: np.round(x, 3) - 3.0, lambda x: np.ones((1, 1)), 1.0),
    "not a number a little way off": (
        lambda x: np.where(x > 1.0, np.nan, x - 3.0),
        lambda x: np.ones((1, 1)),
        1.0,
    ),
}


@pytest.mark.parametrize(("fun", "jac", "x0"), KINKS.values(), ids=KINKS)
def test_where_a_difference_says_nothing_there_is_no_contradiction(fun, jac, x0):
    result = nnx.least_squares(fun, [x0], jac, options={"maxiter": 20})
    assert "jac contradicts fun" not in result.message


def test_curve_fit_says_it_too():
    with pytest.raises(nnx.errors.FitError, match="jac contradicts fun"):
        nnx.curve_fit(
            lambda t, a, b: a * np.exp(-b * t), T, Y, jac=lambda t, a, b: -right(np.asarray([a, b]))
        )
