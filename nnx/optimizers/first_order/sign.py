"""Steps from the sign of the gradient alone: Rprop. For the whole data set in one batch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nnx.backend import device_of, namespace
from nnx.errors import OptionError
from nnx.optimizers.first_order.base import FirstOrder, Rule
from nnx.optimizers.options import LearningRate
from nnx.optimizers.problem import Point, Problem, register
from nnx.optimizers.state import State
from nnx.options import Number, Several, option

Array = Any

_PAIR = Several(Number(least=0.0), count=2)


def irprop_minus(
    xp: Any, w: Array, g: Array, last: Array, delta: Array,
    less: float, more: float, least: float, most: float,
) -> tuple[Array, ...]:  # fmt: skip
    """The rule of :class:`Rprop`: Δ ← Δ·η⁺ where g kept its sign, Δ·η⁻ where it changed (there g ← 0)."""
    g, delta = _adapt(xp, g, last, delta, less, more, least, most)[:2]
    return w - xp.sign(g) * delta, g, delta


def irprop_plus(
    xp: Any, w: Array, g: Array, last: Array, delta: Array, moved: Array, rose: Array,
    less: float, more: float, least: float, most: float,
) -> tuple[Array, ...]:  # fmt: skip
    """As :func:`irprop_minus`; where the sign changed and the cost rose, the last move is taken back."""
    g, delta, turned = _adapt(xp, g, last, delta, less, more, least, most)
    back = xp.where(turned & rose, moved, 0.0)
    moved = -back - xp.sign(g) * delta
    return w + moved, g, delta, moved


def _adapt(
    xp: Any, g: Array, last: Array, delta: Array, less: float, more: float, least: float, most: float
) -> tuple[Array, ...]:
    agreement = g * last
    turned = agreement < 0.0
    delta = xp.where(agreement > 0.0, more * delta, xp.where(turned, less * delta, delta))
    delta = xp.minimum(xp.maximum(delta, least), most)
    return xp.where(turned, 0.0, g), delta, turned


@register(
    source="Riedmiller & Braun 1993; Igel & Hüsken 2000",
    full_batch=True,
)
@dataclass(frozen=True)
class Rprop(FirstOrder):
    """Resilient propagation: w ← w − sign(g)·Δ, where each weight has a step size Δ of its own.

    Δ starts from ``learning_rate``. Where g has the sign of the last step, Δ ← Δ·η⁺; where the sign changed,
    Δ ← Δ·η⁻, the weight stays and its g counts as 0 in the next step. ``etas`` is (η⁻, η⁺), ``step_sizes``
    the limits of Δ. Meaning and arguments are PyTorch's; its Rprop is what the literature calls iRprop⁻.
    Needs gradients without noise: the whole data set as one batch. Their size does not matter, nor does a
    learning rate that is changed later on. Further options: :class:`nnx.optimizers.FirstOrder`. Raises
    :class:`nnx.errors.OptionError` unless 0 < η⁻ < 1 < η⁺, and for a schedule.
    Sources: M. Riedmiller, H. Braun, ICNN 1993, 586–591; C. Igel, M. Hüsken, "Improving the Rprop learning
    algorithm", NC 2000, 115–121, algorithm iRprop⁻.

    >>> nnx.optimizers.Rprop().etas
    (0.5, 1.2)
    """

    renamed: ClassVar[Mapping[str, str]] = {
        "etaminus": "etas=(η⁻, η⁺)",
        "etaplus": "etas=(η⁻, η⁺)",
        "delta0": "learning_rate",
        "delta_inc": "etas=(η⁻, η⁺)",
        "delta_dec": "etas=(η⁻, η⁺)",
        "deltamax": "step_sizes=(least, most)",
    }

    learning_rate: LearningRate = 0.01
    etas: tuple[float, float] = option(_PAIR, (0.5, 1.2))
    step_sizes: tuple[float, float] = option(_PAIR, (1e-6, 50.0))

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 < self.etas[0] < 1.0 < self.etas[1]:
            raise OptionError(
                f"{type(self).__name__}: etas must be (η⁻, η⁺) with 0 < η⁻ < 1 < η⁺, got {self.etas}."
            )
        if self.step_sizes[0] > self.step_sizes[1]:
            raise OptionError(
                f"{type(self).__name__}: step_sizes must be (least, most), got {self.step_sizes}."
            )
        if callable(self.learning_rate):
            raise OptionError(
                f"{type(self).__name__}: learning_rate is the first step size of every weight, a number; "
                f"a schedule ({self.learning_rate!r}) would have no effect."
            )

    @property
    def rule(self) -> Rule:
        return irprop_minus

    def slots(self) -> dict[str, float]:
        assert not callable(self.learning_rate)
        return {"last_gradient": 0.0, "step_size": self.learning_rate}

    def scalars(self, rate: float, state: State) -> tuple[float, ...]:
        return *self.etas, *self.step_sizes


@register("irprop-", source="Igel & Hüsken 2000", full_batch=True)
@dataclass(frozen=True)
class IRpropMinus(Rprop):
    """iRprop⁻ under its own name: the same as :class:`nnx.optimizers.Rprop`, which follows PyTorch.

    Source: C. Igel, M. Hüsken, NC 2000, 115–121, algorithm iRprop⁻.

    >>> nnx.optimizers.IRpropMinus().rule is nnx.optimizers.Rprop().rule
    True
    """


@register(
    "irprop+",
    source="Igel & Hüsken 2000",
    full_batch=True,
)
@dataclass(frozen=True)
class IRpropPlus(Rprop):
    """iRprop⁺: Rprop, and w ← w − Δw of the last step where the sign of g changed and the cost rose.

    Otherwise as :class:`nnx.optimizers.Rprop`. The cost stays on its device.
    Source: C. Igel, M. Hüsken, NC 2000, 115–121, algorithm iRprop⁺.

    >>> list(nnx.optimizers.IRpropPlus().slots())
    ['last_gradient', 'step_size', 'last_move']
    """

    watches: ClassVar[int] = 1

    @property
    def rule(self) -> Rule:
        return irprop_plus

    def slots(self) -> dict[str, float]:
        return super().slots() | {"last_move": 0.0}

    def init(self, problem: Problem, w: Array) -> State:
        state = super().init(problem, w)
        state.memory["last_value"] = namespace(w).full((), math.inf, dtype=w.dtype, device=device_of(w))
        return state

    def watched(self, w: Array, point: Point, state: State) -> tuple[Array, ...]:
        rose = point.value > state.memory["last_value"]
        state.memory["last_value"] = point.value
        return (namespace(w).broadcast_to(rose, w.shape),)
