"""What the benchmarks of whole-data methods share: regressions by one hidden layer of tanh, to a goal.

A :class:`Task` knows the data, the starting weights and how good is good enough. A contender is a function
of a task and a start that trains to the goal and returns a :class:`Run`; :func:`main` lets contenders take
turns, each on each task in a process of its own, and prints a table for each task.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import _turns
import numpy as np

TURNS = 3


class Run(NamedTuple):
    """How long a training took to the goal, in how many steps, and the least cost that it saw."""

    seconds: float
    steps: int
    cost: float


class Reached(Exception):
    """Ends a run of a library that has no other way to end at a goal, or at a time."""


@dataclass(frozen=True)
class Task:
    """Rows of ``sizes[0]`` numbers onto ``sizes[2]`` smooth functions of them, float64."""

    sizes: tuple[int, int, int]
    samples: int
    goal: float
    starts: int = 3
    #: seconds after which a contender gives up
    limit: float = 60.0

    loss, head = "mse", "linear"

    def __str__(self) -> str:
        return f"{'-'.join(map(str, self.sizes))}/{self.samples}"

    @cached_property
    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Inputs in [−1, 1] and targets: sin(10x)/10x, or sines of a few directions."""
        inputs, _, outputs = self.sizes
        if inputs == 1:
            x = np.linspace(-1.0, 1.0, self.samples)[:, None]
            return x, np.sinc(10.0 / np.pi * x)
        random = np.random.default_rng(0)
        x = random.uniform(-1.0, 1.0, (self.samples, inputs))
        return x, np.sin(2.0 * x @ random.standard_normal((inputs, outputs)) / math.sqrt(inputs))

    def start(self, seed: int) -> list[np.ndarray]:
        """Kernel, bias, kernel, bias: Glorot's kernels, and biases that spread the units over the inputs."""
        inputs, units, outputs = self.sizes
        random = np.random.default_rng(seed)

        def kernel(m: int, n: int) -> np.ndarray:
            return random.uniform(-1.0, 1.0, (m, n)) * math.sqrt(6.0 / (m + n))

        first, last = kernel(inputs, units), kernel(units, outputs)
        return [first, random.uniform(-1.0, 1.0, units), last, np.zeros(outputs)]

    def clock(self) -> Clock:
        """A clock that starts now."""
        return Clock(self.goal, self.limit)


class Clock:
    """Says when a run is over, and remembers its least cost."""

    def __init__(self, goal: float, limit: float) -> None:
        self.goal, self.limit = goal, limit
        self.best, self.began = math.inf, time.perf_counter()

    def over(self, cost: float) -> bool:
        """Whether the goal or the limit is reached."""
        self.best = min(self.best, cost)
        return cost <= self.goal or time.perf_counter() - self.began > self.limit

    def check(self, cost: float) -> None:
        """Raises :class:`Reached` when the run is over."""
        if self.over(cost):
            raise Reached

    def run(self, steps: int) -> Run:
        """The run that ends now."""
        return Run(time.perf_counter() - self.began, steps, self.best)


class ByHand:
    """The network in NumPy with its derivatives written by hand, as functions of one vector of weights."""

    def __init__(self, task: Task) -> None:
        self.x, self.y = task.data
        self.sizes = inputs, units, outputs = task.sizes
        ends = np.cumsum([inputs * units, units, units * outputs, outputs])
        self.cuts, self.size = ends[:-1], int(ends[-1])
        self.scale = 1.0 / math.sqrt(self.y.size)

    def forward(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The hidden layer's output, the residuals r with ‖r‖² the mse, and the last kernel."""
        inputs, units, outputs = self.sizes
        a, b, c, d = np.split(w, self.cuts)
        h = self.x @ a.reshape(inputs, units)
        h += b
        np.tanh(h, out=h)
        last = c.reshape(units, outputs)
        r = h @ last
        r += d
        r -= self.y
        r *= self.scale
        return h, r, last

    def jacobian(self, h: np.ndarray, last: np.ndarray) -> np.ndarray:
        """∂r/∂w, the rows of output 0 first; in one array with the others' below."""
        return np.concatenate(list(self.rows(h, last, len(h))))

    def rows(self, h: np.ndarray, last: np.ndarray, size: int = 2048) -> Iterator[np.ndarray]:
        """∂r/∂w, ``size`` rows at a time for each output, all in one buffer."""
        inputs, units, outputs = self.sizes
        n, (p, q, s) = len(h), self.cuts
        for k in range(outputs):
            j = np.zeros((min(size, n), self.size))
            j[:, s + k] = self.scale
            for start in range(0, n, size):
                part = slice(start, start + size)
                x, some = self.x[part], h[part]
                m = len(some)
                slope = (1.0 - some * some) * (self.scale * last[:, k])
                np.multiply(x[:, :, None], slope[:, None, :], out=j[:m, :p].reshape(m, inputs, units))
                j[:m, p:q] = slope
                np.multiply(some, self.scale, out=j[:m, q + k : s : outputs])
                yield j[:m] if outputs == 1 or size < n else j[:m].copy()

    def cost_and_gradient(self, w: np.ndarray) -> tuple[float, np.ndarray]:
        """The mse and its gradient."""
        h, r, last = self.forward(w)
        return float(np.vdot(r, r)), self.gradient((2.0 * self.scale) * r, h, last)

    def gradient(self, g: np.ndarray, h: np.ndarray, last: np.ndarray) -> np.ndarray:
        """The gradient by the weights from that by the output."""
        by_last, back = h.T @ g, g @ last.T
        back *= 1.0 - h * h
        parts = (self.x.T @ back, back.sum(axis=0), by_last, g.sum(axis=0))
        return np.concatenate([part.ravel() for part in parts])


def network(task: Task, seed: int, optimizer: Any) -> Any:
    """The task's network in nnx, at its start."""
    import nnx

    inputs, units, outputs = task.sizes
    layers = [nnx.layers.Dense(units, "tanh", input_shape=(inputs,)), nnx.layers.Dense(outputs, task.head)]
    model = nnx.Sequential(layers, dtype="float64")
    model.compile(optimizer, task.loss)
    model.set_weights(task.start(seed))
    return model


def nnx_fit(optimizer: Any, task: Task, seed: int) -> Run:
    """The ``fit`` of nnx with a method that takes all samples at once."""
    import nnx

    network(task, seed, optimizer).fit(*task.data, epochs=2, verbose=0)  # what is loaded on first use
    model = network(task, seed, optimizer)

    class Ends(nnx.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            model.stop_training = model.stop_training or clock.over(logs["loss"])

    clock = task.clock()
    history = model.fit(*task.data, epochs=100_000, verbose=0, callbacks=Ends())
    return clock.run(len(history.epoch))


def torch_network(task: Task, seed: int) -> tuple[Any, Any, Any]:
    """The task's network in PyTorch at its start, and the data."""
    import torch

    inputs, units, outputs = task.sizes
    kind = {"dtype": torch.float64}
    model = torch.nn.Sequential(
        torch.nn.Linear(inputs, units, **kind), torch.nn.Tanh(), torch.nn.Linear(units, outputs, **kind)
    )
    with torch.no_grad():
        for parameter, w in zip(model.parameters(), task.start(seed), strict=True):
            parameter.copy_(torch.from_numpy(w.T))
    return model, *(torch.from_numpy(a) for a in task.data)


Contender = Callable[[Task, int], Run]


def main(script: str, tasks: list[Task], contenders: Mapping[str, Contender], title: str, skip: Any) -> None:
    """Entry point of a script; ratios are to the first contender. ``skip(task, name)`` leaves one out."""
    cases = {f"{task} {name}": (task, name) for task in tasks for name in contenders if not skip(task, name)}

    def all_starts(task: Task, name: str) -> list[Run]:
        return [contenders[name](task, seed) for seed in range(task.starts)]

    results, missing = _turns.in_turns(
        script, {case: partial(all_starts, *found) for case, found in cases.items()}, title, TURNS
    )
    print(f"{title}\n\n" + _turns.blas())
    for task in tasks:
        own = {name: case for case, (other, name) in cases.items() if other is task and case in results}
        if own:
            _table(task, {name: results[case] for name, case in own.items()}, missing, own)


def _table(task: Task, results: Mapping[str, list[list[Any]]], missing: Any, cases: Any) -> None:
    """The table of one task: medians over all turns and starts."""
    print(f"\n### {task}, to {task.loss} {task.goal:g}\n")
    print("| contender | s | min | max | × first | steps | ms a step | reached |")
    print("|---|---|---|---|---|---|---|---|")
    first = next(iter(results.values()))
    for name, turns in results.items():
        if not turns:
            print(f"| {name} | not run: {missing.get(cases[name], 'no turn')[:60]} | | | | | | |")
            continue
        runs = [Run(*run) for turn in turns for run in turn]
        seconds, steps = [run.seconds for run in runs], statistics.median(run.steps for run in runs)
        # turn by turn and start by start, so that the drift of the machine cancels
        pairs = ((a[0], b[0]) for ours, base in zip(turns, first, strict=False) for a, b in zip(ours, base))  # noqa: B905
        ratios = [a / b for a, b in pairs]
        ratio = f"{statistics.median(ratios):.3f}" if ratios else ""
        good = sum(run.cost <= task.goal for run in runs)
        worst = "" if good == len(runs) else f" (worst {max(run.cost for run in runs):.1e})"
        step = 1e3 * statistics.median(run.seconds / max(run.steps, 1) for run in runs)
        times = (statistics.median(seconds), min(seconds), max(seconds))
        shown = " | ".join(f"{t:.3f}" for t in times)
        print(f"| {name} | {shown} | {ratio} | {steps:g} | {step:.2f} | {good} of {len(runs)}{worst} |")
