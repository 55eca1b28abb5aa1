"""Calls of compiled code with traced numbers end in nnx's own error, which says what helps."""

from __future__ import annotations

import ctypes
import math
import operator

import numpy as np
import pytest

import nnx
from nnx.errors import DerivativeError

optimize = pytest.importorskip("scipy.optimize")
integrate = pytest.importorskip("scipy.integrate")

SOLVERS = {
    "brentq": lambda a: optimize.brentq(lambda t: t**2 - a, 0.0, 5.0),
    "brenth": lambda a: optimize.brenth(lambda t: t**2 - a, 0.0, 5.0),
    "ridder": lambda a: optimize.ridder(lambda t: t**2 - a, 0.0, 5.0),
    "bisect": lambda a: optimize.bisect(lambda t: t**2 - a, 0.0, 5.0),
    "toms748": lambda a: optimize.toms748(lambda t: t**2 - a, 0.0, 5.0),
    "a bound": lambda a: optimize.brentq(lambda t: t**2 - 2.0, 0.0, a),
    "args": lambda a: optimize.brentq(lambda t, a: t**2 - a, 0.0, 5.0, args=(a,)),
    "root_scalar": lambda a: optimize.root_scalar(lambda t: t**2 - a, bracket=(0.0, 5.0)).root,
    "root": lambda a: optimize.root(lambda t: t**2 - a, 1.0).x[0],
    "fsolve": lambda a: optimize.fsolve(lambda t: t**2 - a, 1.0)[0],
    "leastsq": lambda a: optimize.leastsq(lambda t: t**2 - a, 1.0)[0][0],
    "least_squares": lambda a: optimize.least_squares(lambda t: t**2 - a, 1.0).x[0],
    "minimize": lambda a: optimize.minimize(lambda t: (t[0] ** 2 - a) ** 2, [1.0]).x[0],
    "differential_evolution": lambda a: optimize.differential_evolution(
        lambda t: (t[0] ** 2 - a) ** 2, [(0.0, 3.0)], maxiter=1
    ).x[0],
}


def differentiate(f):
    return nnx.grad(f)(2.0), nnx.jvp(f, (2.0,), (1.0,))[1]


@pytest.mark.parametrize("transform", ["grad", "jvp", "hessian"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_solvers_point_to_implicit(solver, transform, capfd):
    f = SOLVERS[solver]
    call = {"grad": nnx.grad(f), "jvp": lambda a: nnx.jvp(f, (a,), (1.0,)), "hessian": nnx.hessian(f)}
    with pytest.raises(DerivativeError, match=r"nnx\.implicit\(root="):
        call[transform](2.0)


def test_what_the_message_advises_is_right():
    root = nnx.implicit(root=lambda t, a: t**2 - a)(lambda a: optimize.brentq(lambda t: t**2 - a, 0.0, 5.0))
    for slope in differentiate(root):
        np.testing.assert_allclose(slope, 0.5 / math.sqrt(2.0), rtol=1e-9)  # brentq's own tolerance: 2e-12


def test_solvers_in_python_are_differentiated():
    for slope in differentiate(lambda a: optimize.newton(lambda t: t**2 - a, 1.0, fprime=lambda t: 2.0 * t)):
        np.testing.assert_allclose(slope, 0.5 / math.sqrt(2.0), rtol=1e-8)


@pytest.mark.parametrize(
    "f",
    [
        lambda a: integrate.quad(lambda t: t * a, 0.0, 1.0)[0],
        lambda a: integrate.quad(lambda t: t, 0.0, a)[0],
        lambda a: integrate.odeint(lambda y, t: -a * y, 1.0, [0.0, 1.0])[-1, 0],
        lambda a: integrate.solve_ivp(lambda t, y: -a * y, (0.0, 1.0), [1.0]).y[0, -1],
    ],
)
def test_integrators_say_what_helps(f):
    with pytest.raises(DerivativeError, match="quadrature or the time steps"):
        nnx.grad(f)(2.0)


@pytest.mark.parametrize(
    "f",
    [
        math.sin, math.floor, math.ceil, math.trunc, int, float, complex, operator.index,
        lambda a: math.hypot(a, 1.0), lambda a: math.fsum([a, a]), lambda a: math.isclose(a, 1.0),
        lambda a: [1.0, 2.0, 3.0][a], lambda a: sum(range(a)), lambda a: ctypes.c_double(a).value,
        lambda a: operator.mod("%.2f", a), np.float64, np.float32,
    ],
)  # fmt: skip
def test_python_functions_of_numbers_are_refused(f):
    with pytest.raises(DerivativeError, match="its gradient would silently be lost"):
        nnx.grad(f)(2.0)


def test_an_error_of_a_later_call_is_its_own():
    with pytest.raises(DerivativeError):
        nnx.grad(SOLVERS["brentq"])(2.0)

    def other(a):
        optimize.brentq(lambda t: t**2 + 1.0, 0.0, 5.0)  # no change of sign
        return a

    with pytest.raises(ValueError, match="different signs") as caught:
        nnx.grad(other)(2.0)
    assert not isinstance(caught.value, DerivativeError)
