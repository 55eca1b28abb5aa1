"""Success only at a minimum, failure hardly ever at one: a small version of ``benchmarks/trust.py``."""

from __future__ import annotations

import numpy as np
import pytest
from optimizers.random_starts import SOURCES, drawn, judged

#: those of few variables, so that it takes seconds
NUMBERS = [n for n in range(3 * len(SOURCES)) if drawn(n)[1].size <= 4][:150]


@pytest.fixture(scope="module", params=[5, pytest.param(1, marks=pytest.mark.slow)], ids=["a fifth", "all"])
def found(request):
    return [judged(n) for n in NUMBERS[:: request.param]]


def test_no_run_is_silently_wrong(found):
    assert [run for run in found if run.silently_wrong] == []


def test_hardly_any_run_fails_at_a_minimum(found):
    minima = [run for run in found if run.verdict is not None and run.verdict.minimum]
    assert sum(run.false_failure for run in found) <= max(1, 0.01 * len(minima))


def test_most_runs_end_at_a_minimum(found):
    assert sum(run.verdict is not None and run.verdict.minimum for run in found) >= 0.75 * len(found)


def test_there_are_more_than_60_problems_and_a_run_is_the_same_wherever_it_runs():
    assert len(SOURCES) >= 60
    for n in (0, 80):
        (p, x, _), (q, z, _) = drawn(n), drawn(n)
        np.testing.assert_array_equal(x, z)
        np.testing.assert_array_equal(p(x), q(z))
