"""Fits of models that are finite where automatic differentiation finds 0·∞."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx.backend import namespace, to_numpy
from nnx.errors import FitError
from nnx.optimizers import FunctionProblem, ResidualProblem

optimize = pytest.importorskip("scipy.optimize")
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # overflow in the models is what is tested

T = np.linspace(0.0, 5.0, 30)
X = np.linspace(0.0, 1000.0, 60)
SQUARES_OF_WHOLE = np.asarray([0.0, 1.0, 4.0])


def logistic(x, a, m, s):
    return a / (1 + namespace(x, a).exp(-(x - m) / s))


def stretched(t, a, tau, b):
    return a * namespace(t, a).exp(-((t / tau) ** b))


def sech2(x, a, m, s):
    return a / namespace(x, a).cosh((x - m) / s) ** 2


def freundlich(t, k, n):
    return k * t ** (1.0 / n)


def diffusion(t, a, b):
    return a + namespace(t, a).sqrt(b * t)


def hill(t, top, k, n):
    return top * t**n / (k**n + t**n)


FITS = {
    "logistic": (logistic, X, (2.0, 400.0, 80.0), (1.0, 750.0, 1.0)),
    "stretched": (stretched, T, (2.0, 1.3, 0.6), (1.0, 1.0, 1.0)),
    "sech²": (sech2, X, (3.0, 480.0, 25.0), (1.0, 500.0, 0.5)),
    "freundlich": (freundlich, T, (2.0, 3.0), (1.0, 1.5)),
    "diffusion": (diffusion, T, (1.0, 3.0), (0.0, 1.0)),
    "hill": (hill, T, (2.0, 1.5, 0.7), (1.0, 1.0, 0.5)),
}


@pytest.mark.parametrize("name", FITS)
def test_curve_fit_finds_the_truth(name, backend):
    f, x, truth, p0 = FITS[name]
    x, y, p0 = (backend.asarray(v, dtype="float64") for v in (x, f(x, *truth), p0))
    popt = nnx.curve_fit(f, x, y, p0)[0]
    assert type(popt) is type(x)
    np.testing.assert_allclose(to_numpy(popt), truth, rtol=1e-6)


@pytest.mark.parametrize("method", ["bfgs", "lbfgs", "cg", "newton-cg", "newton"])
def test_minimize_finds_it_by_mended_gradients(method):
    y = stretched(T, 2.0, 1.3, 0.6)
    result = nnx.minimize(
        lambda p: np.sum((stretched(T, p[0], p[1], p[2]) - y) ** 2), [1.5, 1.0, 0.8], method=method
    )
    np.testing.assert_allclose(result.x, [2.0, 1.3, 0.6], rtol=1e-4)
    assert result.success


def test_bounds_are_kept_where_derivatives_are_mended():
    asked = []

    def f(p):
        asked.append(float(p[0])) if isinstance(p, np.ndarray) else None
        return np.sqrt(p[0] * T) - np.sqrt(1e-3 * T) + p[1]

    for call in (
        lambda: nnx.least_squares(f, [0.0, 1.0], bounds=([0.0, -1.0], [5.0, 3.0])),
        lambda: nnx.minimize(
            lambda p: np.sum(f(p) ** 2), [0.0, 1.0], bounds=[(0.0, 5.0), (-1.0, 3.0)], options={"maxiter": 20}
        ),
    ):
        call()
        assert min(asked) >= 0.0


def test_a_zero_that_is_no_limit_is_found_out():
    # (√p)² = p: the chain rule's 0·∞ is 1, and a gradient of 0 would be a minimum
    square = FunctionProblem(lambda p: np.sum(np.sqrt(p) ** 2)).at(np.asarray([0.0, 4.0]))
    assert np.isnan(square.gradient[0])
    assert square.mend()
    np.testing.assert_allclose(square.gradient, [1.0, 1.0], rtol=1e-7)
    cubed = ResidualProblem(lambda p: (p**3) ** (1 / 3) - 2.0).at(np.asarray([0.0, 2.0, 3.0]))
    assert np.isnan(cubed.jacobian[0, 0])
    assert cubed.mend()
    np.testing.assert_allclose(cubed.jacobian, np.eye(3), atol=1e-7)
    result = nnx.least_squares(lambda p: np.concatenate([np.sqrt(p) ** 2 - 2.0]), [0.0])
    np.testing.assert_allclose(result.x, 2.0, rtol=1e-6)


@pytest.mark.parametrize("off", [0.0, 1e-4, 1e-8, 1e-12])
def test_an_exact_zero_is_confirmed_however_near_the_minimum(off):
    # 0·∞ for t = 0: the exact gradient there is 0, and differences see little but curvature
    y = stretched(T, 2.0, 1.3, 0.6)
    problem = FunctionProblem(lambda p: np.sum((stretched(T, p[0], p[1], p[2]) - y) ** 2))
    rest = FunctionProblem(lambda p: np.sum((stretched(T[1:], p[0], p[1], p[2]) - y[1:]) ** 2))
    w = np.asarray([2.0, 1.3 + off, 0.6 - off])
    point = problem.at(w)
    assert not np.all(np.isfinite(point.gradient))
    assert point.mend()
    # to rounding of the sums of 29 terms, not to that of a difference
    np.testing.assert_allclose(point.gradient, rest.at(w).gradient, rtol=1e-12, atol=0.0)


@pytest.mark.parametrize("method", ["bfgs", "lbfgs", "newton", "newton-cg", "scg"])
def test_the_calls_that_confirm_are_counted(method):
    for most in (1, 4, 9, 23, 10_000):
        calls = []

        def f(p, calls=calls):
            calls.append(1)
            return np.sum((stretched(T, p[0], p[1], p[2]) - 1.0) ** 2)

        result = nnx.minimize(f, [1.5, 1.0, 0.8], method=method, options={"maxfev": most, "maxiter": 20})
        assert len(calls) == result.nfev <= most


def test_what_is_finite_keeps_its_bits_and_costs_nothing():
    calls = []

    def f(p):
        calls.append(1)
        return p[0] * np.exp(-p[1] * T) - 1.0

    point = ResidualProblem(f).at(np.asarray([1.0, 0.5]))
    _ = point.jacobian
    calls.clear()
    result = nnx.least_squares(f, [1.0, 0.5])
    # a value each, n columns for each Jacobian, and one call that finds that rows cannot be told apart
    assert len(calls) == result.nfev + 2 * result.njev + 1


def test_only_the_columns_that_are_not_finite_are_replaced():
    def f(p):
        return np.stack([(p[0] ** 3) ** (1 / 3) + p[1] * p[1], np.sin(p[0]) * p[1]])

    point = ResidualProblem(f).at(np.asarray([0.0, 0.3]))
    before = point.jacobian
    assert np.isnan(before[:, 0]).all()
    assert point.mend()
    np.testing.assert_array_equal(point.jacobian[:, 1], before[:, 1])
    np.testing.assert_allclose(point.jacobian[:, 0], [1.0, 0.3], rtol=1e-7)


@pytest.mark.parametrize("solver", ["cholesky", "qr", "products"])
def test_every_solver_and_limit_of_memory(solver):
    y = stretched(T, 2.0, 1.3, 0.6)
    for limit in ({}, {"memory_limit": 600}):
        result = nnx.least_squares(
            lambda p: stretched(T, p[0], p[1], p[2]) - y, [1.5, 1.0, 0.8], options={"solver": solver, **limit}
        )
        np.testing.assert_allclose(result.x, [2.0, 1.3, 0.6], rtol=1e-5)


@pytest.mark.parametrize("method", ["gauss_newton", "dogleg", "bayesian_regularization"])
def test_the_other_methods_for_squares(method):
    y = stretched(T, 2.0, 1.3, 0.6) + 1e-3 * np.cos(40.0 * T)
    result = nnx.least_squares(lambda p: stretched(T, p[0], p[1], p[2]) - y, [1.9, 1.2, 0.65], method=method)
    np.testing.assert_allclose(result.x, [2.0, 1.3, 0.6], rtol=1e-2)


def test_a_first_order_method_goes_on_too():
    y = stretched(T, 2.0, 1.3, 0.6)
    start = [1.5, 1.0, 0.8]

    def f(p):
        return np.mean((stretched(T, p[0], p[1], p[2]) - y) ** 2)

    result = nnx.minimize(f, start, method="adam", options={"learning_rate": 0.02, "maxiter": 300})
    assert result.fun < 1e-3 * f(np.asarray(start))


def test_the_advice_for_robust_losses_works_where_a_residual_is_exactly_zero():
    t, y = np.arange(8.0), np.array([0, 1, 1, 2, 3, 3, 4, 50.0])
    losses = {
        "soft_l1": lambda z: 2 * (np.sqrt(1 + z) - 1),
        "cauchy": np.log1p,
        "arctan": np.arctan,
    }
    for name, rho in losses.items():
        expected = optimize.least_squares(lambda p: p[0] * t + p[1] - y, [0.0, 0.0], loss=name)
        result = nnx.least_squares(lambda p, rho=rho: np.sqrt(rho((p[0] * t + p[1] - y) ** 2)), [0.0, 0.0])
        assert result.success
        assert result.cost < expected.cost * (1.0 + 1e-6), name


def test_what_differences_do_not_find_finite_either_fails_in_words():
    with pytest.raises(FitError, match="not finite"):
        nnx.curve_fit(lambda t, a: a * t + np.where(a == 1.0, np.sqrt(a - 1.0), np.nan), T, 2.0 * T, [1.0])
    wrong = nnx.least_squares(lambda x: x - 1.0, [2.0], jac=lambda x: np.full((1, 1), np.nan))
    assert not wrong.success  # a user's own derivative is not replaced
