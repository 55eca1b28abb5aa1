"""Quantiles of Student's t distribution, for intervals of confidence."""

from __future__ import annotations

import math
from statistics import NormalDist

#: from so many degrees of freedom on the expansion about the normal quantile has no visible error
_MANY = 1000


def student_quantile(confidence: float, freedom: int) -> float:
    """The t with P(|T| ≤ t) = ``confidence`` for Student's T with ``freedom`` ≥ 1 degrees of freedom.

    ``confidence`` is in (0, 1). Up to 1000 degrees of freedom by bisection of the finite sum for P
    (:func:`_within`), above by Fisher's expansion; right to 1e-10 of t.
    Source: M. Abramowitz, I. Stegun, *Handbook of Mathematical Functions*, 26.7.3–4 and 26.7.5.

    >>> round(student_quantile(0.95, 10), 4)
    2.2281
    """
    if freedom >= _MANY:
        return _expansion(NormalDist().inv_cdf(0.5 + 0.5 * confidence), freedom)
    low, high = 0.0, 0.5 * math.pi
    while low < (middle := 0.5 * (low + high)) < high:
        if _within(middle, freedom) < confidence:
            low = middle
        else:
            high = middle
    return math.sqrt(freedom) * math.tan(low)


def _within(angle: float, freedom: int) -> float:
    """P(|T| ≤ √ν·tan(angle)) for ν degrees of freedom."""
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term = cosine if odd else 1.0
    total = 0.0
    for k in range(2 + odd, freedom + 1, 2):
        total += term
        term *= cosine * cosine * (k - 1) / k
    return 2.0 / math.pi * (angle + sine * total) if odd else sine * total


def _expansion(z: float, freedom: int) -> float:
    """The quantile t as a series in 1/ν about the normal quantile z."""
    s = z * z
    series = (
        (s + 1.0) / 4.0,
        ((5.0 * s + 16.0) * s + 3.0) / 96.0,
        (((3.0 * s + 19.0) * s + 17.0) * s - 15.0) / 384.0,
        ((((79.0 * s + 776.0) * s + 1482.0) * s - 1920.0) * s - 945.0) / 92160.0,
    )
    return z * (1.0 + sum(g / freedom ** (i + 1) for i, g in enumerate(series)))
