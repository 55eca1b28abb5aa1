"""The radius Δ of a trust region, by Moré's rules: the first one, and how it follows the gain ratio."""

from __future__ import annotations

import math
from typing import Any

from nnx.backend import namespace
from nnx.optimizers.problem import read

Array = Any


def first_radius(here: Any, scale: Array, values: dict[str, float], factor: float) -> bool:
    """Sets Δ = ``factor``·‖√D·w‖ (``factor``, if that is 0) where none is known; whether it did."""
    if values["radius"] > 0.0:
        return False
    xp = namespace(here.w)
    values["radius"] = factor * read(xp.linalg.vector_norm(xp.sqrt(scale) * here.w))[0] or factor
    return True


def follow(values: dict[str, float], attempt: Any) -> None:
    """Moves Δ after a step (None: there was none), and with it μ, the guess for the next one.

    Source: J. Moré, LNM 630 (1978) 105–116, section 5, as in MINPACK's ``lmder``.
    """
    if attempt is not None and attempt.gain > 0.25:
        if not attempt.binds or attempt.gain >= 0.75:
            values["radius"] = 2.0 * attempt.scaled
            values["mu"] *= 0.5
        return
    shorter = 0.1 if attempt is None else _shorter(attempt)
    radius = values["radius"] if attempt is None else min(values["radius"], 10.0 * attempt.scaled)
    values["radius"] = shorter * radius
    values["mu"] /= shorter


def _shorter(attempt: Any) -> float:
    """By which factor Δ shrinks: where the parabola through the costs has its minimum, from 0.1 to 0.5."""
    if attempt.fall >= 0.0:
        return 0.5
    if not math.isfinite(attempt.fall) or -attempt.fall >= 99.0 * attempt.total:
        return 0.1
    return min(max(0.5 * attempt.slope / (attempt.slope + attempt.fall), 0.1), 0.5)
