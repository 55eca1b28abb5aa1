"""Adam's direction with a length for every weight array: LAMB, for large batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnx.optimizers.first_order.averages import mean, mean_square
from nnx.optimizers.first_order.base import Rule
from nnx.optimizers.first_order.per_array import PerArray
from nnx.optimizers.options import LearningRate
from nnx.optimizers.problem import registry
from nnx.optimizers.state import State
from nnx.options import fraction, number

Array = Any


def lamb(
    xp: Any, w: Array, g: Array, m: Array, s: Array,
    eta: float, of_m: float, of_s: float, gain_1: float, gain_2: float, epsilon: float,
) -> tuple[Array, ...]:  # fmt: skip
    """The rule m ← β₁m + (1−β₁)g;  s ← β₂s + (1−β₂)g²;  u = m̂/(√ŝ + ε);  w ← w − η·‖w‖/‖u‖·u."""
    m, s = mean(m, g, gain_1), mean_square(s, g, gain_2)
    u = (of_m * m) / (xp.sqrt(of_s * s) + epsilon)
    size, length = xp.sqrt(xp.sum(w * w)), xp.sqrt(xp.sum(u * u))
    ratio = xp.where((size > 0.0) & (length > 0.0), size / xp.where(length > 0.0, length, 1.0), 1.0)
    return w - (eta * ratio) * u, m, s


@registry.register(
    formula="m, s as Adam's;  u = m̂/(√ŝ + ε);  w ← w − η·‖w‖/‖u‖·u for each weight array",
    source="You et al. 2020",
)
@dataclass(frozen=True)
class Lamb(PerArray):
    """LAMB: u = m̂/(√ŝ + ε); w ← w − η·‖w‖/‖u‖·u, where ‖·‖ is the norm of a weight array. For large batches.

    m ← β₁m + (1−β₁)g, s ← β₂s + (1−β₂)g², m̂ = m/(1−β₁ᵗ) and ŝ = s/(1−β₂ᵗ), as in Adam; ε is added after the
    correction. Each array moves by η times its own norm. Where ‖w‖ or ‖u‖ is 0, as for biases at first, the
    ratio is 1. ``weight_decay`` is that of every optimizer, w ← w − ηλw before the step, as in Keras; in the
    paper it is a part of the direction, u + λw, and so of the ratio. Defaults are Keras'; the paper has
    ε = 1e-6. Further options: :class:`nnx.optimizers.FirstOrder`.
    Source: Y. You et al., "Large batch optimization for deep learning: training BERT in 76 minutes",
    ICLR 2020, arXiv:1904.00962, algorithm 2 with φ(z) = z.

    >>> start, method = {"large": np.full(2, 10.0), "small": np.full(2, 0.1)}, nnx.optimizers.Lamb(0.01)
    >>> f = lambda w: np.sum(w["large"] ** 2) + np.sum(w["small"] ** 2)
    >>> found = nnx.minimize(f, start, method=method, options={"maxiter": 1})
    >>> found.x["large"].round(4), found.x["small"].round(4)  # each moved by 1 % of its size
    (array([9.9, 9.9]), array([0.099, 0.099]))
    """

    learning_rate: LearningRate = 0.001
    beta_1: float = fraction(0.9)
    beta_2: float = fraction(0.999)
    epsilon: float = number(1e-7, least=0.0)

    @property
    def rule(self) -> Rule:
        return lamb

    def slots(self) -> dict[str, float]:
        return {"momentum": 0.0, "velocity": 0.0}

    def scalars(self, rate: float, state: State) -> tuple[float, ...]:
        t = state.step + 1
        corrections = 1.0 / (1.0 - self.beta_1**t), 1.0 / (1.0 - self.beta_2**t)
        return rate, *corrections, 1.0 - self.beta_1, 1.0 - self.beta_2, self.epsilon
