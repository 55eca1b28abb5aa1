"""The small networks on which training algorithms are compared: MATLAB's SIN and PARITY, and a harder curve.

Weights start as in MATLAB's ``initnw``: the active regions of the neurons cover [−1, 1]ⁿ, the linear output
is uniform in [−1, 1]. The same seed gives every method the same start.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

import nnx
from nnx.callbacks import StopOnGoal, TerminateOnNaN, TimeLimit
from nnx.initializers import NguyenWidrow, RandomUniform
from nnx.layers import Dense
from nnx.optimizers import Deterministic


class Task(NamedTuple):
    """A network with the data that it is to learn, until the mean squared error is at most ``goal``."""

    model: nnx.Sequential
    x: Any
    y: Any
    goal: float


class Outcome(NamedTuple):
    """What came of a training. Evaluations are values, gradients, Jacobians and products with derivatives."""

    reached: bool
    iterations: int
    evaluations: int
    seconds: float
    error: float


def sin(seed: int) -> Task:
    """One period of a sine, 41 points, 1-5-1."""
    x = np.linspace(-1.0, 1.0, 41)[:, None]
    return Task(_network([1, 5], seed, _linear()), x, np.sin(np.pi * x), 0.002)


def parity(seed: int) -> Task:
    """Parity of three bits, ±1 everywhere, 3-10-10-1 with tanh in all layers."""
    x = np.array([[a, b, c] for a in (-1.0, 1.0) for b in (-1.0, 1.0) for c in (-1.0, 1.0)])
    return Task(_network([3, 10, 10, 1], seed), x, np.prod(x, axis=1, keepdims=True), 0.001)


def sinc(seed: int) -> Task:
    """sinc(10x) = sin(10πx)/(10πx), 201 points, 1-20-1 (61 weights), to eight digits."""
    x = np.linspace(-1.0, 1.0, 201)[:, None]
    return Task(_network([1, 20], seed, _linear()), x, np.sinc(10.0 * x), 1e-8)


def train(
    problem: Callable[[int], Task], optimizer: Any, seed: int = 0, epochs: int = 1000, seconds: float = 60.0
) -> Outcome:
    """Trains by ``fit`` from the start that belongs to ``seed``, until the goal or a limit is reached."""
    task = problem(seed)
    task.model.compile(optimizer, "mse")
    callbacks = [goal := StopOnGoal(task.goal), TimeLimit(seconds), TerminateOnNaN()]
    start = time.perf_counter()
    record = task.model.fit(
        task.x, task.y, batch_size=len(task.x), epochs=epochs, verbose=0, callbacks=callbacks
    )
    spent = time.perf_counter() - start
    iterations, errors = len(record.epoch), record.history["loss"]
    if isinstance(task.model.optimizer, Deterministic):
        evaluations = int(record.history["evaluations"][-1])
    else:
        evaluations = 2 * iterations  # a value and a gradient in each
    return Outcome(goal.reason is not None, iterations, evaluations, spent, errors[-1])


def _network(sizes: list[int], seed: int, *output: Dense) -> nnx.Sequential:
    model = nnx.Sequential(dtype="float64", seed=seed)
    for inputs, units in pairwise(sizes):
        bias = NguyenWidrow(inputs=inputs)
        model.add(
            Dense(
                units,
                "tanh",
                kernel_initializer="nguyen_widrow",
                bias_initializer=bias,
                input_shape=(inputs,),
            )
        )
    for layer in output:
        model.add(layer)
    return model


def _linear() -> Dense:
    start = RandomUniform(-1.0, 1.0)
    return Dense(1, kernel_initializer=start, bias_initializer=start)
