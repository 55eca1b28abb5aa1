"""Functions that write into x, costs of one variable, complex residuals: what users' functions do."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

import nnx
from nnx.backend import namespace, to_numpy
from nnx.errors import DerivativeError, DtypeError, ShapeError
from nnx.optimizers.descent.evaluation import precision


def _name(jac):
    return "function" if callable(jac) else str(jac)


def rosenbrock(x):
    return np.array([10 * (x[1] - x[0] ** 2), 1 - x[0]])


def writing(x):
    x -= 1.0
    return np.sum(x * x)


def writing_residual(x):
    x -= 1.0
    return x


def writing_jac(x):
    x -= 1.0
    return 2.0 * x


WRITERS = {
    "jac": {"jac": lambda x: 2.0 * (x - 1.0)},
    "jac that writes": {"jac": writing_jac},
    "cg": {"jac": writing_jac, "method": "cg"},
    "bounds": {"method": "l-bfgs-b", "bounds": [(-5, 5)] * 2},
    "differences": {"jac": "2-point"},
    "newton-cg": {"jac": lambda x: np.asarray([float(v) for v in writing_jac(x)]), "method": "newton-cg"},
    "hess": {"hess": lambda x: (x.fill(7.0), 2.0 * np.eye(2))[1], "method": "newton"},
    "hessp": {"hessp": lambda x, p: (x.fill(7.0), p.__imul__(2.0))[1], "method": "newton-cg"},
    "adam": {"jac": writing_jac, "method": "adam", "options": {"learning_rate": 0.1, "maxiter": 500}},
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_function_that_writes_into_x_gets_a_copy(name):
    result = nnx.minimize(writing, [3.0, 2.0], **WRITERS[name])
    np.testing.assert_allclose(result.x, 1.0, atol=1e-3 if name == "adam" else 1e-6)
    assert result.fun < 1e-6


@pytest.mark.parametrize("jac", [None, lambda x: np.eye(2), "2-point", "3-point", "cs"], ids=_name)
def test_so_do_residuals(jac):
    start = np.asarray([3.0, 2.0])
    np.testing.assert_allclose(nnx.least_squares(writing_residual, start, jac).x, 1.0, rtol=1e-7)
    np.testing.assert_array_equal(start, [3.0, 2.0])


def test_a_jacobian_that_is_returned_again_is_copied():
    buffer = np.empty((2, 2))

    def jac(x):
        buffer[...] = [[-20.0 * x[0], 10.0], [-1.0, 0.0]]
        return buffer

    result = nnx.least_squares(rosenbrock, [-1.2, 1.0], jac)
    np.testing.assert_allclose(result.x, 1.0, rtol=1e-7)
    buffer[...] = 0.0
    assert np.any(result.jac)


ONE = {
    "array": (lambda x: (x - 1.0) ** 2, {}),
    "list": (lambda x: [(x[0] - 1.0) ** 2], {}),
    "(1, 1)": (lambda x: (x[None, :] - 1.0) ** 2, {}),
    "array, jac": (lambda x: (x - 1.0) ** 2, {"jac": lambda x: 2 * (x - 1)}),
    "number, jac a number": (lambda x: (x[0] - 1.0) ** 2, {"jac": lambda x: 2 * (x[0] - 1)}),
    "jac a float": (lambda x: float((x[0] - 1.0) ** 2), {"jac": lambda x: float(2 * (x[0] - 1))}),
    "jac a list": (lambda x: (x - 1.0) ** 2, {"jac": lambda x: [2 * (x[0] - 1)]}),
    "both": (lambda x: ((x - 1.0) ** 2, 2 * (x - 1)), {"jac": True}),
    "both, numbers": (lambda x: ((x[0] - 1.0) ** 2, 2 * (x[0] - 1)), {"jac": True}),
    "differences": (lambda x: (x - 1.0) ** 2, {"jac": "2-point"}),
    "hess": (
        lambda x: (x - 1.0) ** 2,
        {"jac": lambda x: 2 * (x - 1), "hess": lambda x: 2.0, "method": "newton-cg"},
    ),
}


@pytest.mark.parametrize("name", ONE)
def test_one_variable(name):
    f, options = ONE[name]
    result = nnx.minimize(f, [3.0], **options)
    assert result.x.shape == (1,)
    np.testing.assert_allclose(result.x, 1.0, rtol=1e-7)


def test_one_residual_of_one_variable():
    for f, jac in (
        (lambda x: x**2 - 4.0, lambda x: 2.0 * x[0]),
        (lambda x: float(x[0]) ** 2 - 4.0, lambda x: [[2.0 * x[0]]]),
        (lambda x: [float(x[0]) ** 2 - 4.0], "3-point"),
    ):
        np.testing.assert_allclose(nnx.least_squares(f, [3.0], jac).x, 2.0, rtol=1e-7)


def test_more_than_one_number_is_still_refused():
    with pytest.raises(ShapeError, match="one number"):
        nnx.minimize(lambda x: x * x, [1.0, 2.0])
    with pytest.raises(ShapeError, match="one number"):
        nnx.minimize(lambda x: x * x, [1.0, 2.0], jac="2-point")


def phasor(p):
    xp = namespace(p)
    return p[0] * xp.exp(1j * p[1]) * xp.ones_like(p) - 2.0 * complex(math.cos(0.5), math.sin(0.5))


def phasor_jacobian(p):
    e = np.exp(1j * p[1])
    return np.stack([e * np.ones(2), 1j * p[0] * e * np.ones(2)], axis=1)


@pytest.mark.parametrize("method", ["lm", "dogleg", "gauss_newton"])
@pytest.mark.parametrize("jac", [None, phasor_jacobian, "2-point", "3-point"], ids=_name)
def test_complex_residuals_are_split(jac, method):
    result = nnx.least_squares(phasor, [1.0, 0.2], jac, method=method)
    np.testing.assert_allclose(result.x, [2.0, 0.5], rtol=1e-7)
    assert result.fun.shape == (4,)
    start = nnx.least_squares(phasor, [1.0, 0.2], jac, method=method, options={"maxiter": 0})
    assert start.cost == pytest.approx(0.5 * np.sum(np.abs(phasor(np.asarray([1.0, 0.2]))) ** 2), rel=1e-14)
    exact = phasor_jacobian(np.asarray([1.0, 0.2]))
    np.testing.assert_allclose(start.jac, np.concatenate([exact.real, exact.imag]), atol=1e-7)


def test_complex_residuals_on_every_backend_and_in_containers(backend):
    p0 = backend.asarray([1.0, 0.2], dtype="float64")
    result = nnx.least_squares(phasor, p0)
    np.testing.assert_allclose(to_numpy(result.x), [2.0, 0.5], rtol=1e-7)
    mixed = nnx.least_squares(lambda p: {"z": phasor(p), "r": 1e-3 * (p - 1.0)}, p0)
    assert mixed.fun.shape == (6,)


def test_a_complex_cost_is_refused():
    for options in ({}, {"jac": "2-point"}, {"jac": lambda x: 2 * x}):
        with pytest.raises((DtypeError, DerivativeError), match=r"real number, got a complex one"):
            nnx.minimize(lambda x: np.sum(x * x) * (1.0 + 0.5j), [1.0, 2.0], **options)
    with pytest.raises(DtypeError, match="imaginary parts would be lost"):
        nnx.minimize(lambda x: np.sum(x * x), [1.0, 2.0], jac=lambda x: 2j * x)
    with pytest.raises(DtypeError, match="imaginary parts would be lost"):
        nnx.least_squares(lambda x: x - 1.0, [1.0, 2.0], jac=lambda x: 1j * np.eye(2))


def test_types_of_two_libraries_are_not_compared(backend):
    # array-api-strict warns where one of its types is compared with one of NumPy's, which has the same hash
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for w in (np.ones(2), backend.asarray([1.0, 1.0], dtype="float64"), np.ones(2)):
            assert precision(w).eps == 2.0**-52
