"""Whether a point is a minimum of a sum of squares: the verdict, whatever the run saw on the way."""

from __future__ import annotations

import numpy as np
import pytest
from optimizers.test_far_starts import (
    BEST_CONSTANT,
    LINE,
    TEN,
    UNIT,
    exponential,
    fourth,
    square,
    trigonometric,
)

import nnx
from nnx.backend import namespace
from nnx.optimizers import ResidualProblem
from nnx.optimizers.squares.linearized import Linearization
from nnx.optimizers.squares.second_look import look_again
from nnx.optimizers.squares.verdict import flat, nothing_left

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
each_solver = pytest.mark.parametrize("solver", ["qr", "cholesky"])


def at(fun, w, solver="qr"):
    problem = ResidualProblem(fun)
    return problem, Linearization(solver, 2.0**27).at(problem, np.asarray(w))


# -- one point -----------------------------------------------------------------------------------------------


@each_solver
def test_where_the_model_holds_the_decrement_says_it(solver):
    a, y = np.random.default_rng(0).normal(size=(30, 3)), np.random.default_rng(1).normal(size=30)
    best = np.linalg.lstsq(a, y, rcond=None)[0]
    fun = lambda w: a @ w - y  # noqa: E731
    for unit in (1e-12, 1.0, 1e12):
        _, here = at(lambda w, unit=unit: unit * fun(w), best, solver)
        assert nothing_left(here)
        _, near = at(lambda w, unit=unit: unit * fun(w), best * (1.0 + 1e-5), solver)
        assert not nothing_left(near)


@each_solver
@pytest.mark.parametrize(
    ("fun", "w"),
    [(square, [1e-9, -1.5]), (square, [0.0, -1.5]), (fourth, [1e-4, -1.5]), (exponential, [-300.0, -1.5])],
)
def test_where_j_loses_its_rank_the_curvature_is_probed(fun, w, solver):
    problem, here = at(fun, w, solver)
    verdict = look_again(problem, here)
    assert verdict.minimum, verdict.words
    assert verdict.lower is None


@each_solver
def test_a_point_that_is_none_is_left_for_a_lower_one(solver):
    for fun, w in ((square, [1e-9, -1.0]), (fourth, [1e-4, -1.0]), (trigonometric, [0.1] * 10)):
        problem, here = at(fun, w, solver)
        verdict = look_again(problem, here)
        assert not verdict.minimum
        assert verdict.lower.total < here.total


def test_one_variable_that_spoils_the_step_does_not_hide_what_others_can_do():
    # the step of the first is 1e44 long, and what it makes of the residuals is no finite number
    def fun(x):
        return np.exp(-0.1 * TEN * x[0]) * 1e-3 + x[1] * TEN - 7.0

    problem, here = at(fun, [1e3, 100.0])
    verdict = look_again(problem, here)
    assert not verdict.minimum
    assert verdict.lower.total < 1e-3 * here.total


def test_wrong_derivatives_make_no_minimum():
    problem = ResidualProblem(lambda x: np.concatenate([x - 1.0, [3.0]]), jacobian=lambda x: [[-1.0], [0.0]])
    here = Linearization("qr", 2.0**27).at(problem, np.asarray([5.0]))
    verdict = look_again(problem, here)
    assert not verdict.minimum
    assert "contradict" in verdict.words


def test_a_plateau_has_no_influence_nearby():
    def fun(p):
        return p[0] * np.exp(-p[1] * UNIT[1:]) - np.exp(-UNIT[1:])

    ones, none = np.ones(2), np.zeros(2)
    problem, far = at(fun, [1.0, 1e6])
    assert flat(problem, far, ones, ones)  # it had influence, and lost it
    assert flat(problem, far, none, none)  # it began there
    problem, near = at(fun, [1.0, 1.0])
    assert not flat(problem, near, ones, ones)
    problem, unused = at(lambda p: fun(p[:2]) + 0.0 * p[2], [1.0, 1.0, 1.0])
    assert not flat(problem, unused, np.asarray([1.0, 1.0, 0.0]), np.asarray([1.0, 1.0, 0.0]))
    problem, turning = at(square, [0.0, -1.5])  # without influence here, but not nearby
    assert not flat(problem, turning, ones, ones)


# -- runs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["lm", "dogleg", "gauss_newton"])
@pytest.mark.parametrize("solver", ["qr", "cholesky"])
def test_redundant_and_unused_parameters_are_no_obstacle(method, solver):
    def redundant(p):
        return p[0] * np.exp(-(p[1] + p[2]) * UNIT) - np.cos(UNIT)

    def unused(p):
        return p[0] * np.exp(-p[1] * UNIT) + 0.0 * p[2] - np.cos(UNIT)

    for fun in (redundant, unused):
        result = nnx.least_squares(fun, [1.0, 0.5, 0.5], method=method, options={"solver": solver})
        assert result.success, result.message
        assert result.cost == pytest.approx(0.0207518, rel=1e-5)
        assert np.all(np.abs(result.x) < 2.0)  # nothing ran along the valley


@pytest.mark.parametrize("method", ["lm", "dogleg"])
@pytest.mark.parametrize("rate", [1e4, 1e5])
def test_a_start_on_a_plateau_is_no_success(method, rate):
    result = nnx.least_squares(
        lambda p: p[0] * np.exp(-p[1] * UNIT) - np.exp(-UNIT), [1.0, rate], method=method
    )
    assert not result.success
    assert "plateau" in result.message
    with pytest.raises(nnx.errors.FitError, match="plateau"):
        nnx.curve_fit(lambda t, a, b: a * np.exp(-b * t), UNIT, np.exp(-UNIT), [1.0, rate], method=method)


def test_minima_where_a_column_vanishes_are_fits():
    fit = nnx.curve_fit(lambda t, a, b: a**2 * t + b, UNIT, LINE)
    assert fit.popt[1] == pytest.approx(-1.5, abs=1e-4)
    assert fit.result.cost == pytest.approx(BEST_CONSTANT, rel=1e-9)


def test_exact_data_and_a_redundant_parameter_are_a_fit():
    fit = nnx.curve_fit(lambda x, a, b: a * b * x, np.arange(1.0, 6.0), 6.0 * np.arange(1.0, 6.0))
    assert fit.popt[0] * fit.popt[1] == pytest.approx(6.0, rel=1e-12)


@pytest.mark.parametrize("method", ["lm", "dogleg", "gauss_newton"])
@pytest.mark.parametrize("big", [1e4, 1e8])
def test_a_start_that_is_nearly_best_is_stepped_from_once(method, big):
    result = nnx.least_squares(lambda x: np.concatenate([x - big, x + big]), [3.0], method=method)
    assert result.success
    assert abs(result.x[0]) < 1e-5


@pytest.mark.parametrize("method", ["lm", "dogleg", "gauss_newton"])
def test_products_say_success_as_well(method, backend):
    a = backend.asarray(np.random.default_rng(2).normal(size=(3, 8)), dtype="float64")
    for target in (0.3, 1e-9):
        result = nnx.least_squares(
            lambda x, target=target: namespace(x).tanh(a @ x) - target,
            backend.asarray(np.zeros(8), dtype="float64"),
            method=method,
            options={"solver": "products"},
        )
        assert result.success, result.message
        assert result.cost < 1e-12 * target**2
