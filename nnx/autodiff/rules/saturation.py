"""Slopes found from the function's value, with the digits that this loses where the function saturates.

1 − tanh² is 1 less a rounded number: at x = 20 nothing is left of 4·e⁻⁴⁰. ``xp.restored(d, x, exact)`` is
d with ``exact(xp, x)`` in the place of entries that are small; all others keep the quick formula. As a
function of the value, d is right: so its derivatives are those of the quick formula.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnx.autodiff.array import Traced, raw
from nnx.autodiff.families import Elementwise, Linear, Pull
from nnx.backend import adapter_of

RESTORED = Linear("restored", lambda xp, t, *_: t, lambda xp, g, shape, *_: g)


def where_needed(bound: Callable[..., Any], adapter: Any) -> Callable[..., Any]:
    """``xp.restored`` of traced arrays, which is recorded only where there is something to restore."""

    def restored(d: Any, x: Any, exact: Callable[..., Any]) -> Any:
        if type(d) is Traced and not adapter.saturates(raw(d)):
            return d
        return bound(d, raw(x), exact)

    return restored


def ended(d: Callable[..., Any]) -> Callable[..., Any]:
    """``d(xp, x)`` as a constant where x is infinite: of slopes that have a limit there, and derivatives 0.

    By the chain rule the next derivative would be 0·∞ = NaN.
    """

    def slope(xp: Any, x: Any) -> Any:
        if type(x) is not Traced:
            return d(xp, x)
        end = xp.isinf(raw(x))
        return xp.where(end, d(xp, raw(x)), d(xp, xp.where(end, 2.0, x)))

    return slope


def sech_squared(xp: Any, x: Any) -> Any:
    """1/cosh²x = 4t/(1 + t)² with t = e^(−2·abs(x)), which does not overflow."""
    t = xp.exp(-2.0 * xp.abs(x))
    u = 1.0 + t
    u *= u
    t *= 4.0
    t /= u
    return t


def logistic_slope(xp: Any, x: Any) -> Any:
    """σ(x)·σ(−x) = t/(1 + t)² with t = e^(−abs(x))."""
    t = xp.exp(-xp.abs(x))
    u = 1.0 + t
    u *= u
    t /= u
    return t


def exponential_left(xp: Any, x: Any) -> Any:
    """eˣ to the left of 0, and 1 to the right."""
    return xp.exp(xp.minimum(x, 0.0))


class Saturating(Elementwise):
    """y = f(x) with f′ = ``d(xp, y)``, and ``exact(xp, x)`` where that is small, at an end of y's range."""

    def __init__(self, name: str, d: Callable[..., Any], exact: Callable[..., Any]) -> None:
        super().__init__(name, d, of_result=True)
        self.exact = exact

    def pull(self, argnums: Any, answer: Any, values: Any, kwargs: Any) -> Pull:
        x, d, exact = values[0], self.d, self.exact
        large = type(x) is not Traced and getattr(x, "nbytes", 0) > _LARGE
        if large and not adapter_of(x).may_saturate(answer, d):
            return lambda xp, g: (g * d(xp, answer),)  # without x, which may be free now
        return lambda xp, g: (g * xp.restored(d(xp, answer), x, exact),)

    def push(self, xp: Any, argnums: Any, tangents: Any, answer: Any, values: Any, kwargs: Any) -> Any:
        return tangents[0] * xp.restored(self.d(xp, answer), values[0], self.exact)


#: bytes of an array of which it pays to find out whether it must be kept
_LARGE = 1 << 17
