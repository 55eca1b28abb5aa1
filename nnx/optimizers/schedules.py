"""Learning rates that change from step to step: ``learning_rate=`` of every optimizer takes a schedule.

A schedule is called with the number of steps made so far (0 in the first step) and gives a number. Any
function from int to float will do; these here can be saved with a model. Names and arguments are Keras'.
"""

from __future__ import annotations

import math
import sys
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from nnx.backend import to_numpy
from nnx.errors import OptionError
from nnx.optimizers.options import Options, as_rate, learning_rate
from nnx.optimizers.refused import SCHEDULES, why
from nnx.optimizers.registering import registering
from nnx.options import Number, Several, flag, number, option
from nnx.registry import Registry, Traits

registry = Registry("schedule", Traits, module="nnx.optimizers.schedules")
register = registering(registry)

_RENAMED = {"lr": "initial_learning_rate", "learning_rate": "initial_learning_rate"}


class Schedule(Options):
    """Base class: a frozen dataclass that is called with a step number.

    ``step`` is a whole number from 0; the result is a learning rate ≥ 0.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Halves(nnx.optimizers.schedules.Schedule):
    ...     every: int = 10
    ...     def __call__(self, step):
    ...         return 0.1 * 0.5 ** (step // self.every)
    >>> nnx.optimizers.SGD(Halves()).learning_rate(20)
    0.025
    """

    kind: ClassVar[str] = "schedule"
    renamed: ClassVar[Mapping[str, str]] = _RENAMED

    def __call__(self, step: int) -> float:
        """The learning rate after ``step`` steps."""
        raise NotImplementedError(f"{type(self).__name__} must say its learning rate.")


def _start() -> Any:
    return number(least=0.0)


#: far less than a step; a step number divided by it is a float still
_LEAST = 1e-200


def _length(where: str, name: str, value: Any) -> float:
    """The check that an option is a finite number > 0, and not below 1e-200."""
    steps: float = Number(above=0.0)(where, name, value)
    if steps < _LEAST:
        raise OptionError(f"{where}: {name} must not be below {_LEAST:g} steps, got {value!r}.")
    return steps


def _steps() -> Any:
    return option(_length)


@register()
@dataclass(frozen=True)
class PowerDecay(Schedule):
    """Power scheduling: η₀ / (1 + i/c₁)^c₂ at step i, with c₁ = ``decay_steps`` and c₂ = ``power``.

    Keras' old ``SGD(lr, decay=d)`` is ``PowerDecay(lr, decay_steps=1 / d)``. ``staircase``: ⌊i/c₁⌋ for i/c₁.

    Source: lectures, "Power scheduling"; Keras 2's argument ``decay``.

    >>> schedule = nnx.optimizers.schedules.PowerDecay(0.1, decay_steps=100)
    >>> schedule(0), schedule(100)
    (0.1, 0.05)
    """

    initial_learning_rate: float = _start()
    decay_steps: float = _steps()
    power: float = number(1.0, least=0.0)
    staircase: bool = flag(False)

    def __call__(self, step: int) -> float:
        p = _ratio(step, self.decay_steps, self.staircase)
        return self.initial_learning_rate / _power(1.0 + p, self.power)


@register()
@dataclass(frozen=True)
class InverseTimeDecay(Schedule):
    """Inverse time: η₀ / (1 + r·i/n) at step i, with r = ``decay_rate`` and n = ``decay_steps``.

    It is power scheduling with c₂ = 1. ``staircase``: ⌊i/n⌋ for i/n.

    Source: Keras' ``optimizers.schedules.InverseTimeDecay``.

    >>> nnx.optimizers.schedules.InverseTimeDecay(0.1, decay_steps=10, decay_rate=0.5)(20)
    0.05
    """

    initial_learning_rate: float = _start()
    decay_steps: float = _steps()
    decay_rate: float = number(least=0.0)
    staircase: bool = flag(False)

    def __call__(self, step: int) -> float:
        p = _ratio(step, self.decay_steps, self.staircase)
        return self.initial_learning_rate / (1.0 + self.decay_rate * p)


@register()
@dataclass(frozen=True)
class ExponentialDecay(Schedule):
    """Exponential decay: η₀·r^(i/n) at step i, with r = ``decay_rate`` and n = ``decay_steps``.

    ``staircase``: ⌊i/n⌋ for i/n.

    Source: Keras' ``optimizers.schedules.ExponentialDecay``.

    >>> nnx.optimizers.schedules.ExponentialDecay(0.8, decay_steps=10, decay_rate=0.5, staircase=True)(25)
    0.2
    """

    initial_learning_rate: float = _start()
    decay_steps: float = _steps()
    decay_rate: float = number(least=0.0)
    staircase: bool = flag(False)

    def __call__(self, step: int) -> float:
        p = _ratio(step, self.decay_steps, self.staircase)
        return self.initial_learning_rate * _power(self.decay_rate, p)


def _listed(value: Any) -> Any:
    """An array as a list; anything else as it is."""
    return to_numpy(value).tolist() if hasattr(value, "dtype") else value


def _rates(where: str, name: str, value: Any) -> tuple[float, ...]:
    """The check that an option is several learning rates, each a finite number >= 0."""
    return Several(Number(least=0.0))(where, name, _listed(value))


def _increasing(where: str, name: str, value: Any) -> tuple[float, ...]:
    """The check that an option is several finite numbers, each above the one before."""
    boundaries = Several(Number())(where, name, _listed(value))
    if list(boundaries) != sorted(set(boundaries)):
        raise OptionError(f"{where}: {name} must increase from one to the next, got {value!r}.")
    return boundaries


@register()
@dataclass(frozen=True)
class PiecewiseConstantDecay(Schedule):
    """Piecewise constant: ``values[k]`` at step i, for the first k with i ≤ ``boundaries[k]``.

    There is one value more than boundaries; the last one holds from then on.

    Raises :class:`nnx.errors.OptionError` for boundaries that do not increase and for another number of
    values.
    Source: Keras' ``optimizers.schedules.PiecewiseConstantDecay``.

    >>> schedule = nnx.optimizers.schedules.PiecewiseConstantDecay([5, 20], [0.1, 0.01, 0.001])
    >>> schedule(5), schedule(6), schedule(21)
    (0.1, 0.01, 0.001)
    """

    boundaries: tuple[float, ...] = option(_increasing)
    values: tuple[float, ...] = option(_rates)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.values) != len(self.boundaries) + 1:
            raise OptionError(
                f"PiecewiseConstantDecay needs one value more than boundaries, got {len(self.boundaries)} "
                f"boundaries and {len(self.values)} values."
            )

    def __call__(self, step: int) -> float:
        return self.values[bisect_left(self.boundaries, step)]


@register()
@dataclass(frozen=True)
class PolynomialDecay(Schedule):
    """Polynomial decay: (η₀ − η₁)·(1 − i/n)^p + η₁ up to step n = ``decay_steps``, then η₁.

    η₁ = ``end_learning_rate``, p = ``power``. ``cycle``: instead of staying at the end, n becomes its own
    next multiple.

    Source: Keras' ``optimizers.schedules.PolynomialDecay``.

    >>> schedule = nnx.optimizers.schedules.PolynomialDecay(0.1, decay_steps=100, end_learning_rate=0.0)
    >>> schedule(50), schedule(1000)
    (0.05, 0.0)
    """

    initial_learning_rate: float = _start()
    decay_steps: float = _steps()
    end_learning_rate: float = number(0.0001, least=0.0)
    power: float = number(1.0, least=0.0)
    cycle: bool = flag(False)

    def __call__(self, step: int) -> float:
        steps = self.decay_steps
        if self.cycle:
            steps *= max(1, math.ceil(step / steps))
        p = min(step, steps) / steps
        span = self.initial_learning_rate - self.end_learning_rate
        return span * (1.0 - p) ** self.power + self.end_learning_rate


@register()
@dataclass(frozen=True)
class CosineDecay(Schedule):
    """Cosine decay: η₀·((1 − α)·(1 + cos(πi/n))/2 + α) up to step n = ``decay_steps``, then η₀·α.

    With ``warmup_target``, the learning rate first rises in ``warmup_steps`` steps from
    ``initial_learning_rate`` to the target along a line, and decays from there.
    Source: I. Loshchilov, F. Hutter, ICLR 2017, arXiv:1608.03983.

    >>> schedule = nnx.optimizers.schedules.CosineDecay(0.0, 100, warmup_target=0.1, warmup_steps=10)
    >>> schedule(0), schedule(5), schedule(10), round(schedule(60), 6)
    (0.0, 0.05, 0.1, 0.05)
    """

    initial_learning_rate: float = _start()
    decay_steps: float = _steps()
    alpha: float = number(0.0, least=0.0)
    warmup_target: float | None = number(None, least=0.0, optional=True)
    warmup_steps: float = number(0, least=0.0)

    def __call__(self, step: int) -> float:
        top, i = self.initial_learning_rate, float(step)
        if self.warmup_target is not None:
            if step < self.warmup_steps:
                return (self.warmup_target - top) * (step / self.warmup_steps) + top
            top, i = self.warmup_target, step - self.warmup_steps
        return top * _cosine(min(i, self.decay_steps) / self.decay_steps, 1.0, self.alpha)


@register()
@dataclass(frozen=True)
class CosineDecayRestarts(Schedule):
    """Cosine decay that starts again: periods of n, n·t, n·t², … steps, from η₀, η₀·m, ….

    n = ``first_decay_steps``, t = ``t_mul``, m = ``m_mul``; each period ends at η₀·``alpha``.
    A restart comes at its very step; Keras finds it by a logarithm and may come one step late.
    Source: I. Loshchilov, F. Hutter, "SGDR", ICLR 2017, arXiv:1608.03983.

    >>> schedule = nnx.optimizers.schedules.CosineDecayRestarts(0.1, 10, t_mul=2.0, m_mul=0.5)
    >>> schedule(0), schedule(10), schedule(30)
    (0.1, 0.05, 0.025)
    """

    initial_learning_rate: float = _start()
    first_decay_steps: float = _steps()
    t_mul: float = number(2.0, least=1.0)
    m_mul: float = number(1.0, least=0.0)
    alpha: float = number(0.0, least=0.0)

    def __call__(self, step: int) -> float:
        n, t = self.first_decay_steps, self.t_mul
        if t == 1.0:
            period = math.floor(step / n)
            start, length = period * n, n
        else:
            # The logarithm is right to within one period; the comparison settles it.
            grown = min(step / n * (t - 1.0), sys.float_info.max)
            period = max(0, round(math.log1p(grown) / math.log(t)))
            while period and n * (_power(t, period) - 1.0) / (t - 1.0) > step:
                period -= 1
            start, length = n * (_power(t, period) - 1.0) / (t - 1.0), n * _power(t, period)
        top = _power(self.m_mul, period)
        return self.initial_learning_rate * _cosine((step - start) / length, top, self.alpha)


@register()
@dataclass(frozen=True)
class WarmUp(Schedule):
    """Warm-up: in ``steps`` steps on a line from ``start`` to the schedule's first value, then the schedule.

    ``schedule`` is a schedule or a number (for a learning rate that stays).
    Source: P. Goyal et al., arXiv:1706.02677, section 2.2.

    >>> schedule = nnx.optimizers.schedules.WarmUp(0.1, steps=4)
    >>> [schedule(i) for i in range(6)]
    [0.0, 0.025, 0.05, 0.07500000000000001, 0.1, 0.1]
    """

    renamed: ClassVar[Mapping[str, str]] = {"warmup_steps": "steps", "initial_learning_rate": "start"}

    schedule: Callable[[int], float] | float = field(metadata={"check": learning_rate})
    steps: int = number(least=0, whole=True)
    start: float = number(0.0, least=0.0)

    def __call__(self, step: int) -> float:
        later = max(step - self.steps, 0)
        target = as_rate(self.schedule(later)) if callable(self.schedule) else self.schedule
        return target if step >= self.steps else (target - self.start) * (step / self.steps) + self.start


def _ratio(step: int, steps: float, staircase: bool) -> float:
    p = step / steps
    return float(math.floor(p)) if staircase else p


def _power(base: float, exponent: float) -> float:
    """``base`` ** ``exponent``; infinity, which no step takes as its rate, where that is too large."""
    try:
        return float(base**exponent)
    except OverflowError:
        return math.inf


def _cosine(done: float, top: float, alpha: float) -> float:
    return (1.0 - alpha) * 0.5 * top * (1.0 + math.cos(math.pi * done)) + alpha


def __getattr__(name: str) -> Any:
    """The reason why Keras' schedule of that name is none here."""
    raise AttributeError(why(name, SCHEDULES, __name__) or f"module '{__name__}' has no attribute '{name}'.")
