"""The data of public questions: enough of them, and the stated optimum is one."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
from optimizers.question_data import QUESTIONS

import nnx


def test_there_are_25_and_their_columns_fit():
    assert len({q.name for q in QUESTIONS}) == len(QUESTIONS) >= 25
    for q in QUESTIONS:
        assert len(q.x) == len(q.y) >= len(q.start)


@pytest.mark.parametrize("q", QUESTIONS, ids=lambda q: q.name)
def test_nothing_below_the_stated_optimum_is_found_from_the_start(q):
    p = q.problem
    for method in ("lm", "trf") if len(q.x) >= len(q.start) else ("trf",):
        with np.errstate(all="ignore"):
            try:
                found = scipy.optimize.least_squares(p, q.start, method=method, xtol=1e-12, max_nfev=500)
            except ValueError:  # residuals that are not finite on the way
                continue
        assert 2.0 * found.cost >= q.best * (1.0 - 1e-9)


@pytest.mark.parametrize("q", QUESTIONS, ids=lambda q: q.name)
def test_curve_fit_reaches_the_optimum_or_says_that_it_failed(q):
    p = q.problem
    try:
        with np.errstate(all="ignore"):
            fit = nnx.curve_fit(p.curve, q.x, q.y, q.start)
    except nnx.errors.FitError:
        return
    if q.name in ("small x and y", "a day's temperature"):  # another minimum, SciPy's and lmfit's as well
        return
    assert p.reached(p.sum_of_squares(fit.popt)) is not None
