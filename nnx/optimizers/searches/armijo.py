"""Backtracking: shorter and shorter steps, until the cost has fallen by enough."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nnx.optimizers.searches.base import Algorithm, Search, Trial, back_to_finite, register
from nnx.options import number


@register("backtracking", source="Armijo 1966; Dennis & Schnabel 1983")
@dataclass(frozen=True)
class Armijo(Search):
    """Backtracking: φ(α) ≤ φ(0) + c₁·α·φ'(0), with c₁ = ``c1`` in (0, 1).

    It begins with the first step and ends where the condition holds. The next step is the minimum of a
    polynomial through what is known (a quadratic after the first trial, then a cubic through the last two),
    but within 0.1 and 0.5 of the one before. Asks for values only.

    Rounding: where all that a step can bring, ``α·|φ'(0)|``, is below ``epsilon·|φ(0)|``, the condition is
    lost in rounding, and φ(α) ≤ φ(0) + ``epsilon·|φ(0)|`` takes its place.
    Source: L. Armijo, Pacific J. Math. 16 (1966) 1–3; J. E. Dennis, R. B. Schnabel, "Numerical Methods for
    Unconstrained Optimization and Nonlinear Equations", 1983, algorithm A6.3.1.

    >>> line = nnx.optimizers.searches.ScalarLine(lambda a: (a - 1.0) ** 2, lambda a: 2.0 * (a - 1.0))
    >>> nnx.optimizers.searches.Armijo()(line, line.slope(0.0), first=4.0).trial.alpha
    1.0
    """

    c1: float = number(1e-4, above=0.0, below=1.0)
    max_trials: int = number(30, least=1, whole=True)
    epsilon: float = number(1e-14, least=0.0)

    def accepts(self, start: Trial, trial: Trial) -> bool:
        rounding = self.epsilon * abs(start.value)
        drowned = -trial.alpha * start.slope <= rounding
        return trial.value <= start.value + (rounding if drowned else self.c1 * trial.alpha * start.slope)

    def steps(self, start: Trial, first: float) -> Algorithm:
        trial, _ = yield from back_to_finite(0.0, first)
        last: Trial | None = None
        while True:
            before, last = last, trial
            trial, _ = yield from back_to_finite(0.0, shorter(start, last, before))


def shorter(start: Trial, last: Trial, before: Trial | None = None) -> float:
    """Where the polynomial through φ(0), φ'(0), φ of the last trial and the one before has its minimum.

    Kept within 0.1 and 0.5 of the last step, and 0.5 of it where the polynomial has no minimum.
    """
    alpha = _quadratic(start, last) if before is None else _cubic(start, last, before)
    return min(max(alpha, 0.1 * last.alpha), 0.5 * last.alpha) if math.isfinite(alpha) else 0.5 * last.alpha


def _excess(start: Trial, trial: Trial) -> float:
    """(φ(α) − φ(0) − αφ'(0))/α²: the mean curvature, halved."""
    return ((trial.value - start.value) / trial.alpha - start.slope) / trial.alpha


def _quadratic(start: Trial, last: Trial) -> float:
    curvature = 2.0 * _excess(start, last)
    return -start.slope / curvature if curvature > 0.0 else math.inf


def _cubic(start: Trial, last: Trial, before: Trial) -> float:
    """The minimum of φ(0) + |φ'(0)|·(−α + bα² + aα³)."""
    at, at_before = _excess(start, last) / -start.slope, _excess(start, before) / -start.slope
    a = (at - at_before) / (last.alpha - before.alpha)
    b = at - a * last.alpha
    under_root = b * b + 3.0 * a
    if not under_root >= 0.0 or (b <= 0.0 and a <= 0.0):
        return math.inf
    root = math.sqrt(under_root)
    return 1.0 / (b + root) if b > 0.0 else (root - b) / (3.0 * a)
