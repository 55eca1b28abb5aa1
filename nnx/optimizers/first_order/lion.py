"""Steps of one size for all weights, from the sign of a momentum: Lion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnx.optimizers.first_order.averages import mean
from nnx.optimizers.first_order.base import FirstOrder, Rule
from nnx.optimizers.options import LearningRate
from nnx.optimizers.problem import registry
from nnx.optimizers.state import State
from nnx.options import fraction, number

Array = Any


def lion(
    xp: Any, w: Array, g: Array, m: Array, eta: float, gain_1: float, gain_2: float
) -> tuple[Array, ...]:
    """The rule w ← w − η·sign(β₁m + (1−β₁)g);  m ← β₂m + (1−β₂)g."""
    return w - eta * xp.sign(mean(m, g, gain_1)), mean(m, g, gain_2)


@registry.register(formula="w ← w − η·sign(β₁m + (1−β₁)g);  m ← β₂m + (1−β₂)g", source="Chen et al. 2023")
@dataclass(frozen=True)
class Lion(FirstOrder):
    """Lion: w ← w − η·sign(β₁m + (1−β₁)g); m ← β₂m + (1−β₂)g. Every weight moves by η, one way or the other.

    It stores one vector, Adam two. The paper's decay, w ← w − η(sign(...) + λw), is ``weight_decay``. A step
    is longer than Adam's: the authors advise a learning rate 3 to 10 times smaller than that of AdamW, and a
    weight decay larger by as much. Defaults are Keras', and the paper's β. Further options:
    :class:`nnx.optimizers.FirstOrder`.
    Source: X. Chen et al., "Symbolic discovery of optimization algorithms", NeurIPS 2023, arXiv:2302.06675,
    program 1 and algorithm 2.

    >>> method = nnx.optimizers.Lion(0.25)
    >>> nnx.minimize(lambda x: np.sum(x * x), [1.0, -2.0], method=method, options={"maxiter": 3}).x
    array([ 0.25, -1.25])
    """

    learning_rate: LearningRate = 0.001
    beta_1: float = number(0.9, above=0.0, most=1.0)
    beta_2: float = fraction(0.99)

    @property
    def rule(self) -> Rule:
        return lion

    def slots(self) -> dict[str, float]:
        return {"momentum": 0.0}

    def scalars(self, rate: float, state: State) -> tuple[float, ...]:
        return rate, 1.0 - self.beta_1, 1.0 - self.beta_2
