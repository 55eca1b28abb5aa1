"""What the tests of optimizers share: problems whose gradient is written by hand, in NumPy."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from nnx.parameters import Layout


class HandWritten:
    """A smooth function of 20 variables, not quadratic, coupled, with pieces like those of a network.

    Its minimum lies farther away than most of the compared runs get: close to it, methods that divide by
    the size of the gradient step to and fro, and every rounding error grows from step to step.
    """

    steps = 100  # of a compared run
    layout = Layout(("dense/kernel", "dense/bias", "out/kernel"), ((3, 4), (4,), (4, 1)))
    start = np.sin(np.arange(1.0, 21.0))
    scale = 0.5 + np.arange(20) % 5
    centre = start + np.where(np.arange(20) % 3 == 0, -1.0, 1.0) * np.linspace(2.0, 3.0, 20)
    direction = np.linspace(-0.3, 0.4, 20)

    def value(self, w):
        d = w - self.centre
        return np.sum(self.scale * np.logaddexp(d, -d) + 0.05 * d**4) + 0.5 * (self.direction @ w) ** 2

    def gradient(self, w):
        d = w - self.centre
        return self.scale * np.tanh(d) + 0.2 * d**3 + (self.direction @ w) * self.direction

    def at(self, w):
        return SimpleNamespace(value=self.value(w), gradient=self.gradient(w))


@pytest.fixture
def problem():
    return HandWritten()


@pytest.fixture
def run(problem):
    """``run(optimizer, steps)``: the weights after so many steps from the start, and the state."""

    def run(optimizer, steps=100, of=problem, start=problem.start):
        w = np.array(start)
        state = optimizer.init(of, w)
        for _ in range(steps):
            w, state, _ = optimizer.step(of, w, state)
        return w, state

    return run
