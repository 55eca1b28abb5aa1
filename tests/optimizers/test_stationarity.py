"""The independent judge of minima knows a minimum, what is none, and a plateau, in any units."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
from optimizers.least_squares_problems import MGH, NIST
from optimizers.nist_problems import PROBLEMS
from optimizers.regression_families import FAMILIES
from optimizers.stationarity import differences, verdict

import nnx

UNITS = pytest.mark.parametrize("unit", [1.0, 1e-15, 1e12])
EASY = [p for p in MGH if p.name in ("Bard", "Jennrich–Sampson", "Osborne 2", "Beale", "linear, rank 1")]


def minimum_of(p):
    tight = dict.fromkeys(("ftol", "xtol", "gtol"), 1e-15)
    return scipy.optimize.least_squares(p, p.start, nnx.jacobian(p), method="lm", x_scale="jac", **tight).x


@UNITS
@pytest.mark.parametrize("p", EASY, ids=lambda p: p.name)
def test_a_minimum_and_a_point_beside_it(p, unit):
    x = minimum_of(p)
    of_x = unit ** np.where(np.arange(x.size) % 2, -0.5, 1.0)
    q = p.in_units(unit, of_x)
    assert verdict(q, of_x * x).minimum
    beside = verdict(q, of_x * x * 1.01)
    assert beside.kind == "no"
    assert beside.gain > 1e-6


@pytest.mark.parametrize("n", range(len(FAMILIES)), ids=lambda n: FAMILIES[n].name)
def test_the_start_of_a_family_is_no_minimum(n):
    unit = (1.0, 1e-15, 1e12)[n % 3]
    p = FAMILIES[n].draw(np.random.default_rng(3), unit, 1.0 / unit)
    assert verdict(p, np.array(p.start)).kind == "no"


@pytest.mark.parametrize("p", NIST[1::2], ids=lambda p: p.name)
def test_the_certified_parameters_are_minima(p):
    assert verdict(p, PROBLEMS[p.name.split()[0]].parameters).minimum


def test_a_plateau_is_flat():
    p = next(p for p in NIST if p.name == "BoxBOD 1")
    y = PROBLEMS["BoxBOD"].y
    assert verdict(p, [np.mean(y), 90.0]).kind == "flat"  # where the exponential has vanished


def test_a_point_that_is_not_finite_is_no_minimum():
    assert verdict(MGH[0], [np.nan, 1.0]).kind == "no"


@pytest.mark.parametrize("p", EASY, ids=lambda p: p.name)
def test_the_differences_are_the_derivatives(p):
    x = np.array(p.start) + 0.01
    found = differences(p, x.astype(np.longdouble), np.abs(x)).astype(float)
    expected = nnx.jacobian(p)(x)
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-11 * np.max(np.abs(expected)))
