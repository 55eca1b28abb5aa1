"""Adam's second moments from their row and column means alone: Adafactor, for large matrices."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from nnx.optimizers.first_order.averages import mean
from nnx.optimizers.first_order.base import Rule
from nnx.optimizers.first_order.per_array import PerArray, Shape
from nnx.optimizers.options import LearningRate
from nnx.optimizers.problem import registry
from nnx.optimizers.state import State
from nnx.options import flag, number

Array = Any


def factored(
    xp: Any, w: Array, g: Array, row: Array, column: Array, v: Array,
    rho: float, gain: float, epsilon_1: float, epsilon_2: float, threshold: float,
) -> tuple[Array, ...]:  # fmt: skip
    """The rule for matrices: V̂ = RCᵀ/mean(R) of the means R of the rows and C of the columns of G² + ε₁."""
    square = g * g + epsilon_1
    row = mean(row, xp.mean(square, axis=-1), gain)
    column = mean(column, xp.mean(square, axis=-2), gain)
    # G/√V̂ without V̂: its entries are products of two numbers that may each be as small as ε₁
    of_rows = xp.sqrt(xp.mean(row, axis=-1, keepdims=True)) / xp.sqrt(row)
    u = g * xp.expand_dims(of_rows, axis=-1)
    u /= xp.expand_dims(xp.sqrt(column), axis=-2)
    return _moved(xp, w, u, rho, epsilon_2, threshold), row, column, v


def unfactored(
    xp: Any, w: Array, g: Array, row: Array, column: Array, v: Array,
    rho: float, gain: float, epsilon_1: float, epsilon_2: float, threshold: float,
) -> tuple[Array, ...]:  # fmt: skip
    """The rule for vectors: V̂ ← β̂V̂ + (1−β̂)(G² + ε₁), entry by entry."""
    v = mean(v, g * g + epsilon_1, gain)
    return _moved(xp, w, g / xp.sqrt(v), rho, epsilon_2, threshold), row, column, v


def _moved(xp: Any, w: Array, u: Array, rho: float, epsilon_2: float, threshold: float) -> Array:
    """The step W − α·U/max(1, RMS(U)/d) with α = ρ·max(ε₂, RMS(W))."""
    size, length = xp.sqrt(xp.mean(w * w)), xp.sqrt(xp.mean(u * u))
    alpha = rho * xp.maximum(size, epsilon_2)
    return w - (alpha / xp.maximum(length / threshold, 1.0)) * u


@registry.register(
    formula="V̂ = RCᵀ/mean(R);  U = G/√V̂;  w ← w − ρ·max(ε₂, RMS(w))·U/max(1, RMS(U)/d)",
    source="Shazeer & Stern 2018",
)
@dataclass(frozen=True)
class Adafactor(PerArray):
    """Adafactor: W ← W − α·U/max(1, RMS(U)/d), U = G/√V̂, where V̂ is known by its rows and columns alone.

    In step t = 1, 2, ..., with β̂ = 1 − t^``beta_2_decay`` and the learning rate η:

    - of a matrix, R ← β̂R + (1−β̂)·(means of the rows of G² + ε₁), C the same of its columns, and
      V̂ = R·Cᵀ/mean(R): n + m numbers are remembered, not n·m. Kernels with more axes are taken as many
      matrices of their last two axes, as in PyTorch; optax takes the two longest, if both reach 128.
    - of a vector or a number, V̂ ← β̂V̂ + (1−β̂)(G² + ε₁), entry by entry.
    - α = ρ·max(ε₂, RMS(W)): steps are relative to the size of the array; RMS is the root of the mean square.
    - ρ = min(η, 1/√t), or with ``relative_step=False`` η itself.

    ``epsilon_1`` is ε₁, ``epsilon_2`` ε₂, ``clip_threshold`` d. There is no momentum. Defaults are Keras';
    the paper's learning rate is 0.01 (PyTorch's too).

    Where this differs from Keras 3.15: there ``relative_step=False`` has no effect, since the minimum is
    taken in any case; every matrix has a vector of its own size in the state; and V̂ is multiplied out before
    the root, so that in single precision it becomes 0, and the step NaN, where a row and a column of G are
    zero together (an input that is always 0, a unit that is always off). Other numbers are the same.
    Further options: :class:`nnx.optimizers.FirstOrder`.
    Source: N. Shazeer, M. Stern, "Adafactor: adaptive learning rates with sublinear memory cost", ICML 2018,
    arXiv:1804.04235, algorithms 4 to 6.

    >>> problem = nnx.optimizers.FunctionProblem(np.sum, nnx.parameters.Layout(("kernel",), ((300, 200),)))
    >>> state = nnx.optimizers.Adafactor().init(problem, np.zeros(60000))
    >>> {name: vector.shape for name, vector in state.slots.items()}
    {'row': (300,), 'column': (200,), 'velocity': (0,)}
    """

    learning_rate: LearningRate = 0.001
    beta_2_decay: float = number(-0.8, most=0.0)
    epsilon_1: float = number(1e-30, least=0.0)
    epsilon_2: float = number(1e-3, least=0.0)
    clip_threshold: float = number(1.0, above=0.0)
    relative_step: bool = flag(True)

    def rule_of(self, name: str, shape: Shape) -> Rule:
        return factored if len(shape) > 1 else unfactored

    def slots(self) -> dict[str, float]:
        return {"row": 0.0, "column": 0.0, "velocity": 0.0}

    def slot_shape(self, slot: str, name: str, shape: Shape) -> Shape:
        if (slot == "velocity") is (len(shape) > 1):
            return (0,)
        return {"row": shape[:-1], "column": (*shape[:-2], *shape[-1:]), "velocity": shape}[slot]

    def scalars(self, rate: float, state: State) -> tuple[float, ...]:
        t = float(state.step + 1)
        rho = min(rate, 1.0 / math.sqrt(t)) if self.relative_step else rate
        return rho, t**self.beta_2_decay, self.epsilon_1, self.epsilon_2, self.clip_threshold
