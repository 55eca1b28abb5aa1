"""MATLAB's adaptive learning rate."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from nnx.errors import OptionError
from nnx.optimizers import AdaptiveLearningRate, FunctionProblem, schedules


class Told:
    """A function whose costs are told in advance; the gradient is always 1."""

    layout = None

    def __init__(self, *costs):
        self.costs = list(costs)

    def at(self, w):
        return SimpleNamespace(value=np.asarray(self.costs.pop(0)), gradient=np.ones(2))


@pytest.mark.parametrize(
    ("after", "factor", "accepted"),
    [
        (9.0, 1.05, True),
        (10.0, 0.7, True),
        (10.3, 0.7, True),
        (10.41, 0.7, False),
        (np.nan, 0.7, False),
        (np.inf, 0.7, False),
        (-np.inf, 0.7, False),
    ],
)
def test_the_cost_after_a_step_decides(after, factor, accepted):
    method, w = AdaptiveLearningRate(0.5, momentum=0.0), np.asarray([1.0, 2.0])
    problem = Told(10.0, after)
    w, state, info = method.step(problem, w, method.init(problem, w))
    np.testing.assert_array_equal(w, [0.5, 1.5] if accepted else [1.0, 2.0])
    assert (info.accepted, info.learning_rate) == (accepted, 0.5)
    assert state.learning_rate == 0.5 * factor
    assert state.step == 1


def test_a_negative_cost_is_judged_by_its_size():
    method, w = AdaptiveLearningRate(momentum=0.0), np.zeros(2)
    for after, accepted in ((-9.7, True), (-9.5, False)):
        problem = Told(-10.0, after)
        assert method.step(problem, w, method.init(problem, w))[2].accepted == accepted


def test_momentum_counts_after_a_cost_that_fell_and_only_then():
    method, w = AdaptiveLearningRate(1.0, momentum=0.9), np.zeros(2)
    problem = Told(10.0, 9.0, 9.0, 8.0, 8.0, 100.0, 8.0, 8.1, 8.1, 7.0)
    state, moves = method.init(problem, w), []
    for _ in range(5):
        before = w.copy()
        method.step(problem, w, state)
        moves.append((w - before)[0])
    # −η; then 0.9·m − 0.1·1.05; then refused; then −η alone with η = 1.05²·0.7, and after a small rise again
    eta = 1.05**2 * 0.7
    np.testing.assert_allclose(moves, [-1.0, -0.9 - 0.105, 0.0, -eta, -eta * 0.7], rtol=1e-14)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("options", [{}, {"use_ema": True, "weight_decay": 1e-6}])
def test_it_recovers_from_a_rate_that_is_far_too_large(problem, momentum, options):
    method, w = AdaptiveLearningRate(1e6, momentum=momentum, **options), problem.start.copy()
    state, costs, refused = method.init(problem, w), [problem.value(w)], 0
    for _ in range(300):
        before = w.copy(), state.vectors() and {k: v.copy() for k, v in state.vectors().items()}
        w, state, info = method.step(problem, w, state)
        if not info.accepted:
            refused += 1
            np.testing.assert_array_equal(w, before[0])
            for name, vector in state.vectors().items():
                np.testing.assert_array_equal(vector, before[1][name])
        costs.append(problem.value(w))
    assert refused > 20
    assert np.all(np.diff(costs) <= 0.04 * np.asarray(costs[:-1]))
    assert np.max(np.abs(problem.gradient(w))) < 1e-5


def test_it_asks_for_one_gradient_and_two_costs_a_step():
    problem, w = FunctionProblem(lambda w: np.sum(w * w)), np.ones(3)
    method = AdaptiveLearningRate()
    state = method.init(problem, w)
    for _ in range(5):
        method.step(problem, w, state)
    assert problem.counts == {"gradient": 5, "value": 10}


def test_an_error_while_the_step_is_judged_leaves_the_weights_as_they_were():
    problem, w = Told(10.0), np.asarray([1.0, 2.0])
    method = AdaptiveLearningRate(0.5)
    with pytest.raises(IndexError):
        method.step(problem, w, method.init(problem, w))
    np.testing.assert_array_equal(w, [1.0, 2.0])


def test_a_schedule_has_no_place_in_it():
    with pytest.raises(OptionError, match="the cost decides"):
        AdaptiveLearningRate(schedules.PowerDecay(0.1, 10))
