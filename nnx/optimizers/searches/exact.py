"""The minimum itself, from values alone: follow the direction while the cost falls, then narrow."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass

from nnx.optimizers.searches.armijo import shorter
from nnx.optimizers.searches.base import Algorithm, Search, Trial, back_to_finite, register
from nnx.optimizers.searches.interpolation import NARROW
from nnx.options import number

#: the shorter part of the golden section, (3 − √5)/2
GOLDEN = 0.5 * (3.0 - math.sqrt(5.0))
ULP = 2.0**-52

_NOTHING_TO_GAIN = "all that could be gained on this line is below rounding"


@dataclass(frozen=True)
class Exact(Search):
    """Base class of searches that end at a local minimum of φ, known to ``xtol`` relative to its α.

    First three points 0 ≤ a < b < c with φ(b) < φ(0), φ(b) ≤ φ(a), φ(b) ≤ φ(c): longer and longer steps
    while the cost falls, or shorter ones until it does; beyond c φ may be anything. Then the interval is
    narrowed around its lowest point. Values near a minimum differ by the square of the distance: an ``xtol``
    below the root of the precision of φ (1.5e-8, in double precision) finds nothing better.
    """

    xtol: float = number(2.0**-26, above=0.0, below=1.0)
    max_trials: int = number(100, least=1, whole=True)

    def steps(self, start: Trial, first: float) -> Algorithm:
        bracket = yield from _bracket(start, first)
        if bracket is None:
            return False, _NOTHING_TO_GAIN
        yield from self.narrow(*bracket)
        return True, f"The minimum is known to {self.xtol:.2g} of its α."

    def narrow(self, a: Trial, b: Trial, c: Trial) -> Generator[float, Trial, None]:
        """Steps between a and c, around b, which is lower than both, until the interval is small."""
        raise NotImplementedError(f"{type(self).__name__} must say how it narrows an interval.")


@register("golden", source="Kiefer 1953")
@dataclass(frozen=True)
class GoldenSection(Exact):
    """Golden section: [a, c] with a lower b inside, narrowed by 0.618 a trial until c − a ≤ ``xtol``·b.

    Each trial lies in the larger part, 0.382 of it away from b. Finds the minimum of any function that first
    falls and then rises, smooth or not. See :class:`Exact` for the interval to begin with.
    Source: J. Kiefer, "Sequential minimax search for a maximum", Proc. Amer. Math. Soc. 4 (1953) 502–506.

    >>> line = nnx.optimizers.searches.ScalarLine(lambda a: abs(a - 1.0), lambda a: -1.0 if a < 1.0 else 1.0)
    >>> found = nnx.optimizers.searches.GoldenSection()(line, line.slope(0.0), first=0.1)
    >>> round(found.trial.alpha, 6), found.converged
    (1.0, True)
    """

    def narrow(self, a: Trial, b: Trial, c: Trial) -> Generator[float, Trial, None]:
        while c.alpha - a.alpha > max(self.xtol, NARROW) * b.alpha:
            right = c.alpha - b.alpha > b.alpha - a.alpha
            trial = yield b.alpha + GOLDEN * ((c if right else a).alpha - b.alpha)
            if trial.value < b.value:
                a, b, c = (b, trial, c) if right else (a, trial, b)
            else:
                a, c = (a, trial) if right else (trial, c)


@register(source="Brent 1973")
@dataclass(frozen=True)
class Brent(Exact):
    """Brent's method: steps to the minimum of the parabola through the three lowest points.

    Where the parabola leads outside the interval or does not shrink fast enough, a golden section is made.
    Ends where no point of the interval is farther than 2·``xtol``·α from the lowest. See :class:`Exact` for
    the interval to begin with, whose three points make the first parabola.
    Source: R. P. Brent, "Algorithms for Minimization without Derivatives", 1973, chapter 5.

    >>> line = nnx.optimizers.searches.ScalarLine(lambda a: (a - 1.0) ** 2, lambda a: 2.0 * (a - 1.0))
    >>> nnx.optimizers.searches.Brent()(line, line.slope(0.0), first=0.1).trial.alpha
    1.0
    """

    def narrow(self, a: Trial, b: Trial, c: Trial) -> Generator[float, Trial, None]:
        left, right, x = a.alpha, c.alpha, b
        second, third = (a, c) if a.value <= c.value else (c, a)
        step = before = right - left
        while True:
            least = max(self.xtol, NARROW) * x.alpha
            if max(x.alpha - left, right - x.alpha) <= 2.0 * least:
                return
            parabola = _parabola(x, second, third)
            room = (left - x.alpha, right - x.alpha)
            if room[0] < parabola < room[1] and abs(parabola) < 0.5 * abs(before):
                before, step = step, parabola
                if min(parabola - room[0], room[1] - parabola) < 2.0 * least:
                    step = math.copysign(least, room[0] + room[1])
            else:
                before = max(room, key=abs)
                step = GOLDEN * before
            u = yield x.alpha + (step if abs(step) >= least else math.copysign(least, step))
            if u.value <= x.value:
                left, right = (x.alpha, right) if u.alpha >= x.alpha else (left, x.alpha)
                x, second, third = u, x, second
            else:
                left, right = (u.alpha, right) if u.alpha < x.alpha else (left, u.alpha)
                if u.value <= second.value:
                    second, third = u, second
                elif u.value <= third.value:
                    third = u


def _parabola(x: Trial, second: Trial, third: Trial) -> float:
    """How far it is from ``x`` to the minimum of the parabola through three trials; nan if it has none."""
    r = (x.alpha - second.alpha) * (x.value - third.value)
    q = (x.alpha - third.alpha) * (x.value - second.value)
    p = (x.alpha - third.alpha) * q - (x.alpha - second.alpha) * r
    return -0.5 * p / (q - r) if q != r else math.nan


def _bracket(start: Trial, first: float) -> Generator[float, Trial, tuple[Trial, Trial, Trial] | None]:
    """Three points, the middle one the lowest; None where rounding hides every fall."""
    trial, limit = yield from back_to_finite(0.0, first)
    while _drowned(start, trial) and 10.0 * trial.alpha < limit:
        trial = yield 10.0 * trial.alpha
    c = Trial(limit, math.inf)
    while trial.value >= start.value:
        if _drowned(start, trial):
            return None
        c = trial
        trial, _ = yield from back_to_finite(0.0, shorter(start, c))
    a, b, growth = start, trial, 1.0 / GOLDEN - 1.0
    while b.alpha + growth * (b.alpha - a.alpha) < c.alpha:
        trial = yield b.alpha + growth * (b.alpha - a.alpha)
        if trial.value >= b.value:
            return a, b, trial
        a, b, growth = b, trial, min(1.25 * growth, 9.0)
    return a, b, c


def _drowned(start: Trial, trial: Trial) -> bool:
    """Whether φ did not fall, and could not visibly: the slope predicts less than an ulp of φ(0)."""
    return trial.value >= start.value and -trial.alpha * start.slope <= ULP * abs(start.value)
