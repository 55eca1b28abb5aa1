"""The least-squares problems are what they are said to be: their minima, residuals and derivatives."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
from optimizers.least_squares_problems import DRIVER, MGH

import nnx
from nnx.backend import to_numpy

each_problem = pytest.mark.parametrize("p", MGH + DRIVER, ids=lambda p: p.name)
#: where the minima are found that MINPACK does not end at from the standard start
ELSEWHERE = {
    "Freudenstein–Roth": [(6, 5)],
    "Biggs EXP6": [(1.71141599, 17.68319818, 1.16314366, 5.18656155, 1.71141599, 1.16314366)],
    "trigonometric, n = 10": [(0.02,) * 10],
    "Chebyquad, n = 10": [(0.033, 0.155, 0.2, 0.382, 0.384, 0.529, 0.64, 0.714, 0.828, 0.925)],
    **{f"Brown almost-linear, n = {n}": [(0.0,) * (n - 1) + (n + 1.0,)] for n in (10, 30, 40)},
}


def test_there_are_41_of_more_garbow_and_hillstrom():
    assert len({p.name for p in MGH}) == len(MGH) == 41


def minimum_near(p, start, method="lm", gtol=1e-15):
    """Σ r² where SciPy's method ends, with tolerances of 1e-15."""
    tight = {"ftol": 1e-15, "xtol": 1e-15, "gtol": gtol}
    return 2.0 * scipy.optimize.least_squares(p, start, nnx.jacobian(p), method=method, **tight).cost


@each_problem
def test_the_stated_minima_are_minima(p):
    found = [minimum_near(p, p.start)]
    # The published point of Biggs' function with x₁ = x₅ is a saddle: a tighter gtol would lead away from it.
    found += [minimum_near(p, start, "trf", gtol=1e-7) for start in ELSEWHERE.get(p.name, ())]
    assert {p.reached(f) for f in found} == set(p.minima)
    # the bar is relative: a minimum of too few digits would be one that nobody reaches, or everybody
    np.testing.assert_allclose(found, [p.reached(f) for f in found], rtol=1e-8, atol=1e-16 * p.at_start)
    assert p.minima == tuple(sorted(p.minima))


@each_problem
def test_every_backend_gives_the_same_residuals(p, backend):
    x = np.array(p.start) + 0.01
    np.testing.assert_allclose(to_numpy(p(backend.asarray(x, dtype="float64"))), p(x), rtol=1e-11, atol=1e-12)


@each_problem
def test_the_jacobian_is_that_of_differences(p):
    x = np.array(p.start) + 0.01
    expected = scipy.optimize.approx_fprime(x, p, 1e-7)
    scale = np.max(np.abs(expected)) + 1.0
    # forward differences: half of their 16 digits, less what the second derivatives take
    np.testing.assert_allclose(nnx.jacobian(p)(x) / scale, expected.reshape(-1, x.size) / scale, atol=3e-5)


def test_other_units_are_the_same_problem():
    p = next(p for p in MGH if p.name == "Bard")
    units = (1e-12, 1e6, 1e3)
    q = p.in_units(1e-9, units)
    assert q.at_start == pytest.approx(1e-18 * p.at_start)
    np.testing.assert_allclose(q(np.array(q.start)), 1e-9 * p(np.array(p.start)))
    assert q.reached(1e-18 * p.minima[0]) == q.minima[0]


@pytest.mark.parametrize("value", [0.5, 100.0])
def test_what_is_no_minimum_is_not_reached(value):
    p = next(p for p in MGH if p.name == "Freudenstein–Roth")
    assert p.reached(value) is None
    assert p.reached(0.0) == 0.0
    assert p.reached(48.98425367924) == 48.98425367924
