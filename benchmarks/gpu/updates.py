"""Section: every optimizer of first order, whose whole step is one kernel of nnx on a GPU, beside NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from checks import Check, against_numpy
from machine import Machine

STEPS = 5
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "everything": {
        "weight_decay": 0.01,
        "exclude_from_weight_decay": ("bias",),
        "clipvalue": 0.5,
        "use_ema": True,
        "ema_momentum": 0.9,
        "ema_overwrite_frequency": 3,
        "mask": ("kernel", "bias"),
    },
    "clipnorm": {"clipnorm": 0.3},
    "global_clipnorm": {"global_clipnorm": 0.3},
}
#: After so few steps: a compiler fuses multiplication and addition, a GPU adds up in another order and sets
#: numbers below 1e-38 to zero. Entries are of the order 1.
TOLERANCE = {"float64": 1e-12, "float32": 2e-5}


def checks(machine: Machine) -> Iterator[Check]:
    """The plain rules in both precisions first: they are what all trainings use."""
    n = machine.sized(100_003, 1_003)
    for options, dtype in (
        ("plain", "float32"), ("plain", "float64"), ("everything", "float32"), ("clipnorm", "float64"),
        ("global_clipnorm", "float32"), ("everything", "float64"),
    ):  # fmt: skip
        yield from (check(entry, options, dtype, n) for entry in entries())


def entries() -> list[Any]:
    """Those of the registry that have a rule."""
    from nnx import optimizers

    return [entry for entry in optimizers.registry if issubclass(entry.target, optimizers.FirstOrder)]


def check(entry: Any, options: str, dtype: str, n: int) -> Check:
    def compute(b: Any) -> Any:
        optimizer = entry.create(**OPTIONS[options])
        problem, w = quadratic(b, dtype, n)
        state = optimizer.init(problem, w)
        for _ in range(STEPS):
            w, state, _ = optimizer.step(problem, w, state)
        return w, state.vectors()

    return against_numpy(f"{entry.name}, {options}, {dtype}", compute, TOLERANCE[dtype], TOLERANCE[dtype])


def quadratic(b: Any, dtype: str, n: int) -> tuple[Any, Any]:
    """½ Σ aᵢ(wᵢ − cᵢ)² over n weights in two pieces, and weights that may be written to."""
    from nnx.backend import namespace
    from nnx.optimizers import FunctionProblem
    from nnx.parameters import Layout

    a = b.asarray(np.linspace(0.5, 3.0, n), dtype=dtype)
    c = b.asarray(np.cos(np.arange(float(n))), dtype=dtype)

    def f(w: Any) -> Any:
        return 0.5 * namespace(w).sum(a * (w - c) * (w - c))

    layout = Layout(("dense/kernel", "dense/bias"), ((n - 3,), (3,)))
    start = b.xp.asarray(b.asarray(np.linspace(-1.0, 2.0, n), dtype=dtype), copy=True)
    return FunctionProblem(f, layout), start
