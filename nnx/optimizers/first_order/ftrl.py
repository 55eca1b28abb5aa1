"""Follow the regularized leader: weights that stay exactly zero, for wide and shallow models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnx.errors import OptionError
from nnx.optimizers.first_order.base import FirstOrder, Rule
from nnx.optimizers.options import LearningRate
from nnx.optimizers.problem import registry
from nnx.optimizers.state import State
from nnx.options import number

Array = Any


def ftrl(
    xp: Any, w: Array, g: Array, n: Array, z: Array,
    eta: float, power: float, l1: float, minus_l1: float, l2: float, shrinkage: float,
) -> tuple[Array, ...]:  # fmt: skip
    """The rule z ← z + g + 2λₛw − ((n + g²)^p − n^p)/η·w;  n ← n + g²;  w ← (clip(z) − z)/(n^p/η + λ)."""
    more = n + g * g
    return _proximal(xp, w, g, z, n**power, more**power, eta, l1, minus_l1, l2, shrinkage, more)


def ftrl_with_roots(
    xp: Any, w: Array, g: Array, n: Array, z: Array,
    eta: float, l1: float, minus_l1: float, l2: float, shrinkage: float,
) -> tuple[Array, ...]:  # fmt: skip
    """As :func:`ftrl`, for p = ½."""
    more = n + g * g
    return _proximal(xp, w, g, z, xp.sqrt(n), xp.sqrt(more), eta, l1, minus_l1, l2, shrinkage, more)


def _proximal(
    xp: Any, w: Array, g: Array, z: Array, root: Array, new_root: Array,
    eta: float, l1: float, minus_l1: float, l2: float, shrinkage: float, more: Array,
) -> tuple[Array, ...]:  # fmt: skip
    sigma = new_root - root
    sigma /= eta
    z = z + (g + shrinkage * w - sigma * w)
    curvature = new_root / eta + l2
    # 0 where a weight never had a gradient and no option helps: its z is 0 as well, and so is the new weight
    curvature = xp.where(curvature > 0.0, curvature, 1.0)
    kept = xp.maximum(xp.minimum(z, l1), minus_l1) - z
    return kept / curvature, more, z


@registry.register(
    formula="n ← n + g²;  z ← z + g − Δ(n^p)/η·w;  w ← (sign(z)λ₁ − z)/((β + n^p)/η + 2λ₂) or 0 if |z| ≤ λ₁",
    source="McMahan et al. 2013",
)
@dataclass(frozen=True)
class Ftrl(FirstOrder):
    """FTRL-proximal: the weights that would have been best so far, regularized; many are exactly 0.

    With σ = ((n + g²)^p − n^p)/η, the sums n ← n + g² and z ← z + g − σw, the new weight is

        w ← 0 if ``|z|`` ≤ λ₁, else −(z − sign(z)·λ₁)/((β + n^p)/η + 2λ₂).

    p is −``learning_rate_power``, λ₁ ``l1_regularization_strength``, λ₂ ``l2_regularization_strength``
    (2λ₂ is the paper's λ₂); n starts from ``initial_accumulator_value``. With
    ``l2_shrinkage_regularization_strength`` λₛ, g + 2λₛw takes the place of g in z (not in n).
    Defaults are Keras'; the paper has β = 1, and n = 0 at first.

    z starts from 0, as in the paper, where w does so too. Whatever the weights were, the first step takes
    them to about −ηg/√n: right for linear models, which start from zero, but hidden layers lose their random
    start by it, and with it what makes their units differ. Keras' is the same.
    The learning rate must be above 0. Further options: :class:`nnx.optimizers.FirstOrder`.
    Source: H. B. McMahan et al., "Ad click prediction: a view from the trenches", KDD 2013, algorithm 1.

    >>> target = np.asarray([1.0, 0.02, -1.0])
    >>> problem = nnx.optimizers.FunctionProblem(lambda w: np.sum((w - target) ** 2))
    >>> method, w = nnx.optimizers.Ftrl(0.1, l1_regularization_strength=5.0), np.zeros(3)
    >>> state = method.init(problem, w)
    >>> for _ in range(100):
    ...     w, state, info = method.step(problem, w, state)
    >>> w.round(2)
    array([ 0.93,  0.  , -0.93])
    """

    learning_rate: LearningRate = 0.001
    learning_rate_power: float = number(-0.5, most=0.0)
    initial_accumulator_value: float = number(0.1, least=0.0)
    l1_regularization_strength: float = number(0.0, least=0.0)
    l2_regularization_strength: float = number(0.0, least=0.0)
    l2_shrinkage_regularization_strength: float = number(0.0, least=0.0)
    beta: float = number(0.0, least=0.0)

    @property
    def rule(self) -> Rule:
        return ftrl_with_roots if self.learning_rate_power == -0.5 else ftrl

    def slots(self) -> dict[str, float]:
        return {"accumulator": self.initial_accumulator_value, "linear": 0.0}

    def scalars(self, rate: float, state: State) -> tuple[float, ...]:
        if rate == 0.0:
            raise OptionError(
                f"Ftrl divides by the learning rate, which must be > 0, got {rate} in step {state.step}. "
                "A schedule may start from a small number in place of 0."
            )
        power = () if self.learning_rate_power == -0.5 else (-self.learning_rate_power,)
        l1, l2 = self.l1_regularization_strength, self.l2_regularization_strength
        shrinkage = 2.0 * self.l2_shrinkage_regularization_strength
        return rate, *power, l1, -l1, 2.0 * l2 + self.beta / rate, shrinkage
