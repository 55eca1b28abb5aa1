"""What a result says that it counted, and limits that are not exceeded by a single call."""

from __future__ import annotations

import time

import numpy as np
import pytest

import nnx
from nnx.backend import namespace, to_numpy
from nnx.optimizers import registry
from nnx.optimizers.functions.limits import Budget, Limits, Spent

START = [-1.2, 1.0]
COSTS = [e for e in registry if not e.traits.least_squares]
SQUARES = [e for e in registry if e.traits.least_squares]
BOX = [(-2.0, 0.5), (-1.0, 2.0)]

pytestmark = pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")  # gradient descent runs away

each_cost = pytest.mark.parametrize("entry", COSTS, ids=lambda e: e.class_name)
each_square = pytest.mark.parametrize("entry", SQUARES, ids=lambda e: e.class_name)


def rosenbrock(x):
    return namespace(x).sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


class Watched:
    """A function with its derivatives, which notes where it was called and what it returned."""

    def __init__(self):
        self.points, self.costs, self.slopes = [], [], 0

    def note(self, x, cost):
        x, cost = (np.array(to_numpy(nnx.stop_gradient(part))) for part in (x, cost))
        self.points.append(x)
        self.costs.append(float(cost))

    def cost(self, x):
        value = rosenbrock(x)
        self.note(x, value)
        return value

    def gradient(self, x):
        self.slopes += 1
        d = x[1] - x[0] ** 2
        return np.stack([-400.0 * x[0] * d - 2.0 * (1.0 - x[0]), 200.0 * d])

    @staticmethod
    def hessian(x):
        corner = 1200.0 * x[0] ** 2 - 400.0 * x[1] + 2.0
        return np.asarray([[corner, -400.0 * x[0]], [-400.0 * x[0], 200.0]])

    def residual(self, x):
        r = namespace(x).stack([10.0 * (x[1] - x[0] ** 2), 1.0 - x[0]])
        self.note(x, 0.5 * namespace(r).sum(r**2))
        return r

    def jacobian(self, x):
        self.slopes += 1
        return np.asarray([[-20.0 * x[0], 10.0], [-1.0, 0.0]])


# -- nfev and njev ----------------------------------------------------------------------------------------


@each_cost
@pytest.mark.parametrize("given", ["all", "both at once", "none"])
def test_nfev_and_njev_are_the_calls_of_every_method(entry, given):
    watched = Watched()
    second = {"hess": watched.hessian}
    if given == "none":
        result = nnx.minimize(watched.cost, START, method=entry.name, options={"maxiter": 40}, **second)
    elif given == "all":
        result = nnx.minimize(
            watched.cost, START, method=entry.name, jac=watched.gradient, options={"maxiter": 40}, **second
        )
        assert result.njev == watched.slopes
    else:
        result = nnx.minimize(
            lambda x: (watched.cost(x), watched.gradient(x)),
            START,
            method=entry.name,
            jac=True,
            options={"maxiter": 40},
            **second,
        )
        assert result.njev == watched.slopes
    assert result.nfev == len(watched.points)
    assert result.nfev >= result.njev or given == "all"


@pytest.mark.parametrize("method", ["newton", "newton_cg", "scg"])
def test_products_with_the_hessian_count_the_calls_that_they_take(method):
    calls, slopes = [], []

    def cost(x):
        calls.append(1)
        return rosenbrock(x)

    def slope(x):
        slopes.append(1)
        return nnx.grad(rosenbrock)(x)

    automatic = nnx.minimize(cost, START, method=method)
    assert automatic.nfev == len(calls) > automatic.njev > 0
    calls.clear()
    given = nnx.minimize(cost, START, method=method, jac=slope)
    assert (given.nfev, given.njev) == (len(calls), len(slopes))
    assert given.nhev == automatic.nhev
    for most in range(1, 31):
        calls.clear()
        result = nnx.minimize(cost, START, method=method, options={"maxfev": most})
        assert result.nfev == len(calls) <= most


@pytest.mark.parametrize("given", [True, False])
def test_a_search_within_bounds_counts_values_and_gradients(given):
    watched = Watched()
    jac = watched.gradient if given else None
    result = nnx.minimize(watched.cost, START, method="lbfgs", bounds=BOX, jac=jac)
    assert result.success
    assert result.nfev == len(watched.points)
    if given:
        assert result.njev == watched.slopes < result.nfev


@each_square
@pytest.mark.parametrize("bends", [None, True])
def test_nfev_and_njev_of_sums_of_squares_are_the_calls(entry, bends):
    watched = Watched()
    options = {"geodesic": True} if bends and hasattr(entry.target, "geodesic") else {}
    result = nnx.least_squares(
        watched.residual, START, watched.jacobian, method=entry.name, options={"maxiter": 60, **options}
    )
    assert (result.nfev, result.njev) == (len(watched.points), watched.slopes)


@pytest.mark.parametrize("method", ["bfgs", "newton-cg", "trust-ncg", "l-bfgs-b"])
def test_counts_are_scipys_where_the_path_is_short(method):
    """One call for each point and no more: on a quadratic SciPy and nnx need about as many."""
    optimize = pytest.importorskip("scipy.optimize")
    calls = []

    def f(x):
        calls.append(1)
        return np.sum((x - 1.0) ** 2)

    keywords = {"jac": lambda x: 2.0 * (x - 1.0), "method": method}
    if method in ("newton-cg", "trust-ncg"):
        keywords["hess"] = lambda x: 2.0 * np.eye(2)
    expected = optimize.minimize(f, [3.0, 2.0], **keywords)
    assert expected.nfev == len(calls)
    calls.clear()
    result = nnx.minimize(f, [3.0, 2.0], **keywords)
    assert result.nfev == len(calls) <= expected.nfev + 2


# -- limits -------------------------------------------------------------------------------------------------


@each_cost
@pytest.mark.parametrize("given", [True, False], ids=["given gradient", "automatic"])
def test_no_method_calls_the_function_once_too_often(entry, given):
    for most in range(1, 31):
        watched = Watched()
        result = nnx.minimize(
            watched.cost,
            START,
            method=entry.name,
            jac=watched.gradient if given else None,
            hess=watched.hessian,
            options={"maxfev": most},
        )
        assert result.nfev == len(watched.points) <= most
        if result.status == 1:
            assert result.nfev == most
            assert result.message == f"The limit of {most} evaluations is reached."
            assert result.fun == np.nanmin(watched.costs)
        np.testing.assert_allclose(result.fun, Watched().cost(result.x), rtol=1e-12)
        np.testing.assert_allclose(result.jac, Watched().gradient(result.x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("given", [True, False], ids=["given gradient", "automatic"])
def test_a_search_within_bounds_keeps_the_limit_and_the_bounds(given):
    for most in range(1, 31):
        watched = Watched()
        jac = watched.gradient if given else None
        result = nnx.minimize(
            watched.cost, START, method="l-bfgs-b", bounds=BOX, jac=jac, options={"maxfev": most}
        )
        assert result.nfev == len(watched.points) <= most
        assert result.fun == min(watched.costs)
        assert all(low <= x <= high for x, (low, high) in zip(result.x, BOX, strict=True))


@each_square
@pytest.mark.parametrize("geodesic", [None, True])
def test_no_method_for_squares_calls_the_residuals_once_too_often(entry, geodesic):
    options = {"geodesic": True} if geodesic and hasattr(entry.target, "geodesic") else {}
    for most in range(1, 31):
        watched = Watched()
        result = nnx.least_squares(
            watched.residual, START, watched.jacobian, method=entry.name, max_nfev=most, options=options
        )
        assert result.nfev == len(watched.points) <= most
        assert result.njev == watched.slopes
        assert result.cost == pytest.approx(0.5 * np.sum(Watched().residual(result.x) ** 2), rel=1e-14)
        np.testing.assert_allclose(result.jac, watched.jacobian(result.x), rtol=1e-14)
        if result.status == 0:
            assert result.nfev == most
            if not entry.target.keeps_last:
                assert result.cost == pytest.approx(min(watched.costs), rel=1e-15)


@pytest.mark.parametrize("method", ["lm", "dogleg"])
def test_the_best_point_seen_is_one_within_the_bounds(method):
    low, high = np.asarray([-2.0, -1.0]), np.asarray([0.5, 2.0])
    for most in range(1, 20):
        watched = Watched()
        options = {"geodesic": True} if method == "lm" else {}
        result = nnx.least_squares(
            watched.residual, START, None, (low, high), method=method, max_nfev=most, options=options
        )
        inside = [
            cost
            for x, cost in zip(watched.points, watched.costs, strict=True)
            if np.all((low <= x) & (x <= high))
        ]
        assert np.all((low <= result.x) & (result.x <= high))
        if result.status == 0:
            assert result.cost == pytest.approx(min(inside), rel=1e-14)


@pytest.mark.parametrize("jac", ["2-point", "3-point"])
@pytest.mark.parametrize("method", ["bfgs", "lbfgs", "cg", "adam"])
def test_differences_do_not_call_once_too_often_either(jac, method):
    for most in range(1, 31):
        calls = []
        result = nnx.minimize(
            lambda x, calls=calls: (calls.append(1), rosenbrock(x))[1],
            START,
            method=method,
            jac=jac,
            options={"maxfev": most},
        )
        assert result.nfev == len(calls) <= most
        assert result.fun <= rosenbrock(np.asarray(START))
        np.testing.assert_allclose(result.fun, rosenbrock(result.x), rtol=1e-12)


def test_limits_hold_on_every_backend(backend):
    x0 = backend.asarray(START, dtype="float64")
    for method in ("bfgs", "lbfgs", "adam", "adaptive_learning_rate", "sr1"):
        watched = Watched()
        result = nnx.minimize(watched.cost, x0, method=method, options={"maxfev": 7})
        assert result.nfev == len(watched.costs) <= 7
        assert result.fun == min(watched.costs)
        assert type(result.x) is type(x0)
    result = nnx.least_squares(lambda x: x**2 - 2.0, x0, max_nfev=3)
    assert (result.nfev, result.status) == (3, 0)


def test_time_ends_a_run_within_an_iteration():
    calls = []

    def slow(x):
        calls.append(1)
        time.sleep(0.02)
        return np.stack([10.0 * (x[1] - x[0] ** 2), 1.0 - x[0]])

    jac = Watched().jacobian
    result = nnx.least_squares(slow, START, jac, options={"maxtime": 0.05})
    assert "time limit of 0.05 seconds" in result.message
    assert result.nfev == len(calls) <= 4
    whole = nnx.minimize(lambda x: np.sum(slow(x) ** 2), START, options={"maxtime": 1e-9})
    assert (whole.status, whole.nfev) == (1, 1)  # the start is evaluated whatever the limit
    np.testing.assert_array_equal(whole.x, START)


def test_without_a_limit_nothing_is_watched():
    budget = Budget(Limits(maxfev=2))
    budget.allow()
    budget["value"] += 2
    with pytest.raises(Spent, match="limit of 2 evaluations"):
        budget.allow()
    with pytest.raises(Spent, match="time limit"):
        clock = Budget(Limits(maxtime=1e-3))
        clock.allow()
        clock.start(time.perf_counter() - 1.0)
        clock.allow()
    clock.stop_clock()
    clock.allow()
    assert not Limits(maxiter=3).within_iterations


@each_cost
def test_a_limit_that_is_not_reached_changes_nothing(entry):
    """The path is the same: trial points are evaluated with their gradients, at the same places."""
    options = {"maxiter": 15}
    free = nnx.minimize(rosenbrock, START, method=entry.name, options=options)
    bound = nnx.minimize(rosenbrock, START, method=entry.name, options=options | {"maxfev": 10**6})
    np.testing.assert_array_equal(bound.x, free.x)
    assert (bound.status, bound.nit) == (free.status, free.nit)
