"""Hager and Zhang's search, which reaches the limits of precision: near a minimum it trusts slopes."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from nnx.errors import OptionError
from nnx.optimizers.searches.base import Algorithm, Search, Trial, back_to_finite, register
from nnx.optimizers.searches.interpolation import NARROW, middle, secant
from nnx.options import number

Interval = Generator[float, Trial, tuple[Trial, Trial]]


@register(source="Hager & Zhang 2005")
@dataclass(frozen=True)
class HagerZhang(Search):
    """Wolfe's conditions: φ(α) ≤ φ(0) + c₁·α·φ'(0) and φ'(α) ≥ c₂·φ'(0), or the approximate ones.

    Ends where either pair holds; 0 < ``c1`` < ½, c₁ ≤ ``c2`` < 1: raises :class:`nnx.errors.OptionError` for
    others.

    - Approximate: (2c₁ − 1)·φ'(0) ≥ φ'(α) ≥ c₂·φ'(0) and φ(α) ≤ φ(0) + ``epsilon·|φ(0)|``. The cost may so
      rise by that little, which is the price for slopes that are right where values drown in rounding.

    An interval [a, b] with φ'(a) < 0 ≤ φ'(b), ``φ(a) ≤ φ(0) + ε|φ(0)|`` is found by steps that grow by
    ``rho``; double secant steps make it narrower, and a bisection where they have not made it so by
    ``gamma``. ``theta``: where between its ends an interval is cut whose end lies above. c₁ and c₂ are the
    paper's δ, σ. Each trial asks for value and slope.
    Source: W. W. Hager, H. Zhang, "A new conjugate gradient method with guaranteed descent and an efficient
    line search", SIAM J. Optim. 16 (2005) 170–192, section 4.

    >>> line = nnx.optimizers.searches.ScalarLine(lambda a: (a - 1.0) ** 2, lambda a: 2.0 * (a - 1.0))
    >>> found = nnx.optimizers.searches.HagerZhang()(line, line.slope(0.0), first=4.0)
    >>> found.trial.alpha, found.trial.slope
    (1.0, 0.0)
    """

    needs_slope: ClassVar[bool] = True
    renamed: ClassVar[Mapping[str, str]] = {"delta": "c1", "sigma": "c2"}

    c1: float = number(0.1, above=0.0, below=0.5)
    c2: float = number(0.9, above=0.0, below=1.0)
    max_trials: int = number(50, least=1, whole=True)
    epsilon: float = number(1e-6, least=0.0)
    theta: float = number(0.5, above=0.0, below=1.0)
    gamma: float = number(0.66, above=0.0, below=1.0)
    rho: float = number(5.0, above=1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.c1 <= self.c2:
            raise OptionError(
                f"HagerZhang: c1 must not be greater than c2, else no point may keep both conditions; "
                f"got c1={self.c1}, c2={self.c2}."
            )

    def accepts(self, start: Trial, trial: Trial) -> bool:
        fell = trial.value <= start.value + self.c1 * trial.alpha * start.slope
        by_slope = trial.slope <= (2.0 * self.c1 - 1.0) * start.slope and trial.value <= self._ceiling(start)
        return trial.slope >= self.c2 * start.slope and (fell or by_slope)

    def _ceiling(self, start: Trial) -> float:
        return start.value + self.epsilon * abs(start.value)

    def steps(self, start: Trial, first: float) -> Algorithm:
        ceiling = self._ceiling(start)
        a, b = yield from self._bracket(start, first, ceiling)
        while b.alpha - a.alpha > NARROW * b.alpha:
            width = b.alpha - a.alpha
            a, b = yield from self._double_secant(a, b, ceiling)
            if b.alpha - a.alpha > self.gamma * width:
                a, b = yield from self._update(a, b, middle(a.alpha, b.alpha), ceiling)
        return False, "the interval has shrunk to rounding"

    def _bracket(self, start: Trial, first: float, ceiling: float) -> Interval:
        """Longer and longer steps (B0 to B3), short of where φ was not finite."""
        a, alpha, end = start, first, math.inf
        while True:
            trial, limit = yield from back_to_finite(a.alpha, alpha)
            if trial.slope >= 0.0:
                return a, trial
            if trial.value > ceiling:
                return (yield from self._cut(a, trial, ceiling))
            a, end = trial, min(end, limit)
            alpha = min(self.rho * a.alpha, middle(a.alpha, end))

    def _double_secant(self, a: Trial, b: Trial, ceiling: float) -> Interval:
        """A secant step, and a second one from the end that it moved (S1 to S4)."""
        c = secant(a, b)
        new_a, new_b = yield from self._update(a, b, c, ceiling)
        if c == new_b.alpha:
            c = secant(b, new_b)
        elif c == new_a.alpha:
            c = secant(a, new_a)
        else:
            return new_a, new_b
        return (yield from self._update(new_a, new_b, c, ceiling))

    def _update(self, a: Trial, b: Trial, alpha: float, ceiling: float) -> Interval:
        """The interval with one of its ends at ``alpha``, if that lies inside (U0 to U3)."""
        if not a.alpha < alpha < b.alpha:
            return a, b
        c = yield alpha
        if c.slope >= 0.0:
            return a, c
        if c.value <= ceiling:
            return c, b
        return (yield from self._cut(a, c, ceiling))

    def _cut(self, a: Trial, b: Trial, ceiling: float) -> Interval:
        """An interval inside [a, b], where φ(b) is too high, whose upper end has a slope ≥ 0 (U3)."""
        while True:
            d, limit = yield from back_to_finite(a.alpha, a.alpha + self.theta * (b.alpha - a.alpha))
            if d.slope >= 0.0:
                return a, d
            if d.value > ceiling:
                b = d
            else:
                a, b = d, Trial(limit, math.inf) if limit < math.inf else b
