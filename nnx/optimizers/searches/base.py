"""The interface of a search along a line: it takes and returns Python floats, no arrays."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Generator
from typing import Any, ClassVar, NamedTuple, Protocol

from nnx.errors import OptionError
from nnx.optimizers.options import Options
from nnx.optimizers.registering import registering
from nnx.registry import Registry, Traits

registry = Registry("search", Traits, module="nnx.optimizers.searches")
register = registering(registry)

#: no step is longer, so that a product of two of them does not overflow
LARGEST = math.sqrt(sys.float_info.max)


class Trial(NamedTuple):
    """A point of the line: α = ``alpha`` ≥ 0, φ(α), and φ'(α) where it was asked for (else nan).

    ``value`` is φ(α), ``slope`` is φ'(α): any numbers; ``point`` is the line's own.

    >>> nnx.optimizers.searches.Trial(0.5, 1.25).value
    1.25
    """

    alpha: float
    value: float
    slope: float = math.nan
    point: Any = None  # the line's own: what it wants back of the trial that was chosen


class Line(Protocol):
    """The function φ(α) of a step length α ≥ 0, the cost along a direction.

    >>> line = nnx.optimizers.searches.ScalarLine(lambda a: a * a - a, lambda a: 2.0 * a - 1.0)
    >>> line.value(0.5).value, line.slope(0.5).slope
    (-0.25, 0.0)
    """

    def value(self, alpha: float) -> Trial:
        """φ(α) alone, α = ``alpha`` ≥ 0; the slope of the trial is nan."""

    def slope(self, alpha: float) -> Trial:
        """φ(α) and φ'(α), α = ``alpha`` ≥ 0."""


class ScalarLine:
    """The line of two Python functions φ and φ'; counts how often each was called.

    >>> line = nnx.optimizers.searches.ScalarLine(lambda a: (a - 1.0) ** 2, lambda a: 2.0 * (a - 1.0))
    >>> line.slope(0.0)
    Trial(alpha=0.0, value=1.0, slope=-2.0, point=None)
    >>> line.values, line.slopes
    (1, 1)
    >>> line.value(1.0).value
    0.0
    """

    def __init__(self, phi: Callable[[float], float], dphi: Callable[[float], float]) -> None:
        self.phi, self.dphi = phi, dphi
        self.values = self.slopes = 0

    def value(self, alpha: float) -> Trial:
        """φ(α) alone, α = ``alpha`` ≥ 0."""
        self.values += 1
        return Trial(alpha, float(self.phi(alpha)))

    def slope(self, alpha: float) -> Trial:
        """φ(α) and φ'(α), α = ``alpha`` ≥ 0."""
        self.slopes += 1
        return self.value(alpha)._replace(slope=float(self.dphi(alpha)))


class Found(NamedTuple):
    """What a search answers.

    ``trial`` keeps the conditions of the search if ``converged``; else it is the lowest one seen, which may
    be the start itself. ``message`` says in words why the search ended.

    >>> line = nnx.optimizers.searches.ScalarLine(lambda a: (a - 1.0) ** 2, lambda a: 2.0 * (a - 1.0))
    >>> found = nnx.optimizers.searches.Armijo()(line, line.slope(0.0), first=1.0)
    >>> found.converged, found.trial.alpha, found.message
    (True, 1.0, 'The conditions of Armijo hold.')
    """

    trial: Trial
    converged: bool
    message: str


#: An algorithm: yields the next step, is sent its trial; returns at its end whether it succeeded, and why.
Algorithm = Generator[float, Trial, tuple[bool, str]]


class Search(Options):
    """Base class: a frozen dataclass that is called with a line, its start and a first step.

    A subclass says in :meth:`accepts` which conditions end it, and in :meth:`steps` what to try next. All of
    them keep this: at most ``max_trials`` points are asked for. What is not finite (φ, or φ' where it is
    asked for) counts as +∞. Multiplying φ by a constant > 0 changes nothing.

    Raises :class:`nnx.errors.OptionError` where the start has no finite value and slope < 0, or the first
    step is not > 0.

    >>> nnx.optimizers.searches.get("armijo")
    Armijo(c1=0.0001, max_trials=30, epsilon=1e-14)
    """

    kind: ClassVar[str] = "search"
    #: whether the trial that is returned has its slope
    needs_slope: ClassVar[bool] = False

    max_trials: int

    def __call__(self, line: Line, start: Trial, first: float) -> Found:
        """The point to go to, at most ``max_trials`` trials later.

        ``start`` is the trial at α = 0, with its slope, which must be < 0; ``first`` > 0 is the step to try
        first. Raises :class:`nnx.errors.OptionError` for others.
        """
        _check(type(self).__name__, start, first)
        ask = line.slope if self.needs_slope else line.value
        steps = self.steps(start, min(float(first), LARGEST))
        alpha, farthest, best = next(steps), 0.0, start
        why = f"{self.max_trials} trials were not enough"
        for _ in range(self.max_trials):
            if not 0.0 < alpha <= LARGEST:
                why = "the steps have become too small or too large to go on"
                break
            trial = _finite_or_infinite(ask(alpha), self.needs_slope)
            if self.accepts(start, trial):
                return Found(trial, True, f"The conditions of {type(self).__name__} hold.")
            farthest = max(farthest, trial.alpha)
            best = trial if trial.value < best.value else best
            try:
                # without its point: only the best one's vectors are kept in memory
                alpha = steps.send(trial._replace(point=None))
            except StopIteration as end:
                converged, why = end.value
                if converged:
                    return Found(best, True, why)
                break
        return Found(best, False, _failure(why, best, farthest))

    def accepts(self, start: Trial, trial: Trial) -> bool:
        """Whether ``trial`` keeps the conditions of this search."""
        return False

    def steps(self, start: Trial, first: float) -> Algorithm:
        """The algorithm. It may ask for trials without end: the search stops it.

        ``first`` > 0 is the step to try first.
        """
        raise NotImplementedError(f"{type(self).__name__} must say what to try.")


def back_to_finite(anchor: float, alpha: float) -> Generator[float, Trial, tuple[Trial, float]]:
    """Steps from ``alpha`` back towards ``anchor``: the first finite trial, and the α of the last one before.

    That α is ∞ if the first trial was finite. The distance shrinks by 1/2, 1/4, 1/16, 1/256, 1/256, ...: a
    step that was a little too long loses little, and one too long by orders of magnitude is soon back.
    """
    limit, power = math.inf, 1
    while (trial := (yield alpha)).value == math.inf:
        limit, alpha = alpha, anchor + (alpha - anchor) * 0.5**power
        power = min(2 * power, 8)
    return trial, limit


def _finite_or_infinite(trial: Trial, with_slope: bool) -> Trial:
    """The trial, with φ = ∞ where something of it is not finite: comparisons then never prefer it."""
    if math.isfinite(trial.value) and (math.isfinite(trial.slope) or not with_slope):
        return trial
    return trial._replace(value=math.inf, slope=math.nan)


def _failure(why: str, best: Trial, farthest: float) -> str:
    if best.alpha == 0.0:
        seen = "No trial was lower than the start."
    elif best.alpha == farthest:
        seen = f"The lowest was the farthest, α = {best.alpha:g}: the function may have no lower bound."
    else:
        seen = f"The lowest trial is at α = {best.alpha:g}."
    return f"The conditions do not hold: {why}. {seen}"


def _check(name: str, start: Trial, first: float) -> None:
    if start.alpha != 0.0 or not math.isfinite(start.value):
        raise OptionError(f"{name}: a search starts at alpha = 0 with a finite value, got {start}.")
    if not -math.inf < start.slope < 0.0:
        raise OptionError(
            f"{name}: the slope at the start must be finite and < 0, got {start.slope!r}. "
            "It is no descent direction; take another one, such as minus the gradient."
        )
    if not 0.0 < first < math.inf:
        raise OptionError(f"{name}: the first step must be a finite number > 0, got {first!r}.")
