"""What Lion, FTRL and schedule-free AdamW promise beyond the contract and their likeness to Keras."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from nnx.errors import OptionError
from nnx.optimizers import Ftrl, Lion, ScheduleFreeAdamW, schedules


def test_lion_moves_every_weight_by_the_learning_rate(problem, run):
    before, _ = run(Lion(0.125), 4)
    after, _ = run(Lion(0.125), 5)
    np.testing.assert_allclose(np.abs(after - before), 0.125, rtol=1e-14)


def test_lion_with_weight_decay_is_the_rule_of_the_paper(problem, run):
    w, m, eta, decay = problem.start.copy(), np.zeros(20), 0.01, 0.1
    for _ in range(50):
        g = problem.gradient(w)
        w = w - eta * (np.sign(0.9 * m + 0.1 * g) + decay * w)
        m = 0.99 * m + 0.01 * g
    np.testing.assert_allclose(run(Lion(eta, weight_decay=decay), 50)[0], w, rtol=1e-13)


def ftrl_of_the_paper(problem, steps, alpha, beta, l1, l2):
    """McMahan et al. 2013, algorithm 1, weight by weight as printed; it starts from w = 0."""
    z, n, w = np.zeros(20), np.zeros(20), np.zeros(20)
    for _ in range(steps):
        for i in range(20):
            if abs(z[i]) <= l1:
                w[i] = 0.0
            else:
                w[i] = -(z[i] - np.sign(z[i]) * l1) / ((beta + np.sqrt(n[i])) / alpha + l2)
        g = problem.gradient(w)
        for i in range(20):
            sigma = (np.sqrt(n[i] + g[i] ** 2) - np.sqrt(n[i])) / alpha
            z[i] += g[i] - sigma * w[i]
            n[i] += g[i] ** 2
    return z, n


def test_ftrl_is_the_algorithm_of_the_paper(problem, run):
    alpha, beta, l1, l2 = 0.3, 1.0, 20.0, 0.4
    z, n = ftrl_of_the_paper(problem, 30, alpha, beta, l1, l2)
    optimizer = Ftrl(
        alpha,
        beta=beta,
        initial_accumulator_value=0.0,
        l1_regularization_strength=l1,
        l2_regularization_strength=l2 / 2.0,
    )
    w, state = run(optimizer, 30, start=np.zeros(20))
    np.testing.assert_allclose(state.slots["linear"], z, rtol=1e-12)
    np.testing.assert_allclose(state.slots["accumulator"], n, rtol=1e-12)
    np.testing.assert_array_equal(w == 0.0, np.abs(z) <= l1)
    assert 0 < np.sum(w == 0.0) < 20


@pytest.mark.parametrize("power", [-0.5, -0.3, 0.0])
def test_ftrl_with_roots_is_ftrl_with_powers(problem, run, power):
    near = power - 1e-15 if power else -0.0
    np.testing.assert_allclose(
        run(Ftrl(0.1, power), 20)[0], run(Ftrl(0.1, near), 20)[0], rtol=1e-10, atol=1e-12
    )


def test_ftrl_leaves_weights_that_never_had_a_gradient_at_zero(run):
    still = SimpleNamespace(layout=None, at=lambda w: SimpleNamespace(value=0.0, gradient=np.zeros(3)))
    with np.errstate(all="raise"):
        w, _ = run(Ftrl(initial_accumulator_value=0.0), 3, of=still, start=np.ones(3))
    np.testing.assert_array_equal(w, 0.0)


@pytest.mark.parametrize("rate", [0.0, schedules.CosineDecay(0.1, 2)])
def test_ftrl_refuses_a_learning_rate_of_zero(run, rate):
    with pytest.raises(OptionError, match=r"must be > 0, got 0\.0 in step"):
        run(Ftrl(rate), 4)


def test_schedule_free_weights_lie_between_the_steps_and_their_mean(problem, run):
    seen = [run(ScheduleFreeAdamW(0.05), n)[1].slots["momentum"] for n in range(1, 31)]
    w, _ = run(ScheduleFreeAdamW(0.05), 30)
    np.testing.assert_allclose(w, 0.1 * seen[-1] + 0.9 * np.mean(seen, axis=0), rtol=1e-12)


def test_schedule_free_warm_up_is_a_line(run):
    plane = SimpleNamespace(layout=None, at=lambda w: SimpleNamespace(value=0.0, gradient=np.ones(2)))
    optimizer = ScheduleFreeAdamW(0.5, warmup_steps=4, epsilon=0.0)
    z = [run(optimizer, n, of=plane, start=np.zeros(2))[1].slots["momentum"][0] for n in range(7)]
    np.testing.assert_allclose(-np.diff(z), [0.125, 0.25, 0.375, 0.5, 0.5, 0.5], rtol=1e-12)
