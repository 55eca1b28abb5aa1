"""SciPy's codes of what ended a run, and callbacks that end it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from optimizers.two_variables import START, residual, rosenbrock

import nnx

optimize = pytest.importorskip("scipy.optimize")

# -- status -----------------------------------------------------------------------------------------------


def not_a_number(x):
    return np.nan * np.sum(x)


def uphill(x):
    """A gradient with the wrong sign: no search leads down."""
    return -nnx.grad(rosenbrock)(x)


@pytest.mark.parametrize(
    ("fun", "keywords", "status"),
    [
        (rosenbrock, {}, 0),
        (rosenbrock, {"options": {"goal": 1.0}}, 0),
        (rosenbrock, {"options": {"maxiter": 2}}, 1),
        (rosenbrock, {"options": {"maxfev": 5}}, 1),
        (rosenbrock, {"options": {"maxtime": 1e-9}}, 1),
        (rosenbrock, {"jac": uphill}, 2),
        (not_a_number, {}, 3),
        (rosenbrock, {"callback": lambda x: True}, 99),
    ],
)
@pytest.mark.parametrize("method", ["bfgs", "lbfgs", "cg"])
def test_status_of_minimize_is_scipys(fun, keywords, status, method):
    result = nnx.minimize(fun, START, method=method, **keywords)
    assert result.status == status
    assert result.success == (status == 0)


@pytest.mark.parametrize(
    ("fun", "keywords", "allowed"),
    [
        (residual, {}, (1, 2, 3)),
        (lambda x: residual(x) + 3.0, {}, (1, 2, 3)),
        (residual, {"options": {"goal": 1.0}}, (5,)),
        (residual, {"options": {"maxiter": 2}}, (0,)),
        (residual, {"max_nfev": 2}, (0,)),
        (lambda x: np.nan * x, {}, (-1,)),
        (lambda x: 0.0 * x + 1.0, {}, (-3,)),
        (residual, {"callback": lambda x: True}, (-2,)),
    ],
)
@pytest.mark.parametrize("method", ["lm", "dogleg", "gauss_newton"])
def test_status_of_least_squares_is_scipys(fun, keywords, allowed, method):
    result = nnx.least_squares(fun, START, method=method, **keywords)
    assert result.status in allowed
    assert result.success == (result.status > 0)


# -- callbacks --------------------------------------------------------------------------------------------


def stop_iteration(*args):
    raise StopIteration


@pytest.mark.parametrize("end", [lambda x: True, lambda x: np.bool_(True), stop_iteration])
def test_a_callback_ends_a_run_by_true_or_by_stop_iteration(end):
    for method in ("bfgs", "newton-cg", "adam", "sr1"):
        result = nnx.minimize(rosenbrock, START, method=method, callback=end)
        assert (result.status, result.success, result.nit) == (99, False, 1)
    for method in ("lm", "dogleg", "gauss_newton", "bayesian"):
        result = nnx.least_squares(residual, START, method=method, callback=end)
        assert (result.status, result.success, result.nit) == (-2, False, 1)
    expected = optimize.least_squares(residual, START, callback=stop_iteration)
    assert expected.status == -2


def test_other_answers_end_nothing():
    for answer in (None, False, 1, "stop", np.ones(3)):
        assert nnx.minimize(rosenbrock, START, callback=lambda x, a=answer: a).success
        assert nnx.least_squares(residual, START, callback=lambda x, a=answer: a).success


def test_intermediate_results_have_scipys_fields():
    seen, scipys = [], []
    nnx.least_squares(residual, START, callback=lambda intermediate_result: seen.append(intermediate_result))
    optimize.least_squares(
        residual, START, callback=lambda intermediate_result: scipys.append(intermediate_result)
    )
    assert set(scipys[0]) == set(seen[0]) == {"x", "fun", "cost", "nit", "nfev"}
    for result in seen:
        np.testing.assert_array_equal(result.fun, residual(result.x))
        assert result.cost == pytest.approx(0.5 * np.sum(result.fun**2), rel=1e-15)
    assert [result.nit for result in seen] == list(range(1, len(seen) + 1))
    assert sorted(result.nfev for result in seen) == [result.nfev for result in seen]
    seen.clear()
    nnx.minimize(rosenbrock, START, callback=lambda intermediate_result: seen.append(intermediate_result))
    assert {"x", "fun", "nit", "nfev"} == set(seen[0])
    for result in seen:
        assert result.fun == pytest.approx(rosenbrock(result.x), rel=1e-15)


def test_any_other_name_of_a_parameter_gets_x():
    seen = []
    for callback in (lambda xk: seen.append(xk), lambda result: seen.append(result), seen.append):
        seen.clear()
        nnx.minimize(rosenbrock, START, callback=callback)
        assert all(x.shape == (2,) for x in seen)
        nnx.least_squares(residual, START, callback=callback)
        assert all(x.shape == (2,) for x in seen)


def test_a_callback_sees_the_present_iterate_though_it_be_no_better():
    """Momentum overshoots: costs that a callback computes at its x rise in between."""
    costs = []
    nnx.minimize(
        lambda x: np.sum(x**2),
        [1.0, 1.0],
        method="sgd",
        options={"learning_rate": 0.1, "momentum": 0.9, "maxiter": 60},
        callback=lambda x: costs.append(np.sum(x**2)),
    )
    assert any(b > a for a, b in itertools.pairwise(costs))
