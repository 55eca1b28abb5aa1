"""The regressions of NIST are read and written right: all that is certified follows from model and data."""

from __future__ import annotations

import numpy as np
import pytest
from optimizers.nist_problems import PROBLEMS, load

import nnx
from nnx.backend import namespace, to_numpy

every_problem = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)


def test_all_27_are_there():
    assert len(PROBLEMS) == 27
    levels = [problem.level for problem in PROBLEMS.values()]
    assert [levels.count(level) for level in ("Lower", "Average", "Higher")] == [8, 11, 8]


@every_problem
def test_the_certified_sum_of_squares_is_that_at_the_certified_parameters(problem):
    b = problem.parameters
    if problem.name == "Lanczos1":  # 11 digits of the parameters leave 3e4 times that sum: one more step
        b = b - np.linalg.lstsq(nnx.jacobian(problem.residual)(b), problem.residual(b), rcond=None)[0]
    # Both have 11 digits. Lanczos' data have 13, so that of his residuals fewer are left.
    tolerance = {"Lanczos1": 1e-2, "Lanczos2": 2e-10}.get(problem.name, 5e-11)
    np.testing.assert_allclose(np.sum(problem.residual(b) ** 2), problem.rss, rtol=tolerance)


@every_problem
def test_the_certified_deviations_follow_from_the_jacobian(problem):
    b, m = problem.parameters, problem.y.shape[0]
    r = np.linalg.qr(nnx.jacobian(problem.residual)(b), mode="r")
    variance = problem.rss / (m - b.shape[0])
    deviations = np.sqrt(variance * np.sum(np.linalg.inv(r) ** 2, axis=1))
    np.testing.assert_allclose(deviations, problem.deviations, rtol=1e-9)


@every_problem
def test_jacobians_are_those_of_complex_differences(problem):
    """Im f(b + ih)/h has no cancellation, so that h can be tiny: exact to rounding."""
    for b in (*problem.starts, problem.parameters):
        h = 1e-30 * np.abs(b)
        columns = [problem.residual(b + 1j * h * unit).imag / (h @ unit) for unit in np.eye(b.shape[0])]
        expected = np.stack(columns, axis=1)
        scale = np.max(np.abs(expected), axis=0)
        np.testing.assert_allclose(nnx.jacobian(problem.residual)(b) / scale, expected / scale, atol=2e-14)


@every_problem
def test_models_run_on_every_backend(problem, backend):
    b, x = (backend.asarray(a, dtype="float64") for a in (problem.parameters, problem.x))
    values = problem.model(b, x)
    assert namespace(values) is backend.xp
    np.testing.assert_allclose(to_numpy(values) - problem.y, problem.residual(problem.parameters), atol=1e-9)


@pytest.mark.parametrize(
    ("error", "digits"),
    [(0.0, 11.0), (1e-14, 11.0), (1e-6, 6.0), (10.0, 0.0), (np.nan, 0.0), (np.inf, 0.0)],
)
def test_digits_are_those_of_the_worst_parameter(error, digits):
    problem = load("Misra1a")
    b = problem.parameters * np.array([1.0 + 1e-12, 1.0 + error])
    assert problem.digits(b) == pytest.approx(digits, abs=1e-5)
