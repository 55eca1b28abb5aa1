"""A step size for every weight, from the squares of its gradients: AdaGrad, AdaDelta, RMSprop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nnx.optimizers.first_order.averages import mean, mean_square
from nnx.optimizers.first_order.base import FirstOrder, Rule
from nnx.optimizers.options import LearningRate
from nnx.optimizers.problem import register
from nnx.optimizers.state import State
from nnx.options import flag, fraction, number

Array = Any


def adagrad(xp: Any, w: Array, g: Array, s: Array, eta: float, epsilon: float) -> tuple[Array, ...]:
    """The rule of :class:`Adagrad`."""
    s = s + g * g
    step = eta * g
    step /= xp.sqrt(s + epsilon)
    return w - step, s


def adadelta(
    xp: Any, w: Array, g: Array, s: Array, u: Array, eta: float, gain: float, epsilon: float
) -> tuple[Array, ...]:
    """The rule of :class:`Adadelta`."""
    s = mean_square(s, g, gain)
    delta = xp.sqrt((u + epsilon) / (s + epsilon))
    delta *= g  # −Δ
    return w - eta * delta, s, mean_square(u, delta, gain)


def rmsprop(
    xp: Any, w: Array, g: Array, s: Array, eta: float, gain: float, epsilon: float
) -> tuple[Array, ...]:
    """The rule of :class:`RMSprop`."""
    s = mean_square(s, g, gain)
    step = eta * g
    step /= xp.sqrt(s + epsilon)
    return w - step, s


def rmsprop_with_momentum(
    xp: Any, w: Array, g: Array, s: Array, m: Array, eta: float, gain: float, epsilon: float, beta: float
) -> tuple[Array, ...]:
    """The rule of :class:`RMSprop` with momentum."""
    s = mean_square(s, g, gain)
    step = eta * g
    step /= xp.sqrt(s + epsilon)
    m = beta * m
    m += step
    return w - m, s, m


def rmsprop_centered(
    xp: Any, w: Array, g: Array, s: Array, a: Array, eta: float, gain: float, epsilon: float
) -> tuple[Array, ...]:
    """The rule of :class:`RMSprop` that is centered."""
    step, s, a = _centered(xp, g, s, a, eta, gain, epsilon)
    return w - step, s, a


def rmsprop_centered_with_momentum(
    xp: Any, w: Array, g: Array, s: Array, a: Array, m: Array,
    eta: float, gain: float, epsilon: float, beta: float,
) -> tuple[Array, ...]:  # fmt: skip
    """The rule of :class:`RMSprop` that is centered, with momentum."""
    step, s, a = _centered(xp, g, s, a, eta, gain, epsilon)
    m = beta * m
    m += step
    return w - m, s, a, m


def _centered(
    xp: Any, g: Array, s: Array, a: Array, eta: float, gain: float, epsilon: float
) -> tuple[Array, Array, Array]:
    s, a = mean_square(s, g, gain), mean(a, g, gain)
    # A variance is never negative, but its difference form can round below −ε, and its root would be NaN.
    variance = xp.maximum(s - a * a, 0.0)
    step = eta * g
    step /= xp.sqrt(variance + epsilon)
    return step, s, a


@register("ada_grad", source="Duchi, Hazan & Singer 2011")
@dataclass(frozen=True)
class Adagrad(FirstOrder):
    """AdaGrad: s ← s + g²; w ← w − ηg/√(s + ε). Weights that moved much move less and less.

    s starts from ``initial_accumulator_value``. ε (``epsilon``) stands inside the root, as in Keras; PyTorch
    adds it outside. Further options: :class:`nnx.optimizers.FirstOrder`.
    Source: J. Duchi, E. Hazan, Y. Singer, JMLR 12 (2011) 2121–2159.

    >>> nnx.optimizers.Adagrad(0.1).slots()
    {'accumulator': 0.1}
    """

    learning_rate: LearningRate = 0.001
    initial_accumulator_value: float = number(0.1, least=0.0)
    epsilon: float = number(1e-7, least=0.0)

    @property
    def rule(self) -> Rule:
        return adagrad

    def slots(self) -> dict[str, float]:
        return {"accumulator": self.initial_accumulator_value}

    def scalars(self, rate: float, state: State) -> tuple[float, ...]:
        return rate, self.epsilon


@register(
    "ada_delta",
    source="Zeiler 2012",
)
@dataclass(frozen=True)
class Adadelta(FirstOrder):
    """AdaDelta: s ← ρs + (1−ρ)g²; Δ = −√(u + ε)/√(s + ε)·g; u ← ρu + (1−ρ)Δ²; w ← w + ηΔ.

    The step has the unit of the weights. The paper has η = 1; Keras' default 0.001 is kept, and is slow.
    ``rho`` is ρ, ``epsilon`` ε. Further options: :class:`nnx.optimizers.FirstOrder`.
    Source: M. D. Zeiler, arXiv:1212.5701 (2012), algorithm 1.

    >>> nnx.optimizers.Adadelta(learning_rate=1.0).rho
    0.95
    """

    learning_rate: LearningRate = 0.001
    rho: float = fraction(0.95)
    epsilon: float = number(1e-7, least=0.0)

    @property
    def rule(self) -> Rule:
        return adadelta

    def slots(self) -> dict[str, float]:
        return {"accumulated_grad": 0.0, "accumulated_delta_var": 0.0}

    def scalars(self, rate: float, state: State) -> tuple[float, ...]:
        return rate, 1.0 - self.rho, self.epsilon


_RMSPROP: dict[tuple[bool, bool], Rule] = {
    (False, False): rmsprop,
    (False, True): rmsprop_with_momentum,
    (True, False): rmsprop_centered,
    (True, True): rmsprop_centered_with_momentum,
}


@register("rms_prop", source="Hinton 2012")
@dataclass(frozen=True)
class RMSprop(FirstOrder):
    """RMSprop: s ← ρs + (1−ρ)g²; w ← w − ηg/√(s + ε).

    With ``momentum`` β: m ← βm + ηg/√(s + ε); w ← w − m. ``centered``: the root is of s − a² + ε, where
    a ← ρa + (1−ρ)g (an estimate of the variance; rounding never makes it negative here).
    ``rho`` is ρ; ε (``epsilon``) stands inside the root, as in Keras; PyTorch adds it outside.
    Further options: :class:`nnx.optimizers.FirstOrder`.
    Source: G. Hinton, "Neural networks for machine learning", lecture 6e (2012); centered: A. Graves,
    arXiv:1308.0850 (2013), equations 38–45.

    >>> nnx.optimizers.RMSprop(centered=True).slots()
    {'velocity': 0.0, 'average_gradient': 0.0}
    """

    renamed: ClassVar[Mapping[str, str]] = {"alpha": "rho", "decay_rate": "rho", "smoothing": "rho"}

    learning_rate: LearningRate = 0.001
    rho: float = fraction(0.9)
    momentum: float = fraction(0.0)
    epsilon: float = number(1e-7, least=0.0)
    centered: bool = flag(False)

    @property
    def rule(self) -> Rule:
        return _RMSPROP[self.centered, self.momentum > 0.0]

    def slots(self) -> dict[str, float]:
        average = {"average_gradient": 0.0} if self.centered else {}
        return {"velocity": 0.0} | average | ({"momentum": 0.0} if self.momentum else {})

    def scalars(self, rate: float, state: State) -> tuple[float, ...]:
        scalars = rate, 1.0 - self.rho, self.epsilon
        return (*scalars, self.momentum) if self.momentum else scalars
