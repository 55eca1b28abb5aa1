"""erf and erfc in standard calls, by W. J. Cody's rational approximations (Math. Comp. 23, 1969, 631–637)."""

from __future__ import annotations

import math
from typing import Any

Array = Any

_INV_SQRT_PI = 1.0 / math.sqrt(math.pi)
# Cody's coefficients: numerator and denominator, highest power first.
_ERF_NEAR = (
    (1.85777706184603153e-1, 3.16112374387056560e00, 1.13864154151050156e02,
     3.77485237685302021e02, 3.20937758913846947e03),
    (1.0, 2.36012909523441209e01, 2.44024637934444173e02, 1.28261652607737228e03,
     2.84423683343917062e03),
)  # fmt: skip
_ERF_MIDDLE = (
    (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e01,
     2.98635138197400131e02, 8.81952221241769090e02, 1.71204761263407058e03,
     2.05107837782607147e03, 1.23033935479799725e03),
    (1.0, 1.57449261107098347e01, 1.17693950891312499e02, 5.37181101862009858e02,
     1.62138957456669019e03, 3.29079923573345963e03, 4.36261909014324716e03,
     3.43936767414372164e03, 1.23033935480374942e03),
)  # fmt: skip
_ERF_FAR = (
    (1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1,
     1.25781726111229246e-1, 1.60837851487422766e-2, 6.58749161529837803e-4),
    (1.0, 2.56852019228982242e00, 1.87295284992346047e00, 5.27905102951428412e-1,
     6.05183413124413191e-2, 2.33520497626869185e-3),
)  # fmt: skip


def erf(xp: Any, x: Array) -> Array:
    """erf(x), of the shape of ``x``."""
    near, tail = _near_and_tail(xp, x)
    outer = xp.where(x < 0, tail - 1.0, 1.0 - tail)
    return xp.where(xp.isnan(x), x, xp.where(xp.abs(x) <= 0.46875, near, outer))


def erfc(xp: Any, x: Array) -> Array:
    """1 − erf(x), of the shape of ``x``, without cancellation to the right."""
    near, tail = _near_and_tail(xp, x)
    outer = xp.where(x < 0, 2.0 - tail, tail)
    return xp.where(xp.isnan(x), x, xp.where(xp.abs(x) <= 0.46875, 1.0 - near, outer))


def _near_and_tail(xp: Any, x: Array) -> tuple[Array, Array]:
    """erf(x) where abs(x) ≤ 0.46875, and 1 − erf(abs(x)) beyond."""
    a = xp.abs(x)
    small = xp.where(a <= 0.46875, x, xp.zeros_like(x))
    middle = xp.minimum(xp.maximum(a, xp.full_like(a, 0.46875)), xp.full_like(a, 4.0))
    large = xp.minimum(xp.maximum(a, xp.full_like(a, 4.0)), xp.full_like(a, 30.0))
    near = small * _ratio(small * small, *_ERF_NEAR)
    mid = xp.exp(-middle * middle) * _ratio(middle, *_ERF_MIDDLE)
    inverse = 1.0 / (large * large)
    shape = (_INV_SQRT_PI - inverse * _ratio(inverse, *_ERF_FAR)) / large
    return near, xp.where(a <= 4.0, mid, xp.exp(-large * large) * shape)


def _ratio(x: Array, numerator: tuple[float, ...], denominator: tuple[float, ...]) -> Array:
    top, bottom = numerator[0] * x + numerator[1], denominator[0] * x + denominator[1]
    for p, q in zip(numerator[2:], denominator[2:], strict=True):
        top, bottom = top * x + p, bottom * x + q
    return top / bottom
