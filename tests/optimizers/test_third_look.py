"""Before a run says that nothing is left, the true curvature is asked, in directions that it has not seen."""

from __future__ import annotations

import numpy as np
import pytest
from optimizers.random_starts import METHODS, drawn, judged

import nnx
from nnx.optimizers import FunctionProblem
from nnx.optimizers.descent.evaluation import Evaluation
from nnx.optimizers.descent.outlook import Outlook, verdict
from nnx.optimizers.descent.third_look import lower_point

#: an orthogonal matrix: no variable is a direction of its own
TURN = np.linalg.qr(np.sin(np.arange(25.0).reshape(5, 5) ** 2 + 1.0))[0]
BENDS = np.asarray([1e8, 1e4, 1.0, 1e-2, 1e-4])
CENTRE = np.asarray([1.0, -2.0, 3.0, -4.0, 5.0])


def valley(x):
    """1 + ½ Σ bᵢyᵢ², y the coordinates from the centre along the columns of ``TURN``."""
    return 1.0 + 0.5 * np.sum(BENDS * (TURN.T @ (x - CENTRE)) ** 2)


#: the same in so many variables that there are too few products for the whole Hessian
MANY = np.linalg.qr(np.sin(np.arange(900.0).reshape(30, 30) ** 2 + 1.0))[0]


def wide_valley(x):
    return 1.0 + 0.5 * np.sum(np.repeat(BENDS, 6) * (MANY.T @ (x - np.tile(CENTRE, 6))) ** 2)


def at(y, **given):
    problem = FunctionProblem(valley, **given)
    problem.counts["gradient"] = 40  # as after a run
    return Evaluation(problem, CENTRE + TURN @ np.asarray(y)).compute()


def looked(here, enough=1e-13):
    longest = np.max(np.abs(here.w))
    return lower_point(here, np.abs(here.w) / longest, longest, enough)


@pytest.mark.parametrize("weak", [2, 3, 4])
def test_what_is_left_along_a_weak_direction_is_found(weak):
    y = np.asarray([1e-14, 1e-11, 0.0, 0.0, 0.0])
    y[weak] = 1e-2
    left = 0.5 * BENDS[weak] * 1e-4
    here = at(y)
    lower = looked(here, 1e-2 * left)
    assert here.cost - lower.cost == pytest.approx(left, rel=1e-3, abs=1e-15)


def test_among_many_variables_it_is_found_by_few_products():
    y = np.zeros(30)
    y[0], y[6], y[12] = 1e-14, 1e-11, 1e-2
    left = 0.5 * BENDS[2] * 1e-4
    problem = FunctionProblem(wide_valley)
    problem.counts["gradient"] = 40
    here = Evaluation(problem, np.tile(CENTRE, 6) + MANY @ y).compute()
    fall = here.cost - looked(here, 1e-2 * left).cost  # most of what is left: the run goes on from there
    assert 0.5 * left < fall < 1.001 * left
    assert problem.counts["hvp"] <= 11


@pytest.mark.parametrize("stretch", [1.0, 1e7, 1e-9])
def test_what_sizes_of_variables_hide_is_found(stretch):
    # a relative change of x₀ costs 1e24 times as much as one of x₁: in units of the sizes that is rounding
    def cost(x):
        a, b = x[0] - 1.0, x[1] / stretch - 1.0
        return 1.0 + 0.5 * (1e18 * (a + 1e-10 * b) ** 2 + 1e-6 * b * b)

    problem = FunctionProblem(cost)
    problem.counts["gradient"] = 40
    here = Evaluation(problem, np.asarray([1.0 - 1e-11, stretch * 1.1])).compute()
    assert here.cost - looked(here).cost == pytest.approx(5e-9, rel=1e-3)


def test_one_look_along_the_gradient_does_not_find_it():
    here = at([3e-12, 0.0, 0.0, 0.0, 1e-2])
    # a model that knows only the steepest direction promises nothing
    known = Outlook(-3e-12 * TURN[:, 0], 0.5 * 1e8 * 9e-24)
    found = verdict(here, known, here.cost)
    assert not found.success
    assert here.cost - found.lower.cost == pytest.approx(5e-9, rel=1e-3)  # of all that is left


def test_at_a_minimum_nothing_is_found():
    assert looked(at([1e-12, 1e-10, 1e-9, 1e-9, 1e-9])) is None


def test_negative_curvature_is_found():
    problem = FunctionProblem(
        lambda x: 1.0 + 1e6 * (x[0] - x[1]) ** 2 + (x[0] + x[1] - 2.0) ** 4 - 1e-3 * x[0] * x[1]
    )
    problem.counts["gradient"] = 40
    here = Evaluation(problem, np.asarray([1.0, 1.0 + 1e-9])).compute()
    assert looked(here).cost < here.cost - 1e-6


def test_a_promise_that_is_not_kept_counts_for_nothing():
    here = at([0.0, 0.0, 1e-2, 0.0, 0.0], hvp=lambda x, v: 1e-3 * v)
    assert looked(here) is None


@pytest.mark.parametrize("counts", [{"gradient": 0}, {"gradient": 8}, {"gradient": 40}])
def test_it_costs_a_quarter_of_the_gradients(counts):
    problem = FunctionProblem(valley)
    problem.counts |= counts
    here = Evaluation(problem, CENTRE + 1e-3).compute()
    before = problem.counts["gradient"]
    looked(here, 1e3)
    assert problem.counts["hvp"] <= min(1 + before // 4, 5)
    assert problem.counts["hvp"] > 0


@pytest.mark.parametrize("jac", ["2-point", "3-point"])
def test_differences_of_differences_are_not_asked(jac):
    result = nnx.minimize(valley, np.ones(5), jac=jac)
    assert result.nhev == 0


def test_a_given_gradient_that_cannot_be_differentiated_is_asked_once():
    def jac(x):
        return np.array([float(v) for v in TURN @ (BENDS * (TURN.T @ (x - CENTRE)))])

    assert nnx.minimize(valley, np.ones(5), jac=jac).nhev <= 1


@pytest.mark.parametrize("method", ["bfgs", "lbfgs", "cg", "sr1"])
def test_a_limit_of_evaluations_is_not_overrun(method):
    whole = nnx.minimize(valley, np.ones(5), method=method)
    for most in range(max(whole.nfev - 8, 1), whole.nfev + 1):
        assert nnx.minimize(valley, np.ones(5), method=method, options={"maxfev": most}).nfev <= most


def test_within_bounds_what_they_hold_stays():
    bounds = [(2.0, None)] + [(None, None)] * 4
    result = nnx.minimize(valley, 2.0 + np.ones(5), method="lbfgs", bounds=bounds)
    assert result.x[0] >= 2.0


# -- runs that said success elsewhere before ---------------------------------------------------------------


def test_watsons_function_of_twelve_variables():
    p, start, _ = drawn(26)
    assert p.name == "Watson, n = 12"
    result = METHODS["bfgs"](p, start)
    assert result.success
    assert p.reached(result.fun) == p.minima[0]  # it was 30 times that, and a success


def test_a_run_in_other_units_goes_on_to_the_minimum():
    run = judged(815)  # from 4.5e-8 to 3e-25, of which 95 % were left, where a decay rate hides all the rest
    assert run.method == "bfgs"
    assert run.success and run.verdict.minimum


def test_a_bell_beside_its_data():
    run = judged(664)  # 7e-5 of the cost were left along one direction, by which the cost hardly bends
    assert run.method == "bfgs"
    assert run.success and run.verdict.minimum
