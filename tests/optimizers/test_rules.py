"""What single rules promise."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from nnx.optimizers import SGD, Adam, AMSGrad, IRpropMinus, IRpropPlus, RMSprop, Rprop


class Slope:
    """A plane: the gradient is the same everywhere."""

    layout = None

    def at(self, w):
        return SimpleNamespace(value=np.sum(w), gradient=np.ones_like(w))


def test_momentum_is_ten_times_faster_down_a_constant_slope(run):
    last = {}
    for name, optimizer in {"plain": SGD(), "momentum": SGD(momentum=0.9)}.items():
        before, _ = run(optimizer, 400, of=Slope(), start=np.zeros(3))
        after, _ = run(optimizer, 401, of=Slope(), start=np.zeros(3))
        last[name] = after - before
    # 1/(1 − β) = 10, reached as βᵗ → 0: 0.9⁴⁰⁰ = 5e-19; the differences of w near −40 have 1e-13 left
    np.testing.assert_allclose(last["momentum"] / last["plain"], 10.0, rtol=1e-11)


def test_the_rewritten_nesterov_is_the_look_ahead_in_the_shifted_variable(problem, run):
    eta, beta = 0.01, 0.9
    w, m = problem.start.copy(), np.zeros(20)
    for _ in range(100):
        m = beta * m - eta * problem.gradient(w + beta * m)
        w = w + m
    shifted, state = run(SGD(eta, beta, nesterov=True))
    np.testing.assert_allclose(shifted, w + beta * m, rtol=1e-12)
    np.testing.assert_allclose(state.slots["momentum"], m, rtol=1e-10)


def test_nesterov_without_momentum_is_plain_descent(run):
    np.testing.assert_array_equal(run(SGD(nesterov=True))[0], run(SGD())[0])


def irprop_plus_by_the_paper(problem, w, steps, delta, less=0.5, more=1.2, least=1e-6, most=50.0):
    """Igel & Hüsken 2000, iRprop⁺, weight by weight as printed."""
    w, n = w.copy(), len(w)
    delta, last, moved, last_value, undone = np.full(n, delta), np.zeros(n), np.zeros(n), np.inf, 0
    for _ in range(steps):
        value, g = problem.value(w), problem.gradient(w)
        for i in range(n):
            if last[i] * g[i] > 0.0:
                delta[i] = min(delta[i] * more, most)
                moved[i] = -np.sign(g[i]) * delta[i]
                w[i] += moved[i]
                last[i] = g[i]
            elif last[i] * g[i] < 0.0:
                delta[i] = max(delta[i] * less, least)
                if value > last_value:
                    w[i] -= moved[i]
                    undone += 1
                last[i] = 0.0
            else:
                moved[i] = -np.sign(g[i]) * delta[i]
                w[i] += moved[i]
                last[i] = g[i]
        last_value = value
    return w, undone


@pytest.mark.parametrize("first", [0.01, 0.5, 3.0])
def test_irprop_plus_is_the_algorithm_of_the_paper(problem, run, first):
    expected, undone = irprop_plus_by_the_paper(problem, problem.start, 60, first)
    w, _ = run(IRpropPlus(first), 60)
    np.testing.assert_allclose(w, expected, rtol=1e-12)
    assert undone > 0 or first < 1.0  # moves were taken back


def test_rprop_does_not_see_the_size_of_the_gradient(problem, run):
    class Steeper:
        layout = problem.layout

        def at(self, w):
            return SimpleNamespace(value=0.0, gradient=2.0**60 * problem.gradient(w))

    np.testing.assert_array_equal(run(Rprop())[0], run(Rprop(), of=Steeper())[0])


def test_rprop_minus_finds_the_minimum(problem, run):
    w, _ = run(IRpropMinus(0.1), 300)
    assert np.max(np.abs(problem.gradient(w))) < 1e-5  # its smallest step times the curvature, at most 6


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("size", [1.0, 1e3, 1e18])
def test_centered_rmsprop_stays_finite_on_a_constant_gradient(momentum, size):
    # s − a² is zero there, and in single precision its rounding error is far larger than ε
    constant = SimpleNamespace(value=0.0, gradient=np.full(5, size, dtype="float32"))
    problem = SimpleNamespace(layout=None, at=lambda w: constant)
    optimizer = RMSprop(centered=True, momentum=momentum)
    w = np.zeros(5, dtype="float32")
    state = optimizer.init(problem, w)
    for _ in range(500):
        optimizer.step(problem, w, state)
    assert np.all(np.isfinite(w))
    assert np.all(w < 0.0)


def test_the_step_sizes_of_amsgrad_never_grow():
    rng = np.random.default_rng(0)
    problem = SimpleNamespace(layout=None)
    w, optimizer = np.zeros(50), AMSGrad()
    state = optimizer.init(problem, w)
    before = state.slots["velocity_hat"].copy()
    for i in range(50):
        g = rng.standard_normal(50) / (1 + i)
        problem.at = lambda w, g=g: SimpleNamespace(value=0.0, gradient=g)
        optimizer.step(problem, w, state)
        assert np.all(state.slots["velocity_hat"] >= before)
        assert np.all(state.slots["velocity_hat"] >= state.slots["velocity"])
        before = state.slots["velocity_hat"].copy()


def test_the_first_step_of_adam_has_the_size_of_the_learning_rate(problem, run):
    w, _ = run(Adam(0.01, epsilon=0.0), 1)
    np.testing.assert_allclose(w, problem.start - 0.01 * np.sign(problem.gradient(problem.start)), rtol=1e-14)
