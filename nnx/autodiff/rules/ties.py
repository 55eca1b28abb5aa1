"""The largest number that is compared with those it is the largest of: ``x == max(x)``.

Where several numbers are the largest, the slope of ``max`` is shared equally among them, and its own
derivative counts as 0. That is wrong in code that takes the ties out by such a comparison and goes on with
the largest number m as one that does not depend on how many there are. SciPy's ``logsumexp`` with weights b
does: ln Σ bᵢ exp(xᵢ) = m + ln B + ln(1 + Σ' bᵢ exp(xᵢ − m)/B), B the sum of the weights of the ties and Σ'
that over the others.

So the second derivatives of a maximum that is compared with its own argument are NaN at ties. In SciPy's
function, where the rest of the sum is known, m becomes ln(Σ bᵢ exp(xᵢ)/B) over the ties: the same number,
with which all derivatives are right.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from nnx.autodiff.array import Traced, raw
from nnx.autodiff.families import Reduction

#: the functions, and the comparisons that find ties
EXTREMES, COMPARISONS = ("max", "min"), ("equal", "greater_equal", "less_equal")


def _unknown(xp: Any, x: Any, y: Any, axis: Any) -> Any:
    hits = xp.astype(x == y, x.dtype)
    count = xp.sum(hits, axis=axis, keepdims=True)
    tie = (hits > 0.0) & (count > 1.0)
    return xp.kinked(hits / count + xp.where(tie, 0.0 * x, 0.0), at=tie)


_UNKNOWN = Reduction("tied extreme", _unknown)


def remembering(
    bound: Callable[..., Any], by: Callable[[Reduction], Callable[..., Any]]
) -> Callable[..., Any]:
    """``bound``, max or min, with results that know their argument; ``by(rule)`` is it by another rule."""

    def extreme(x: Any, **options: Any) -> Any:
        y = bound(x, **options)
        if type(y) is Traced:
            y.extreme = (x, by, options)
        return y

    return extreme


_REMEMBERED = vars(Traced)["extreme"].__get__  # as an attribute it would be sought on NumPy's arrays


def comparing(question: Callable[..., Any]) -> Callable[..., Any]:
    """A comparison, after which an extreme that was compared with its argument has the other slope."""

    def compare(a: Any, b: Any) -> Any:
        if type(a) is Traced and type(b) is Traced:
            _compared(a, b)
            _compared(b, a)
        return question(a, b)

    return compare


def _compared(x: Traced, y: Traced) -> None:
    try:
        argument, by, options = _REMEMBERED(y, Traced)
    except AttributeError:
        return
    del y.extreme
    if argument is not x or y.link is not None:
        return
    if (found := _of_logsumexp()) is not None:
        new = _of_exponentials(x, raw(y), found.get("b"), **options)
    elif type(y.value) is Traced:
        new = by(_UNKNOWN)(x, **options)
    else:
        return  # of a first derivative alone nothing is wrong
    y.value, y.tracer, y.mark = new.value, new.tracer, new.mark


def _of_exponentials(x: Any, m: Any, weights: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """M + ln(Σ bᵢ exp(xᵢ − m)/Σ bᵢ) over the ties, whose value is m."""
    xp, tie = x.space, raw(x) == m
    base = xp.base
    finite = tie & base.isfinite(raw(x))  # ∞ − ∞ would be NaN
    powers = xp.where(tie, xp.exp(xp.where(finite, x - m, 0.0)), 0.0)
    shares = xp.where(tie, 1.0 if weights is None else weights, base.zeros_like(m))
    total = xp.sum(shares, axis=axis, keepdims=keepdims)
    return m + xp.log(xp.sum(shares * powers, axis=axis, keepdims=keepdims) / total)


def _of_logsumexp() -> dict[str, Any] | None:
    """The variables of SciPy's ``logsumexp``, if that is what compares."""
    frame: Any = sys._getframe(3)
    for _ in range(3):
        if frame is None:
            break
        if frame.f_code.co_name == "_logsumexp" and frame.f_globals.get("__name__", "").startswith("scipy."):
            return dict(frame.f_locals)
        frame = frame.f_back
    return None
