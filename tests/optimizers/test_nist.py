"""NIST's 27 certified regressions, from both of NIST's starts, by ``least_squares`` and ``curve_fit``."""

from __future__ import annotations

import numpy as np
import pytest
from optimizers.nist_problems import PROBLEMS

import nnx

RUNS = [pytest.param(problem, i, id=f"{name}-{i + 1}") for name, problem in PROBLEMS.items() for i in (0, 1)]
#: where methods stop on a plateau, creep along a valley, or find another minimum
HARD = ("BoxBOD", "Eckerle4", "MGH09", "MGH10", "MGH17", "Rat43")


@pytest.fixture(autouse=True)
def _overflow_is_no_news():
    with np.errstate(all="ignore"):
        yield


@pytest.mark.parametrize(("problem", "start"), RUNS)
def test_every_run_finds_six_digits_of_every_parameter(problem, start):
    result = nnx.least_squares(problem.residual, problem.starts[start])
    assert problem.digits(result.x) >= 6, result.message
    assert result.success, result.message


@pytest.mark.parametrize(
    "options",
    [
        {"method": "dogleg"},
        {"method": "lm", "options": {"damping": "matlab"}},
        {"method": "lm", "options": {"geodesic": False}},
        {"method": "lm", "options": {"scaling": "identity"}},
        {"method": "lm", "options": {"solver": "cholesky"}},
    ],
    ids=lambda options: "-".join([options["method"], *options.get("options", {})]),
)
@pytest.mark.parametrize("problem", [PROBLEMS[name] for name in HARD], ids=HARD)
def test_no_way_of_solving_is_silently_wrong(problem, options):
    options = options | {"options": {"maxiter": 100} | options.get("options", {})}
    result = nnx.least_squares(problem.residual, problem.starts[0], **options)
    assert problem.digits(result.x) >= 4 or not result.success, result.message


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_curve_fit_gives_the_certified_standard_deviations(problem):
    x, covariance = nnx.curve_fit(problem.curve, problem.x, problem.y, problem.starts[1])
    assert problem.digits(x) >= 6
    # Lanczos1's residuals are rounding errors, and so are its deviations, nearly.
    tolerance = 0.1 if problem.name == "Lanczos1" else 1e-5
    np.testing.assert_allclose(np.sqrt(np.diagonal(covariance)), problem.deviations, rtol=tolerance)
