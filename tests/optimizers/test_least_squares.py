"""``least_squares``: SciPy's calls and fields, and what happens where a problem is not a nice one."""

from __future__ import annotations

import itertools
import math
import re

import numpy as np
import pytest

import nnx
from nnx.backend import namespace, to_numpy
from nnx.errors import DataError, OptionError, ShapeError
from nnx.optimizers import LevenbergMarquardt

METHODS = ("lm", "gauss_newton", "dogleg")
T = np.linspace(0.0, 3.0, 30)
Y = 2.0 * np.exp(-1.5 * T) + 0.3 * np.cos(5.0 * T)
SCIPYS = ("x", "cost", "fun", "jac", "grad", "optimality", "nfev", "njev", "status", "message", "success")

each_method = pytest.mark.parametrize("method", METHODS)
each_solver = pytest.mark.parametrize("solver", ["cholesky", "qr", "products"])


def decay(b, t=T, y=Y):
    return b[0] * namespace(b).exp(-b[1] * t) - y


def rosenbrock(x):
    return namespace(x).stack([10.0 * (x[1] - x[0] ** 2), 1.0 - x[0]])


def jacobian(b, t=T, y=Y):
    e = np.exp(-b[1] * t)
    return np.stack([e, -b[0] * t * e], axis=1)


def scipys(fun, x0, **options):
    optimize = pytest.importorskip("scipy.optimize")
    return optimize.least_squares(fun, x0, ftol=1e-15, xtol=1e-15, gtol=1e-15, **options)


# -- calls and fields -------------------------------------------------------------------------------------


@each_method
def test_the_fields_are_scipys_and_belong_to_the_point(method):
    result, expected = nnx.least_squares(decay, [1.0, 1.0], method=method), scipys(decay, [1.0, 1.0])
    assert set(SCIPYS) <= set(result)
    np.testing.assert_allclose(result.x, expected.x, rtol=1e-7)
    assert result.cost == pytest.approx(expected.cost, rel=1e-12)
    np.testing.assert_allclose(result.fun, decay(result.x), rtol=1e-14)
    np.testing.assert_allclose(result.jac, jacobian(result.x), rtol=1e-12)
    np.testing.assert_allclose(result.grad, result.jac.T @ result.fun, atol=1e-14)
    assert result.optimality == np.max(np.abs(result.grad)) < 1e-6
    assert result.success
    assert result.status in (1, 2, 3)
    assert type(result.cost) is type(result.optimality) is float
    assert result.nfev >= result.njev > 0


@each_method
def test_args_and_kwargs_reach_the_function_and_its_jacobian(method):
    plain = nnx.least_squares(decay, [1.0, 1.0], method=method)
    for jac in (None, jacobian):
        given = nnx.least_squares(decay, [1.0, 1.0], jac, method=method, args=(T,), kwargs={"y": Y})
        np.testing.assert_allclose(given.x, plain.x, rtol=1e-7)
    alone = nnx.least_squares(lambda x, a: x - a, [1.0, 1.0], args=3.0)
    np.testing.assert_allclose(alone.x, [3.0, 3.0], rtol=1e-12)


def test_a_given_jacobian_takes_the_place_of_differentiation():
    def opaque(b):
        return decay(np.asarray(to_numpy(b)))  # which nothing could differentiate

    result = nnx.least_squares(opaque, [1.0, 1.0], jac=jacobian)
    np.testing.assert_allclose(result.x, scipys(decay, [1.0, 1.0]).x, rtol=1e-7)
    with pytest.raises(ShapeError, match=r"\(30, 2\)"):
        nnx.least_squares(decay, [1.0, 1.0], jac=lambda b: np.ones((30, 3)))


def test_what_goes_in_as_a_container_comes_out_as_one():
    def r(p):
        return {"data": p["scale"] * np.exp(-p["rates"][0] * T) - Y, "prior": 0.1 * p["rates"]}

    result = nnx.least_squares(r, {"scale": np.asarray(1.0), "rates": np.ones((1, 1))})
    flat = nnx.least_squares(lambda b: np.concatenate([decay(b), 0.1 * b[1:]]), [1.0, 1.0])
    assert result.x["scale"].shape == ()
    assert result.x["rates"].shape == result.grad["rates"].shape == (1, 1)
    np.testing.assert_allclose(result.x["scale"], flat.x[0], rtol=1e-7)
    np.testing.assert_allclose(result.x["rates"], flat.x[1:, None], rtol=1e-7)
    assert result.jac.shape == (31, 2)


def test_an_array_of_any_shape_and_a_number_are_starts():
    target = np.arange(6.0).reshape(2, 3)
    assert nnx.least_squares(lambda x: x - target, np.zeros((2, 3))).x.shape == (2, 3)
    for x0 in (3.0, 3, np.float64(3.0), np.asarray(3.0)):  # the function gets a vector of one, as in SciPy
        result = nnx.least_squares(lambda x: x * x[0] - 4.0, x0)
        np.testing.assert_allclose(result.x, [2.0], rtol=1e-12)
    np.testing.assert_allclose(nnx.least_squares(lambda x: x - 1.0, np.asarray([3, 4])).x, [1.0, 1.0])


def test_the_start_is_not_written_to():
    x0 = np.asarray([-1.2, 1.0])
    nnx.least_squares(rosenbrock, x0, bounds=(-2.0, 2.0))
    np.testing.assert_array_equal(x0, [-1.2, 1.0])


def test_tolerances_and_limits_end_the_run():
    loose = nnx.least_squares(decay, [1.0, 1.0], xtol=1e-2)
    tight = nnx.least_squares(decay, [1.0, 1.0])
    assert loose.success
    assert loose.nit < tight.nit
    for options, words in (
        ({"maxiter": 2}, "limit of 2 iterations"),
        ({"maxfev": 2}, "limit of 2 evaluations"),
        ({"maxtime": 1e-9}, "time limit"),
    ):
        result = nnx.least_squares(decay, [1.0, 1.0], options=options)
        assert words in result.message
        assert result.status == 0
        assert not result.success
    assert nnx.least_squares(decay, [1.0, 1.0], max_nfev=2).status == 0
    goal = nnx.least_squares(rosenbrock, [-1.2, 1.0], options={"goal": 0.1})
    assert (goal.status, goal.success) == (5, True)
    assert goal.cost <= 0.1


def test_the_callback_sees_every_iteration_and_may_end_them():
    seen = []

    def callback(x):
        seen.append(x)
        if len(seen) == 3:
            raise StopIteration

    result = nnx.least_squares(rosenbrock, [-1.2, 1.0], callback=callback)
    assert (len(seen), result.nit, result.status) == (3, 3, -2)


@each_solver
@each_method
def test_every_solver_ends_at_the_same_point(method, solver):
    result = nnx.least_squares(decay, [1.0, 1.0], method=method, options={"solver": solver})
    # products of an inexact solver: the cost is level to rounding within √eps
    np.testing.assert_allclose(result.x, scipys(decay, [1.0, 1.0]).x, rtol=1e-6)
    assert result.success


@each_method
def test_it_runs_on_every_backend(backend, method):
    t, y, b = (backend.asarray(x, dtype="float64") for x in (T, Y, [1.0, 1.0]))
    result = nnx.least_squares(decay, b, method=method, args=(t, y))
    assert namespace(result.x) is namespace(result.jac) is namespace(result.grad) is backend.xp
    np.testing.assert_allclose(to_numpy(result.x), nnx.least_squares(decay, [1.0, 1.0]).x, rtol=1e-7)
    assert type(result.cost) is float


@each_solver
@each_method
def test_single_precision_stays_single_without_nan(method, solver):
    t, y = T.astype("float32"), Y.astype("float32")
    start = np.ones(2, dtype="float32")
    result = nnx.least_squares(decay, start, method=method, args=(t, y), options={"solver": solver})
    assert result.x.dtype == result.jac.dtype == np.float32
    np.testing.assert_allclose(result.x, scipys(decay, [1.0, 1.0]).x, rtol=2e-3)
    assert result.success


# -- bounds -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["lm", "trf", "dogbox"])
@pytest.mark.parametrize(
    "bounds",
    [
        ([-2.0, -1.0], [0.5, 3.0]),
        (-2.0, 0.9),
        (np.asarray([-2.0, 1.5]), np.asarray([2.0, 3.0])),
        ([-np.inf, -np.inf], [np.inf, 0.5]),
    ],
    ids=["corner", "numbers", "arrays", "one side"],
)
def test_bounds_end_where_scipys_trust_region_does(method, bounds):
    # also for two variables, where SciPy's pair (lower, upper) looks like two pairs (low, high)
    low, high = (np.broadcast_to(b, 2) for b in bounds)
    x0 = np.clip([-1.2, 1.0], low + 0.01, high - 0.01)
    result = nnx.least_squares(rosenbrock, x0, bounds=bounds, method=method)
    expected = scipys(rosenbrock, x0, bounds=bounds)
    # SciPy's points are inside the bounds, and come as close as its tolerances let them
    np.testing.assert_allclose(result.x, expected.x, atol=1e-5)
    assert result.cost <= expected.cost * (1.0 + 1e-12)
    assert np.all((low <= result.x) & (result.x <= high))
    assert result.success


def test_optimality_is_that_of_the_variables_that_may_move():
    result = nnx.least_squares(rosenbrock, [-1.0, 0.5], bounds=([-2.0, -1.0], [0.5, 3.0]))
    assert result.grad[0] < -0.4  # the way down leads out of the bounds
    assert result.optimality == abs(result.grad[1]) < 1e-8
    inside = nnx.least_squares(decay, [1.0, 1.0], bounds=(0.0, 9.0), max_nfev=2)
    assert inside.optimality == np.max(np.abs(inside.grad))


@pytest.mark.parametrize("method", ["lm", "trf", "dogleg"])
def test_a_start_outside_is_refused_as_in_scipy(method):
    bounds = ([0.0, 0.0], [3.0, 8.0])
    for x0, words in (([10.0, 1.0], "entry 0 is 10.* 0 and 3"), ([1.0, -1e-9], "entry 1 is -1e-09")):
        with pytest.raises(OptionError, match=f"x0 is outside of the bounds: {words}"):
            nnx.least_squares(lambda x: x - 5.0, x0, bounds=bounds, method=method)
        with pytest.raises(ValueError, match="outside of provided bounds"):
            scipys(lambda x: x - 5.0, x0, bounds=bounds)
    corner = nnx.least_squares(lambda x: x - 5.0, [3.0, 8.0], bounds=bounds, method=method)
    np.testing.assert_allclose(corner.x, [3.0, 5.0], rtol=1e-12)


def test_bounds_of_more_variables_may_be_pairs_or_an_object():
    class Bounds:
        lb, ub = np.zeros(3), np.full(3, 2.0)

    for bounds in ([(0.0, 2.0)] * 3, [(None, 2.0), (0.0, 2.0), (0.0, None)], Bounds()):
        result = nnx.least_squares(lambda x: x - np.asarray([5.0, -1.0, 1.0]), np.ones(3), bounds=bounds)
        np.testing.assert_allclose(result.x, [2.0, 0.0, 1.0], atol=1e-9)


# -- problems that are not nice -----------------------------------------------------------------------------


@each_solver
@each_method
def test_a_singular_jacobian_is_no_obstacle(method, solver):
    def r(x):  # only the sum of the first two counts, the third has no influence
        return np.stack([x[0] + x[1] - 3.0, np.exp(0.1 * (x[0] + x[1])) - np.exp(0.3), 0.0 * x[2] + 1.0])

    result = nnx.least_squares(r, [5.0, 7.0, 2.0], method=method, options={"solver": solver})
    assert result.success, result.message
    assert result.x[0] + result.x[1] == pytest.approx(3.0, rel=1e-5)
    assert result.x[2] == pytest.approx(2.0)
    assert result.cost == pytest.approx(0.5, rel=1e-9)


@each_solver
@each_method
def test_more_variables_than_residuals(method, solver):
    a = np.random.default_rng(2).normal(size=(3, 8))
    result = nnx.least_squares(
        lambda x: np.tanh(a @ x) - 0.3, np.zeros(8), method=method, options={"solver": solver}
    )
    assert result.cost < 1e-12
    assert result.success, result.message
    assert result.jac.shape == (3, 8)


@each_method
def test_constant_residuals_end_at_once(method):
    result = nnx.least_squares(lambda x: 0.0 * x + 2.0, [1.0, 2.0], method=method)
    assert (result.nit, result.status, result.success) == (0, -3, False)
    assert "Jacobian is zero" in result.message
    np.testing.assert_array_equal(result.x, [1.0, 2.0])


@each_method
def test_a_perfect_fit_ends_with_success(method):
    result = nnx.least_squares(lambda x: np.exp(x) - 2.0, np.zeros(3), method=method)
    assert result.success, result.message
    np.testing.assert_allclose(result.x, math.log(2.0), rtol=1e-14)
    at_once = nnx.least_squares(lambda x: x - 2.0, [2.0, 2.0], method=method)
    assert (at_once.nit, at_once.status, at_once.cost) == (0, 1, 0.0)


@each_method
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_start_without_a_finite_cost_is_a_status(method, bad):
    with np.errstate(invalid="ignore"):
        result = nnx.least_squares(lambda x: bad * x, [1.0, 2.0], method=method)
    assert (result.status, result.success, result.nit) == (-1, False, 0)
    assert "finite" in result.message or str(bad) in result.message
    np.testing.assert_array_equal(result.x, [1.0, 2.0])


@each_method
def test_nan_far_from_the_start_is_stepped_back_from(method):
    with np.errstate(invalid="ignore"):  # the logarithm is no number below 0, where a full step leads
        result = nnx.least_squares(lambda x: np.log(x) + 3.0, [2.0, 50.0], method=method)
    np.testing.assert_allclose(result.x, math.exp(-3.0), rtol=1e-9)
    assert result.success, result.message


@each_method
def test_the_best_point_is_kept_where_the_run_is_cut_off(method):
    costs = [0.5 * np.sum(rosenbrock(np.asarray([-1.2, 1.0])) ** 2)]
    for most in range(1, 8):
        result = nnx.least_squares(rosenbrock, [-1.2, 1.0], method=method, options={"maxfev": most})
        assert result.cost == pytest.approx(0.5 * np.sum(rosenbrock(result.x) ** 2), rel=1e-14)
        costs.append(result.cost)
    assert all(b <= a for a, b in itertools.pairwise(costs))


@each_method
@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_scale_of_the_residuals_does_not_matter(method, scale):
    plain = nnx.least_squares(decay, [1.0, 1.0], method=method)
    scaled = nnx.least_squares(lambda b: scale * decay(b), [1.0, 1.0], method=method)
    np.testing.assert_allclose(scaled.x, plain.x, rtol=1e-7)
    assert abs(scaled.nit - plain.nit) <= 2  # where rounding ends the run
    assert scaled.success


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("method", [*METHODS, "bayesian"])
@pytest.mark.parametrize(
    ("scale", "words"),
    [
        (1e200, "cost is inf: the residuals, .* too large .* by about 1e-200"),
        (1e-200, "cost is 0: the residuals, .* too small .* by about 1e200"),
    ],
)
def test_residuals_whose_squares_are_no_numbers_are_told_of(method, scale, words):
    result = nnx.least_squares(lambda b: scale * decay(b), [1.0, 1.0], method=method)
    assert (result.status, result.success, result.nit) == (-1, False, 0)
    assert re.search(words, result.message), result.message


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
@each_method
@pytest.mark.parametrize(("unit", "words"), [(1e200, "too small.*1e200"), (1e-200, "too large.*1e-200")])
def test_variables_in_units_that_make_squares_no_numbers_are_told_of(method, unit, words):
    result = nnx.least_squares(lambda b: decay(b / unit), [unit, unit], method=method)
    assert (result.status, result.success) == (-1, False)
    assert re.search(f"derivatives of the residuals.*{words}", result.message), result.message


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("method", ["lm", "dogleg"])
def test_of_a_step_whose_squares_overflow_nothing_is_said(method):
    """The residuals are finite there, about 1e296: what warns of their squares would be nnx itself."""
    bounds = [(0.0, 29.0)]
    result = nnx.least_squares(lambda w: w**201 - 1.0, [0.3], bounds=bounds, method=method)
    assert math.isfinite(result.cost)


@each_solver
@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_where_only_products_of_gradients_would_be_no_numbers_the_minimum_is_found(solver, scale):
    result = nnx.least_squares(lambda b: scale * decay(b), [1.0, 1.0], options={"solver": solver})
    assert result.success, result.message
    np.testing.assert_allclose(result.x, scipys(decay, [1.0, 1.0]).x, rtol=1e-6)


@pytest.mark.parametrize("method", ["lm", "gauss_newton"])
def test_residuals_whose_squares_vanish_on_the_way_are_a_success(method):
    result = nnx.least_squares(lambda x: x**4, [1.0], method=method)
    assert (result.cost, result.status, result.success) == (0.0, 1, True)
    assert result.fun[0] > 0.0
    assert "squares of all residuals" in result.message


def test_a_level_cost_at_a_minimum_with_large_residuals_is_a_success():
    result = nnx.least_squares(lambda x: np.concatenate([x - 1e8, x + 1e8]), [3.0], method="lm")
    assert result.success
    assert abs(result.x[0]) < 1e-5  # numbers near 1e8 are 1.5e-8 apart, and a bend divides by 0.1²


def test_the_damping_limit_is_a_status():
    def jac(x):  # has the wrong sign after the first step, so that every further step leads up
        return np.exp(x)[:, None] if x[0] == 2.0 else -np.exp(x)[:, None]

    method = LevenbergMarquardt(damping="matlab", mu_max=1e3)
    result = nnx.least_squares(lambda x: np.exp(x) - 2.0, [2.0], jac, method=method)
    assert (result.status, result.success, result.nit) == (-3, False, 1)
    assert "mu_max" in result.message


# -- errors -------------------------------------------------------------------------------------------------


def test_errors_teach():
    with pytest.raises(OptionError, match="not made for sums of squares"):
        nnx.least_squares(decay, [1.0, 1.0], method="bfgs")
    with pytest.raises(OptionError, match="Unknown optimizer 'levenberg'"):
        nnx.least_squares(decay, [1.0, 1.0], method="levenberg")
    with pytest.raises(OptionError, match=r"no argument 'mue'\. Use mu"):
        nnx.least_squares(decay, [1.0, 1.0], options={"mue": 1.0})
    with pytest.raises(OptionError, match="belong to the method"):
        nnx.least_squares(decay, [1.0, 1.0], method=LevenbergMarquardt(), options={"mu": 1.0})
    for name, words in (
        ("loss", "Use nothing in its place .*robust"),
        ("x_scale", "scaling='jac'"),
        ("tr_solver", r"options=\{'solver': "),
        ("verbose", r"options=\{'disp': "),
        ("maxiter", r"options=\{'maxiter': "),
        ("kwarg", r"Use kwargs\."),
    ):
        with pytest.raises(OptionError, match=rf"least_squares has no argument '{name}'\..*{words}"):
            nnx.least_squares(decay, [1.0, 1.0], **{name: 2})
    with pytest.raises(OptionError, match=r"LevenbergMarquardt has no argument 'loss'\. Use nothing"):
        nnx.least_squares(decay, [1.0, 1.0], options={"loss": "soft_l1"})
    with pytest.raises(OptionError, match="solver must be one of"):
        nnx.least_squares(decay, [1.0, 1.0], options={"solver": "lu"})
    with pytest.raises(OptionError, match="knows no bounds"):
        nnx.least_squares(decay, [1.0, 1.0], method="gauss_newton", bounds=(0.0, 1.0))
    with pytest.raises(OptionError, match="above the upper"):
        nnx.least_squares(decay, [1.0, 1.0], bounds=(1.0, 0.0))
    with pytest.raises(DataError, match="nothing to minimise"):
        nnx.least_squares(lambda b: b[:0], [1.0, 1.0])
    with pytest.raises(OptionError, match=r"nnx\.least_squares"):
        nnx.minimize(lambda b: np.sum(decay(b) ** 2), [1.0, 1.0], method="lm")


@pytest.mark.parametrize("solver", ["cholesky", "qr"])
def test_rows_in_blocks_under_a_memory_limit_change_nothing(solver, backend):
    t = backend.asarray(np.linspace(0.0, 1.0, 50), dtype="float64")

    def residual(b):
        xp = namespace(b)
        return b[0] * xp.exp(-b[1] * t) + b[2] - xp.cos(t)

    x0 = backend.asarray([1.0, 1.0, 0.5], dtype="float64")
    options = {"solver": solver, "maxiter": 5}
    whole = nnx.least_squares(residual, x0, options=options)
    # 7 rows of three numbers of 8 bytes at a time; the system itself has 9 numbers
    parts = nnx.least_squares(residual, x0, options=options | {"memory_limit": 7 * 3 * 8.0})
    np.testing.assert_allclose(to_numpy(parts.x), to_numpy(whole.x), rtol=1e-9)
    assert parts.njev == whole.njev + 1  # the whole one, for the result
