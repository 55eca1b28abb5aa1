"""Moré and Thuente's search for a point that keeps the strong Wolfe conditions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from nnx.errors import OptionError
from nnx.optimizers.searches.base import Algorithm, Search, Trial, back_to_finite, register
from nnx.optimizers.searches.interpolation import NARROW, cubic, middle, quadratic, secant
from nnx.options import number


@register("more_thuente", "wolfe", source="Moré & Thuente 1994")
@dataclass(frozen=True)
class StrongWolfe(Search):
    """Wolfe's strong conditions: φ(α) ≤ φ(0) + c₁·α·φ'(0) and ``|φ'(α)| ≤ c₂·|φ'(0)|``.

    Ends where both hold; 0 < ``c1`` < ``c2`` < 1, c₁ < ½: raises :class:`nnx.errors.OptionError` for others.
    The algorithm of Moré and Thuente: an interval whose lower end has the lowest value, and from which the
    function falls towards the other end; a step is the minimum of a cubic or a parabola. Until a point with
    enough decrease and φ' ≥ 0 is met, the interval belongs to ψ(α) = φ(α) − φ(0) − c₁·α·φ'(0). Each trial
    asks for value and slope.

    Rounding: differences up to ``epsilon·|φ(0)|`` are ignored. Between such values the slopes decide; and
    where the decrease that is asked for, ``c₁·α·|φ'(0)|``, is no larger, slopes may judge it as well:
    φ'(α) ≤ (2c₁ − 1)·φ'(0) and φ(α) ≤ φ(0) + ``epsilon·|φ(0)|``, Hager and Zhang's approximate Wolfe
    condition (the same as the first one where φ is quadratic). For costs in single precision use about 1e-6.
    Source: J. J. Moré, D. J. Thuente, "Line search algorithms with guaranteed sufficient decrease", ACM
    Trans. Math. Software 20 (1994) 286–307; W. W. Hager, H. Zhang, SIAM J. Optim. 16 (2005) 170–192, (4.1).

    >>> line = nnx.optimizers.searches.ScalarLine(lambda a: (a - 1.0) ** 2, lambda a: 2.0 * (a - 1.0))
    >>> found = nnx.optimizers.searches.StrongWolfe(c2=0.1)(line, line.slope(0.0), first=0.3)
    >>> round(found.trial.alpha, 9), found.converged
    (1.0, True)
    """

    needs_slope: ClassVar[bool] = True

    c1: float = number(1e-4, above=0.0, below=0.5)
    c2: float = number(0.9, above=0.0, below=1.0)
    max_trials: int = number(50, least=1, whole=True)
    epsilon: float = number(1e-14, least=0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.c1 < self.c2:
            raise OptionError(
                f"StrongWolfe: c1 must be less than c2, else no point may keep both conditions; "
                f"got c1={self.c1}, c2={self.c2}."
            )

    def accepts(self, start: Trial, trial: Trial) -> bool:
        return self._fell(start, trial) and abs(trial.slope) <= -self.c2 * start.slope

    def _fell(self, start: Trial, trial: Trial) -> bool:
        """Whether the cost has fallen by enough."""
        asked, rounding = self.c1 * trial.alpha * start.slope, self.epsilon * abs(start.value)
        if trial.value <= start.value + asked:
            return True
        by_slope = -asked <= rounding and trial.slope <= (2.0 * self.c1 - 1.0) * start.slope
        return by_slope and trial.value <= start.value + rounding

    def steps(self, start: Trial, first: float) -> Algorithm:
        lower, upper, alpha = start, _NO_END, first
        width_before = width = math.inf
        first_stage, rounding = True, self.epsilon * abs(start.value)
        while True:
            trial, limit = yield from back_to_finite(lower.alpha, alpha)
            if limit < math.inf:
                upper = Trial(limit, math.inf)
            fell = self._fell(start, trial)
            first_stage = first_stage and not (fell and trial.slope >= 0.0)
            # ψ only where φ would mislead: lower than the lowest, but not by enough
            modified = first_stage and not fell and trial.value <= lower.value
            tilt = self.c1 * start.slope if modified else 0.0
            l, t, u = (_tilted(end, tilt) for end in (lower, trial, upper))  # noqa: E741
            rises = t.value > l.value + rounding
            alpha = _next_step(l, t, u, rises, abs(t.value - l.value) <= rounding, lower is start)
            if rises:
                upper = trial
            else:
                lower, upper = trial, lower if _opposite(l, t) else upper
            if upper is not _NO_END:
                width_before, width, before = width, abs(upper.alpha - lower.alpha), width_before
                if width <= NARROW * max(lower.alpha, upper.alpha):
                    return False, "the interval has shrunk to rounding"
                inside = min(lower.alpha, upper.alpha) < alpha < max(lower.alpha, upper.alpha)
                if not inside or width >= 0.66 * before:
                    alpha = middle(lower.alpha, upper.alpha)


_NO_END = Trial(math.inf, math.inf)


def _tilted(trial: Trial, tilt: float) -> Trial:
    return Trial(trial.alpha, trial.value - tilt * trial.alpha, trial.slope - tilt) if tilt else trial


def _opposite(a: Trial, b: Trial) -> bool:
    return a.slope < 0.0 < b.slope or b.slope < 0.0 < a.slope


def _next_step(l: Trial, t: Trial, u: Trial, rises: bool, flat: bool, at_start: bool) -> float:  # noqa: E741
    """The four cases of the paper, section 4: lower end, trial and upper end; NaN if none applies.

    ``flat``: the values differ by rounding alone, so only slopes are used.
    """
    if rises:
        c, q = cubic(l, t), quadratic(l, t)
        return c if abs(c - l.alpha) < abs(q - l.alpha) else c + 0.5 * (q - c)
    s = secant(t, l)
    c = s if flat else cubic(t, l)
    if _opposite(l, t):
        return c if abs(c - t.alpha) > abs(s - t.alpha) else s
    sign, done = math.copysign(1.0, t.alpha - l.alpha), abs(t.alpha - l.alpha)
    flatter = abs(t.slope) < abs(l.slope)
    ahead = [sign * (x - t.alpha) for x in (c, s)] if flatter else []
    ahead = [x if x > 0.0 else math.inf for x in ahead]
    if u.value < math.inf:
        return t.alpha + sign * min(*ahead, 0.66 * abs(u.alpha - t.alpha)) if flatter else cubic(t, u)
    room = min(4.0 * done, 0.5 * abs(u.alpha - t.alpha))
    least = 1e-3 if at_start else 1.1
    return t.alpha + sign * min(max(*ahead, least * done), room) if flatter else t.alpha + sign * room
