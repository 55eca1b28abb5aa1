"""Section: nnx beside PyTorch's eager mode on the same GPU, by device events, after warm-up, taking turns.

The network and its data are those of benchmarks/mlp_step.py, the regressions those of
benchmarks/levenberg_marquardt.py. Ratios are taken turn by turn. "Host" is the time until Python had
everything on its way: where it equals the device's, launching is what takes the time.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from checks import Check, Found
from lm_in_torch import Levenberg
from machine import Machine

#: (seconds on the device, seconds until the host was free) of one step
Times = tuple[float, float]
TURNS = 5


def checks(machine: Machine) -> Iterator[Check]:
    """The step first; then Levenberg–Marquardt, the larger problems last."""
    from _regression import Task

    yield Check("MLP 784-512-512-10, batch 128, dropout, RMSprop: a step", mlp, twice=False)
    tasks = (
        [Task((1, 4, 1), 60, 1e-3, starts=1, limit=5.0)]
        if machine.rehearsal
        else [
            Task((1, 20, 1), 1_000, 1e-8, starts=1, limit=8.0),
            Task((1, 20, 1), 10_000, 1e-8, starts=1, limit=8.0),
            Task((8, 50, 3), 10_000, 1e-3, starts=1, limit=15.0),
        ]
    )
    for task in tasks:
        name = f"Levenberg–Marquardt {task} to mse {task.goal:g}"
        yield Check(name, lambda machine, task=task: levenberg(machine, task), twice=False)


def mlp(machine: Machine) -> Found:
    """A step of each contender, and the ratios to the first."""
    from mlp_step import data

    x, y = data()
    if machine.rehearsal:
        x, y = x[:256], y[:256]
    contenders = {"eight bare matrix products": products, "nnx fit": nnx_fit}
    if not (lacking := without_torch(machine)):
        contenders["PyTorch eager"] = torch_eager
    began = time.perf_counter()
    turns = {name: make(machine, x, y) for name, make in contenders.items()}
    for turn in turns.values():
        turn()
    machine.synchronize()
    warmup = time.perf_counter() - began
    times: dict[str, list[Times]] = {name: [] for name in turns}
    for _ in range(machine.sized(TURNS, 1)):
        for name, turn in turns.items():
            times[name].append(turn())
    table: list[tuple[Any, ...]] = [
        ("contender", "ms a step", "least", "most", "host ms", "× products", "× PyTorch")
    ]
    for name, own in times.items():
        device = [1e3 * t[0] for t in own]
        host = 1e3 * statistics.median(t[1] for t in own)
        table.append(
            (
                name, f"{statistics.median(device):.3f}", f"{min(device):.3f}", f"{max(device):.3f}",
                f"{host:.3f}", ratio(own, times["eight bare matrix products"]),
                ratio(own, times.get("PyTorch eager", [])),
            )
        )  # fmt: skip
    found = ratio(times["nnx fit"], times.get("PyTorch eager", []))
    says = lacking or f"nnx takes {found} times PyTorch's time"
    return Found(says, table, warmup)


def without_torch(machine: Machine) -> str:
    """Why PyTorch cannot be compared with; nothing if it can."""
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: a library that it loads is missing
        return f"PyTorch cannot be imported: {error}"
    usable = machine.rehearsal or torch.cuda.is_available()
    return "" if usable else "PyTorch is installed, but finds no GPU"


def ratio(own: list[Times], base: list[Times]) -> str:
    """The median of the ratios of the device's times, turn by turn."""
    ratios = [a[0] / b[0] for a, b in zip(own, base, strict=False)]
    return f"{statistics.median(ratios):.2f}" if ratios else ""


def products(machine: Machine, x: np.ndarray, y: np.ndarray) -> Callable[[], Times]:
    """What no implementation can go below: the step's matrix products alone."""
    from mlp_step import BATCH, SIZES

    b, random = machine.backend, np.random.default_rng(0)

    def matrix(*shape: int) -> Any:
        return b.asarray(random.standard_normal(shape, dtype=np.float32))

    a, d = ([matrix(BATCH, n) for n in sizes] for sizes in (SIZES[:3], SIZES[1:]))
    w = [matrix(m, n) for m, n in pairwise(SIZES)]
    pairs = [
        *zip(a, w, strict=True),
        *((p.T, q) for p, q in zip(a, d, strict=True)),
        (d[2], w[2].T),
        (d[1], w[1].T),
    ]
    steps, start = machine.sized(200, 4), machine.stopwatch()

    def turn() -> Times:
        stop = start()
        for _ in range(steps):
            for p, q in pairs:
                p @ q
        return per_step(stop(), steps)

    return turn


def nnx_fit(machine: Machine, x: np.ndarray, y: np.ndarray) -> Callable[[], Times]:
    """The ``fit`` of nnx, its data on the device; two epochs in a turn, of which the faster counts."""
    from mlp_step import BATCH, network

    import nnx

    with nnx.use_backend(machine.name):
        model = network()
    start, there = machine.stopwatch(), [machine.backend.asarray(a) for a in (x, y)]

    steps = len(x) // BATCH

    class Epochs(nnx.callbacks.Callback):
        times: list[Times]

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            if batch == 0:
                self.stop = start()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch == steps - 1:  # before the epoch's loss is read
                self.times.append(per_step(self.stop(), steps))

    def turn() -> Times:
        epochs = Epochs()
        epochs.times = []
        model.fit(*there, batch_size=BATCH, epochs=2, verbose=0, callbacks=[epochs])
        return min(epochs.times)

    return turn


def torch_eager(machine: Machine, x: np.ndarray, y: np.ndarray) -> Callable[[], Times]:
    """PyTorch's own loop, its data on the device; the accuracy is read once in an epoch."""
    import torch
    from _training import DECAY, EPSILON, RATE
    from mlp_step import BATCH, DROPOUT, SIZES
    from torch import nn

    parts = [p for m, n in pairwise(SIZES[:-1]) for p in (nn.Linear(m, n), nn.ReLU(), nn.Dropout(DROPOUT))]
    model = nn.Sequential(*parts, nn.Linear(*SIZES[-2:])).to(machine.torch_device)
    inputs, targets = (torch.from_numpy(a).to(machine.torch_device) for a in (x, y))
    optimizer = torch.optim.RMSprop(model.parameters(), RATE, alpha=DECAY, eps=EPSILON)
    cost, start = nn.CrossEntropyLoss(), machine.stopwatch("torch")

    def epoch() -> Times:
        stop = start()
        order = torch.randperm(len(x), device=machine.torch_device)
        hits: Any = 0
        for i in range(0, len(x), BATCH):
            rows = order[i : i + BATCH]
            target = targets[rows]
            optimizer.zero_grad()
            out = model(inputs[rows])
            cost(out, target).backward()
            optimizer.step()
            hits = hits + (out.argmax(1) == target.argmax(1)).sum()
        times = stop()
        hits.item()
        return per_step(times, len(x) // BATCH)

    return lambda: min(epoch(), epoch())


def per_step(times: Times, steps: int) -> Times:
    """The times of one of so many steps."""
    return times[0] / steps, times[1] / steps


def levenberg(machine: Machine, task: Any) -> Found:
    """Time to the goal: ``fit`` of nnx beside the same method written by hand in PyTorch."""
    began = time.perf_counter()
    contenders: dict[str, Callable[[], Any]] = {"nnx fit": lambda: _nnx_levenberg(machine, task)}
    if not (lacking := without_torch(machine)):
        contenders["by hand in PyTorch"] = lambda: Levenberg(task, machine.torch_device).run()
    for run in contenders.values():
        run()
    warmup = time.perf_counter() - began
    runs: dict[str, list[Any]] = {name: [] for name in contenders}
    for _ in range(machine.sized(3, 1) if warmup < 10.0 else 1):
        for name, run in contenders.items():
            runs[name].append(run())
    table: list[tuple[Any, ...]] = [("contender", "s", "iterations", "ms an iteration", "mse", "reached")]
    for name, own in runs.items():
        seconds, last = statistics.median(r.seconds for r in own), own[-1]
        each = f"{1e3 * seconds / max(last.steps, 1):.2f}"
        table.append((name, f"{seconds:.3f}", last.steps, each, f"{last.cost:.1e}", last.cost <= task.goal))
    if not all(r.cost <= task.goal for r in runs["nnx fit"]):
        raise AssertionError(f"nnx did not reach mse {task.goal:g} in {task.limit:g} s: {table[1]}")
    if len(runs) == 1:
        return Found(lacking, table, warmup)
    ratios = [a.seconds / b.seconds for a, b in zip(*runs.values(), strict=True)]
    return Found(f"nnx takes {statistics.median(ratios):.2f} times the time by hand", table, warmup)


def _nnx_levenberg(machine: Machine, task: Any) -> Any:
    from _regression import nnx_fit

    import nnx

    with nnx.use_backend(machine.name):
        return nnx_fit("levenberg_marquardt", task, 0)
