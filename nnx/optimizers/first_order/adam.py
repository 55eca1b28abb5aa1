"""Momentum and a step size for every weight together: Adam and its family."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from nnx.optimizers.first_order.averages import mean, mean_square
from nnx.optimizers.first_order.base import FirstOrder, Rule
from nnx.optimizers.options import LearningRate
from nnx.optimizers.problem import Problem, register
from nnx.optimizers.state import State
from nnx.options import flag, fraction, number

Array = Any


def adam(
    xp: Any, w: Array, g: Array, m: Array, s: Array,
    alpha: float, gain_1: float, gain_2: float, epsilon: float,
) -> tuple[Array, ...]:  # fmt: skip
    """The rule of :class:`Adam`, with α = η√(1−β₂ᵗ)/(1−β₁ᵗ)."""
    m, s = mean(m, g, gain_1), mean_square(s, g, gain_2)
    return w - _quotient(xp, alpha * m, s, epsilon), m, s


def amsgrad(
    xp: Any, w: Array, g: Array, m: Array, s: Array, top: Array,
    alpha: float, gain_1: float, gain_2: float, epsilon: float,
) -> tuple[Array, ...]:  # fmt: skip
    """The rule of :class:`AMSGrad`, with α = η√(1−β₂ᵗ)/(1−β₁ᵗ)."""
    m, s = mean(m, g, gain_1), mean_square(s, g, gain_2)
    top = xp.maximum(top, s)
    return w - _quotient(xp, alpha * m, top, epsilon), m, s, top


def adamax(
    xp: Any, w: Array, g: Array, m: Array, u: Array,
    alpha: float, gain_1: float, beta_2: float, epsilon: float,
) -> tuple[Array, ...]:  # fmt: skip
    """The rule of :class:`Adamax`, with α = η/(1−β₁ᵗ)."""
    m = mean(m, g, gain_1)
    u = xp.maximum(beta_2 * u, xp.abs(g))
    step = alpha * m
    step /= u + epsilon
    return w - step, m, u


def nadam(
    xp: Any, w: Array, g: Array, m: Array, s: Array,
    of_m: float, of_g: float, correction: float, gain_1: float, gain_2: float, epsilon: float,
) -> tuple[Array, ...]:  # fmt: skip
    """The rule of :class:`Nadam`: ηm̂ = ``of_m``·m + ``of_g``·g, ŝ = ``correction``·s."""
    m, s = mean(m, g, gain_1), mean_square(s, g, gain_2)
    look_ahead = of_m * m
    look_ahead += of_g * g
    return w - _quotient(xp, look_ahead, correction * s, epsilon), m, s


def _quotient(xp: Any, step: Array, s: Array, epsilon: float) -> Array:
    """The step/(√s + ε); ``step`` is overwritten."""
    root = xp.sqrt(s)
    root += epsilon
    step /= root
    return step


@register(
    source="Kingma & Ba 2015",
)
@dataclass(frozen=True)
class Adam(FirstOrder):
    """Adam: m ← β₁m + (1−β₁)g; s ← β₂s + (1−β₂)g²; w ← w − η√(1−β₂ᵗ)/(1−β₁ᵗ) · m/(√s + ε) in step t.

    This is η·m̂/(√ŝ + ε̂) with m̂ = m/(1−β₁ᵗ), ŝ = s/(1−β₂ᵗ) and ε̂ = ε/√(1−β₂ᵗ): ε (``epsilon``) stands outside
    the root and before the correction, as in Keras; PyTorch adds it after the correction.
    ``amsgrad`` makes it :class:`nnx.optimizers.AMSGrad`.
    Further options: :class:`nnx.optimizers.FirstOrder`.
    Source: D. P. Kingma, J. Ba, ICLR 2015, arXiv:1412.6980, the form just before section 2.1.

    >>> nnx.optimizers.Adam(learning_rate=0.01).beta_2
    0.999
    """

    learning_rate: LearningRate = 0.001
    beta_1: float = fraction(0.9)
    beta_2: float = fraction(0.999)
    epsilon: float = number(1e-7, least=0.0)
    amsgrad: bool = flag(False)

    @property
    def rule(self) -> Rule:
        return amsgrad if self.amsgrad else adam

    def slots(self) -> dict[str, float]:
        slots = {"momentum": 0.0, "velocity": 0.0}
        return slots | {"velocity_hat": 0.0} if self.amsgrad else slots

    def scalars(self, rate: float, state: State) -> tuple[float, ...]:
        t = state.step + 1
        alpha = rate * math.sqrt(1.0 - self.beta_2**t) / (1.0 - self.beta_1**t)
        return alpha, 1.0 - self.beta_1, 1.0 - self.beta_2, self.epsilon


@register(source="Reddi, Kale & Kumar 2018")
@dataclass(frozen=True)
class AMSGrad(Adam):
    """AMSGrad: ŝ ← max(ŝ, s); w ← w − η√(1−β₂ᵗ)/(1−β₁ᵗ) · m/(√ŝ + ε), with m and s of Adam.

    The step sizes never grow. The same as ``Adam(amsgrad=True)``.
    Source: S. J. Reddi, S. Kale, S. Kumar, "On the convergence of Adam and beyond", ICLR 2018, algorithm 2
    (there without the corrections 1−βᵗ, which Keras and PyTorch have).

    >>> list(nnx.optimizers.AMSGrad().slots())
    ['momentum', 'velocity', 'velocity_hat']
    """

    amsgrad: bool = field(default=True, init=False)


@register(source="Loshchilov & Hutter 2019")
@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay: w ← w − ηλw before Adam's step, λ = ``weight_decay``.

    Biases and normalisation are often spared: ``exclude_from_weight_decay=("bias", "gamma", "beta")``.
    Source: I. Loshchilov, F. Hutter, ICLR 2019, arXiv:1711.05101, algorithm 2.

    >>> nnx.optimizers.AdamW(0.001, 0.01).weight_decay
    0.01
    """

    learning_rate: LearningRate = 0.001
    weight_decay: float | None = number(0.004, least=0.0)


@register(source="Kingma & Ba 2015")
@dataclass(frozen=True)
class Adamax(FirstOrder):
    """Adamax: m ← β₁m + (1−β₁)g; u ← max(β₂u, ``|g|``); w ← w − η/(1−β₁ᵗ) · m/(u + ε).

    Adam with the maximum norm of past gradients. ε is added to u, as in Keras; PyTorch adds it to ``|g|``.
    Further options: :class:`nnx.optimizers.FirstOrder`.
    Source: D. P. Kingma, J. Ba, ICLR 2015, arXiv:1412.6980, algorithm 2.

    >>> nnx.optimizers.Adamax().slots()
    {'momentum': 0.0, 'norm': 0.0}
    """

    learning_rate: LearningRate = 0.001
    beta_1: float = fraction(0.9)
    beta_2: float = fraction(0.999)
    epsilon: float = number(1e-7, least=0.0)

    @property
    def rule(self) -> Rule:
        return adamax

    def slots(self) -> dict[str, float]:
        return {"momentum": 0.0, "norm": 0.0}

    def scalars(self, rate: float, state: State) -> tuple[float, ...]:
        alpha = rate / (1.0 - self.beta_1 ** (state.step + 1))
        return alpha, 1.0 - self.beta_1, self.beta_2, self.epsilon


@register(source="Dozat 2016")
@dataclass(frozen=True)
class Nadam(FirstOrder):
    """Nadam, Adam with Nesterov's look-ahead: w ← w − ηm̂/(√ŝ + ε).

    m and s as in Adam, ŝ = s/(1−β₂ᵗ), and m̂ = μₜ₊₁·m/(1 − μ₁⋯μₜ₊₁) + (1−μₜ)·g/(1 − μ₁⋯μₜ) with the momentum
    μₜ = β₁(1 − 0.96ᵗ/2) that grows to β₁. ε stands outside the root, after the correction, as in Keras.
    Further options: :class:`nnx.optimizers.FirstOrder`.
    Source: T. Dozat, "Incorporating Nesterov momentum into Adam", ICLR 2016 workshop, algorithm 2.

    >>> nnx.optimizers.Nadam(0.002).learning_rate
    0.002
    """

    learning_rate: LearningRate = 0.001
    beta_1: float = fraction(0.9)
    beta_2: float = fraction(0.999)
    epsilon: float = number(1e-7, least=0.0)

    @property
    def rule(self) -> Rule:
        return nadam

    def slots(self) -> dict[str, float]:
        return {"momentum": 0.0, "velocity": 0.0}

    def init(self, problem: Problem, w: Array) -> State:
        state = super().init(problem, w)
        state.values["momentum_product"] = 1.0
        return state

    def scalars(self, rate: float, state: State) -> tuple[float, ...]:
        t = state.step + 1
        now, after = (self.beta_1 * (1.0 - 0.5 * 0.96**i) for i in (t, t + 1))
        product = state.values["momentum_product"] = state.values["momentum_product"] * now
        of_m, of_g = rate * after / (1.0 - product * after), rate * (1.0 - now) / (1.0 - product)
        correction = 1.0 / (1.0 - self.beta_2**t)
        return of_m, of_g, correction, 1.0 - self.beta_1, 1.0 - self.beta_2, self.epsilon
