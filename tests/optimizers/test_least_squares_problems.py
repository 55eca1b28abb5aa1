"""The least-squares problems are what they are said to be: minima, residuals on every backend, derivatives."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
from optimizers.least_squares_problems import DRIVER, MGH

import nnx
from nnx.backend import to_numpy

each_problem = pytest.mark.parametrize("p", MGH + DRIVER, ids=lambda p: p.name)
#: starts to try until every stated minimum has been found
STARTS = 300


def test_there_are_41_of_more_garbow_and_hillstrom():
    assert len({p.name for p in MGH}) == len(MGH) == 41


def minimum_near(p, start):
    """Σ r² where MINPACK ends, with tolerances of 1e-15; infinite where it does not start."""
    tight = dict.fromkeys(("ftol", "xtol", "gtol"), 1e-15)
    try:
        with np.errstate(all="ignore"):
            return 2.0 * scipy.optimize.least_squares(p, start, nnx.jacobian(p), method="lm", **tight).cost
    except ValueError:  # residuals or Jacobian are not finite there
        return np.inf


@each_problem
def test_the_stated_minima_are_found_and_nothing_below(p):
    start, rng = np.array(p.start), np.random.default_rng(0)
    missing, x = set(p.minima), start
    for _ in range(STARTS):
        found = minimum_near(p, x)
        assert found >= p.minima[0] * (1.0 - 1e-9)
        missing.discard(p.reached(found))
        if not missing:
            break
        x = start * rng.uniform(-1.0, 2.0, start.size) + rng.normal(size=start.size)
    assert not missing
    assert p.minima == tuple(sorted(p.minima))


@each_problem
def test_minima_have_ten_digits(p):
    """The bar is relative; a minimum of too few digits would be one that nobody reaches, or everybody."""
    for minimum in filter(None, p.minima):
        near = [m for m in (minimum_near(p, p.start),) if p.reached(m) == minimum]
        np.testing.assert_allclose(near, minimum, rtol=1e-9)


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
