"""Between two trials: where a polynomial through them has its minimum, and half-way."""

from __future__ import annotations

import math

from nnx.optimizers.searches.base import Trial

#: an interval that is narrower, relative to its end, holds no further step
NARROW = 2.0**-50


def cubic(a: Trial, b: Trial) -> float:
    """The minimum of the cubic with the values and slopes of two trials; nan if it has none.

    Source: Moré & Thuente 1994, section 4.
    """
    if a.alpha == b.alpha:
        return math.nan
    theta = 3.0 * (a.value - b.value) / (b.alpha - a.alpha) + a.slope + b.slope
    scale = max(abs(theta), abs(a.slope), abs(b.slope))
    if not 0.0 < scale < math.inf:
        return math.nan
    under_root = (theta / scale) ** 2 - (a.slope / scale) * (b.slope / scale)
    if not under_root > 0.0:
        return math.nan
    gamma = math.copysign(scale * math.sqrt(under_root), b.alpha - a.alpha)
    return _part(a, b, gamma - a.slope + theta, 2.0 * gamma - a.slope + b.slope)


def quadratic(a: Trial, b: Trial) -> float:
    """The minimum of the parabola with both values and the slope of ``a``; nan if it has none."""
    chord = (a.value - b.value) / (b.alpha - a.alpha)
    return _part(a, b, a.slope / 2.0, chord + a.slope)


def secant(a: Trial, b: Trial) -> float:
    """The minimum of the parabola with both slopes; nan if it has none."""
    return _part(a, b, a.slope, a.slope - b.slope)


def middle(a: float, b: float) -> float:
    """Half-way between two steps, by orders of magnitude if there are several between them."""
    low, high = min(a, b), max(a, b)
    return math.sqrt(low) * math.sqrt(high) if 0.0 < 100.0 * low < high else low + 0.5 * (high - low)


def _part(a: Trial, b: Trial, numerator: float, denominator: float) -> float:
    return a.alpha + numerator / denominator * (b.alpha - a.alpha) if denominator else math.nan
