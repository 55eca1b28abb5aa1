"""SciPy's calls, word for word, and its answers: defaults, bounds, status, callbacks, single numbers."""

from __future__ import annotations

import inspect
import pickle

import numpy as np
import pytest

import nnx
from nnx.backend import namespace, to_numpy
from nnx.errors import OptionError, ShapeError

optimize = pytest.importorskip("scipy.optimize")

START = [-1.2, 1.0]


def rosenbrock(x):
    xp = namespace(x)
    return xp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def residual(x):
    return namespace(x).stack([10.0 * (x[1] - x[0] ** 2), 1.0 - x[0]])


def line(t, a, b):
    return a * t + b


# -- defaults written out -------------------------------------------------------------------------------------


def defaults(function):
    own = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in own if p.default is not p.empty}


def test_every_default_of_scipy_may_be_written_out():
    mine = nnx.least_squares(residual, START, **defaults(optimize.least_squares))
    np.testing.assert_allclose(mine.x, [1.0, 1.0], rtol=1e-7)
    mine = nnx.minimize(rosenbrock, START, **defaults(optimize.minimize))
    np.testing.assert_allclose(mine.x, [1.0, 1.0], rtol=1e-7)
    t = np.arange(5.0)
    popt, _ = nnx.curve_fit(line, t, 2.0 * t + 1.0, **defaults(optimize.curve_fit))
    np.testing.assert_allclose(popt, [2.0, 1.0], rtol=1e-9)


@pytest.mark.parametrize("method", ["gauss_newton", "bayesian", "lm", "dogbox"])
def test_bounds_that_are_none_pass_with_every_method(method):
    for bounds in ((-np.inf, np.inf), ([-np.inf] * 2, [np.inf] * 2), np.full((2, 2), [[-np.inf], [np.inf]])):
        result = nnx.least_squares(residual, START, bounds=bounds, method=method, max_nfev=5)
        np.testing.assert_array_equal(result.active_mask, [0, 0])
    assert nnx.minimize(rosenbrock, START, bounds=[(None, None)] * 2, method="bfgs").success


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x_scale", 1.0),
        ("x_scale", 1),
        ("x_scale", "jac"),
        ("loss", "linear"),
        ("f_scale", 1),
        ("verbose", 0),
        ("tr_options", {}),
        ("workers", None),
        ("return_all", False),
        ("nan_policy", None),
    ],
)
def test_what_asks_for_nothing_passes_wherever_it_is_written(name, value):
    plain = nnx.least_squares(residual, START)
    for keywords in ({name: value}, {"options": {name: value}}):
        np.testing.assert_array_equal(nnx.least_squares(residual, START, **keywords).x, plain.x)
    t = np.arange(5.0)
    assert nnx.curve_fit(line, t, 2.0 * t, **{name: value}).result.success


@pytest.mark.parametrize(
    "options",
    [
        {"return_all": False},
        {"disp": None},
        {"disp": False},
        {"workers": None},
        {"norm": np.inf},
        {"maxfev": None},
    ],
    ids=str,
)
def test_so_do_the_options_of_minimize(options):
    for method in ("bfgs", "cg", "l-bfgs-b", None):
        assert nnx.minimize(rosenbrock, START, method=method, options=options).success


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("loss", "soft_l1", "robust loss"),
        ("f_scale", 0.5, "robust loss"),
        ("verbose", 2, "disp"),
        ("x_scale", [1.0, 2.0], "scaling"),
        ("x_scale", np.asarray([1.0, 2.0]), "scaling"),
        ("jac_sparsity", np.ones((2, 2)), "products"),
        ("tr_solver", "lsmr", "solver"),
        ("nan_policy", "omit", "NaN"),
        ("verbose", False, "disp"),
        ("loss", lambda z: z, "robust loss"),
    ],
)
def test_what_asks_for_something_is_refused_with_what_to_do(name, value, words):
    with pytest.raises(OptionError, match=f"no argument '{name}'.*{words}"):
        nnx.least_squares(residual, START, **{name: value})


def test_methods_may_be_none():
    for result in (
        nnx.least_squares(residual, START, method=None),
        nnx.minimize(rosenbrock, START, method=None),
    ):
        assert result.success
    t = np.arange(5.0)
    np.testing.assert_allclose(nnx.curve_fit(line, t, 2.0 * t, method=None).popt, [2.0, 0.0], atol=1e-9)


@pytest.mark.parametrize("jac", ["oops", "exact", 3, ["2-point"]])
def test_a_jac_that_is_none_is_refused_with_the_choices(jac):
    t = np.arange(5.0)
    for call in (
        lambda: nnx.least_squares(residual, START, jac=jac),
        lambda: nnx.minimize(rosenbrock, START, jac=jac),
        lambda: nnx.minimize(rosenbrock, START, hess=jac, method="newton-cg"),
        lambda: nnx.curve_fit(line, t, 2.0 * t, jac=jac),
    ):
        with pytest.raises(OptionError, match=r"(jac|hess) must be None.*'2-point'.*'3-point'.*'cs'.*got"):
            call()


# -- arguments and single numbers ---------------------------------------------------------------------------


@pytest.mark.parametrize("args", [(2.0, 3.0), [2.0, 3.0], np.asarray([2.0, 3.0]), range(2, 4)], ids=str)
def test_args_are_any_sequence(args):
    def r(b, c, d):
        return b - c * d

    for jac in (None, lambda b, c, d: np.eye(2)):
        result = nnx.least_squares(r, [0.0, 0.0], jac, args=args)
        np.testing.assert_allclose(result.x, 6.0, rtol=1e-9)
        np.testing.assert_allclose(optimize.least_squares(r, [0.0, 0.0], args=args).x, 6.0, rtol=1e-6)


def test_minimize_takes_what_is_no_tuple_for_one_argument_as_scipy_does():
    data = [2.0, 3.0]
    for library in (nnx, optimize):
        result = library.minimize(lambda x, d: (x[0] - d[0]) ** 2 + (x[1] - d[1]) ** 2, [0.0, 0.0], data)
        np.testing.assert_allclose(result.x, data, rtol=1e-4)


@pytest.mark.parametrize("x0", [3.0, 3, [3.0], np.float64(3.0), np.asarray(3.0), np.asarray([3.0])], ids=repr)
@pytest.mark.parametrize("method", ["bfgs", "cg", "lbfgs", "newton", "newton-cg", "scg", "adam"])
def test_one_variable_in_every_form(x0, method):
    shapes = set()

    def whole(x):
        shapes.add(tuple(x.shape))
        return (x - 1.0) ** 2 + 1.0

    options = {"learning_rate": 0.1, "maxiter": 2000} if method == "adam" else {}
    for fun, jac in (
        (whole, None),
        (whole, lambda x: 2.0 * (x - 1.0)),
        (lambda x: whole(x)[0], lambda x: 2.0 * (x[0] - 1.0)),
        (lambda x: (whole(x), 2.0 * (x - 1.0)), True),
    ):
        result = nnx.minimize(fun, x0, jac=jac, hess=lambda x: 2.0, method=method, options=options)
        np.testing.assert_allclose(result.x, [1.0], rtol=1e-5)
        assert result.x.shape == result.jac.shape == (1,)
        assert type(result.fun) is float
    assert shapes == {(1,)}


def test_one_number_on_every_backend(backend):
    x0 = backend.asarray([3.0], dtype="float64")
    for jac in (None, lambda x: 2.0 * (x[0] - 1.0)):
        result = nnx.minimize(lambda x: (x - 1.0) ** 2, x0, jac=jac)
        assert type(result.x) is type(x0)
        np.testing.assert_allclose(to_numpy(result.x), [1.0])


def test_more_than_one_number_is_still_refused():
    with pytest.raises(ShapeError, match="gradient must have shape"):
        nnx.minimize(rosenbrock, START, jac=lambda x: 1.0)
    for jac in (lambda x: x, True):
        with pytest.raises(ShapeError, match="one number"):
            nnx.minimize(lambda x: (x, x) if jac is True else x, START, jac=jac)


# -- bounds -------------------------------------------------------------------------------------------------


SIDES = [[-2.0, -1.0], [0.5, 3.0]]


class Bounds:
    lb, ub = np.asarray([-2.0, -1.0]), [0.5, 3.0]


@pytest.mark.parametrize(
    "bounds",
    [
        SIDES,
        tuple(SIDES),
        np.asarray(SIDES),
        optimize.Bounds(*SIDES),
        Bounds(),
        tuple(map(np.asarray, SIDES)),
        (([None, -1.0]), (0.5, None)),
    ],
    ids=["lists", "tuple", "array", "SciPy's", "object", "arrays", "None"],
)
@pytest.mark.parametrize("method", ["lm", "dogleg"])
def test_forms_of_bounds_of_least_squares(bounds, method):
    expected = nnx.least_squares(residual, START, bounds=SIDES, method=method)
    result = nnx.least_squares(residual, START, bounds=bounds, method=method)
    np.testing.assert_array_equal(result.x, expected.x)
    np.testing.assert_array_equal(result.active_mask, [1, 0])
    t = np.arange(5.0)
    fit = nnx.curve_fit(line, t, 0.7 * t, bounds=bounds, method=method)
    np.testing.assert_array_equal(fit.result.active_mask, [1, 0])


@pytest.mark.parametrize(
    "bounds",
    [
        [(-2.0, 0.5), (-1.0, 3.0)],
        np.asarray([(-2.0, 0.5), (-1.0, 3.0)]),
        [np.asarray([-2.0, 0.5]), (-1.0, None)],
        optimize.Bounds(*SIDES),
        zip(*SIDES, strict=True),
    ],
    ids=["pairs", "array", "arrays", "SciPy's", "zip"],
)
def test_forms_of_bounds_of_minimize(bounds):
    result = nnx.minimize(rosenbrock, START, bounds=bounds)
    np.testing.assert_allclose(result.x, [0.5, 0.25], rtol=1e-6)


def test_arrays_of_pairs_and_of_sides_for_three_variables():
    low, high = np.asarray([0.0, 0.0, 0.0]), np.asarray([2.0, 2.0, 0.5])
    for bounds in (np.stack([low, high]), np.stack([low, high], axis=1)):
        result = nnx.least_squares(lambda x: x - 1.0, np.full(3, 0.25), bounds=bounds)
        np.testing.assert_allclose(result.x, [1.0, 1.0, 0.5], rtol=1e-9)
        result = nnx.minimize(lambda x: np.sum((x - 1.0) ** 2), np.full(3, 0.25), bounds=bounds)
        np.testing.assert_allclose(result.x, [1.0, 1.0, 0.5], rtol=1e-6)


def test_bounds_as_arrays_of_every_backend(backend):
    sides = backend.asarray(SIDES, dtype="float64")
    x0 = backend.asarray(START, dtype="float64")
    result = nnx.least_squares(residual, x0, bounds=sides)
    np.testing.assert_array_equal(to_numpy(result.active_mask), [1, 0])
    assert type(result.active_mask) is type(x0)
    pairs = nnx.minimize(rosenbrock, x0, bounds=backend.asarray([[-2.0, 0.5], [-1.0, 3.0]], dtype="float64"))
    np.testing.assert_allclose(to_numpy(pairs.x), [0.5, 0.25], rtol=1e-6)


@pytest.mark.parametrize(
    ("bounds", "error", "words"),
    [
        (([0.0], [3.0, 4.0]), ShapeError, r"shape \(2,\), like the variables; got \(1,\)"),
        (([0.0, 0.0], [3.0, 4.0, 5.0]), ShapeError, r"got \(3,\)"),
        (([[0.0, 0.0]], 5.0), ShapeError, r"got \(1, 2\)"),
        ((0.0, 1.0, 2.0), ShapeError, "got 3 entries"),
        (np.zeros((3, 2)), ShapeError, "got 3 entries"),
        (np.zeros(()), ShapeError, "got 0 entries"),
        (3.0, OptionError, "pairs"),
        ("none", OptionError, "pairs"),
        (([0.0, np.nan], 5.0), OptionError, "NaN"),
        (([0.0, 9.0], 5.0), OptionError, "above the upper"),
    ],
    ids=str,
)
def test_bounds_that_do_not_fit_are_refused(bounds, error, words):
    with pytest.raises(error, match=words):
        nnx.least_squares(lambda x: x - 1.0, [1.0, 2.0], bounds=bounds)
    t = np.arange(5.0)
    with pytest.raises(error, match=words):
        nnx.curve_fit(line, t, t, [1.0, 2.0], bounds=bounds)


@pytest.mark.parametrize(
    ("p0", "bounds"),
    [([5.0], (0, 2)), ([-1.0], (0.0, np.inf)), ([2.0], ([3.0], [4.0])), ([np.nan], (0, 2))],
)
def test_a_start_of_a_fit_outside_its_bounds_is_refused_as_in_scipy(p0, bounds):
    t = np.arange(5.0)
    with pytest.raises(ValueError, match="curve_fit: p0 is outside of the bounds: entry 0 is"):
        nnx.curve_fit(lambda t, a: a * t, t, t, p0, bounds=bounds)
    with pytest.raises(ValueError, match="outside of provided bounds"):
        optimize.curve_fit(lambda t, a: a * t, t, t, p0, bounds=bounds)


def test_active_mask_is_scipys_and_has_the_form_of_the_start():
    def r(x):
        return x - np.asarray([5.0, -5.0, 0.5])

    result = nnx.least_squares(r, np.full(3, 0.5), bounds=(0.0, 1.0))
    expected = optimize.least_squares(r, np.full(3, 0.5), bounds=(0.0, 1.0), method="dogbox")
    np.testing.assert_array_equal(result.active_mask, expected.active_mask)
    assert result.active_mask.tolist() == [1, -1, 0]
    formed = nnx.least_squares(
        lambda p: np.concatenate([p["a"] - 5.0, p["b"][0] + 5.0]),
        {"a": np.asarray([0.5]), "b": [np.asarray([0.5])]},
        bounds=(0.0, 1.0),
    )
    assert (int(formed.active_mask["a"][0]), int(formed.active_mask["b"][0][0])) == (1, -1)


# -- status ---------------------------------------------------------------------------------------------------


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


# -- callbacks ------------------------------------------------------------------------------------------------


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
    assert any(b > a for a, b in zip(costs[:-1], costs[1:], strict=True))


# -- the inverse Hessian of L-BFGS ------------------------------------------------------------------------------


def test_the_inverse_hessian_of_lbfgs_is_an_operator():
    a = np.diag([1.0, 4.0, 9.0]) + 0.5

    def f(x):
        return 0.5 * x @ (a @ x) - namespace(x).sum(x)

    for bounds in (None, [(-9.0, 9.0)] * 3):
        result = nnx.minimize(f, np.zeros(3), method="l-bfgs-b", bounds=bounds)
        v = result.hess_inv
        dense = v.todense()
        np.testing.assert_allclose(dense, dense.T, atol=1e-12)
        assert np.all(np.linalg.eigvalsh(dense) > 0.0)
        np.testing.assert_allclose(dense, np.linalg.inv(a), rtol=0.2, atol=0.02)
        x = np.asarray([1.0, -2.0, 0.5])
        np.testing.assert_allclose(v @ x, dense @ x, rtol=1e-12)
        np.testing.assert_allclose(v.matvec(x), dense @ x, rtol=1e-12)
        np.testing.assert_allclose(v @ np.eye(3)[:, :2], dense[:, :2], rtol=1e-12)
        assert (v.shape, v.dtype) == ((3, 3), np.float64)
        same = pickle.loads(pickle.dumps(result)).hess_inv
        np.testing.assert_array_equal(same.todense(), dense)
        with pytest.raises(ShapeError, match=r"\(3, 3\)"):
            v @ np.ones(4)


def test_the_updates_of_that_operator_are_those_of_bfgs():
    """V r = s for the newest pair, whatever the others; I where there is none."""
    seen = []
    result = nnx.minimize(
        rosenbrock, START, method="lbfgs", callback=lambda x: seen.append(x), options={"maxiter": 7}
    )
    slope = nnx.grad(rosenbrock)
    s, r = seen[-1] - seen[-2], slope(seen[-1]) - slope(seen[-2])
    np.testing.assert_allclose(result.hess_inv @ r, s, rtol=1e-6)
    none = nnx.minimize(rosenbrock, START, method="lbfgs", options={"maxiter": 0})
    np.testing.assert_array_equal(none.hess_inv.todense(), np.eye(2))


def test_that_operator_stays_on_its_backend(backend):
    x0 = backend.asarray(START, dtype="float64")
    v = nnx.minimize(rosenbrock, x0, method="lbfgs").hess_inv
    assert type(v.todense()) is type(v @ x0) is type(x0)
    np.testing.assert_allclose(to_numpy(v @ x0), to_numpy(v.todense()) @ np.asarray(START), rtol=1e-12)
