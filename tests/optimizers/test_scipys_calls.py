"""SciPy's calls, word for word: its defaults written out, arguments, single numbers."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from optimizers.two_variables import START, line, residual, rosenbrock

import nnx
from nnx.backend import to_numpy
from nnx.errors import OptionError, ShapeError

optimize = pytest.importorskip("scipy.optimize")

# -- defaults written out ---------------------------------------------------------------------------------


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
        ("f_scale", np.float64(1.0)),
        ("verbose", False),
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
        ("verbose", True, "disp"),
        ("x_scale", True, "scaling"),
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


# -- arguments and single numbers -------------------------------------------------------------------------


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
    for fun, jac in ((lambda x: x, lambda x: x), (lambda x: (x, x), True)):
        with pytest.raises(ShapeError, match="one number"):
            nnx.minimize(fun, START, jac=jac)
