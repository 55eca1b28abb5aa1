"""Rules of the elementwise functions.

At kinks: ``abs`` and ``hypot`` have derivative 0 at 0; at a tie, ``maximum`` and ``minimum`` give each
argument half, as does ``logaddexp`` of two equal infinities. The infinite slope of ``sqrt`` at 0 is inf.
``nextafter`` counts as its first argument, as every rounding does.

The rules of holomorphic functions hold for complex numbers unchanged (see ``families.cast``). ``abs``,
``conj``, ``real`` and ``imag`` are not holomorphic and say what they do.
"""

from __future__ import annotations

import cmath
import math
import operator
from collections.abc import Callable
from typing import Any

from nnx.autodiff.array import Traced, raw
from nnx.autodiff.families import (
    Bilinear,
    Elementwise,
    ElementwisePair,
    JointlyLinear,
    Linear,
    Pull,
    Rule,
    broadcast_like,
    cast,
    is_complex,
    keeps_form,
    unbroadcast,
    unchanged,
)
from nnx.autodiff.rules.distances import direction, ratio
from nnx.autodiff.rules.saturation import Saturating, ended, exponential_left, sech_squared
from nnx.errors import DerivativeError


class _Abs(Elementwise):
    """|x| is real: of a complex tangent only the part along x counts."""

    def __init__(self) -> None:
        super().__init__("abs", direction)

    def push(self, xp: Any, argnums: Any, tangents: Any, answer: Any, values: Any, kwargs: Any) -> Any:
        return cast(xp, super().push(xp, argnums, tangents, answer, values, kwargs), answer.dtype)


def _sign(xp: Any, x: Any, /) -> Any:
    if is_complex(xp, x):
        raise DerivativeError(
            "xp.sign of a complex array cannot be part of a function that is being differentiated: it turns "
            "with its argument, so it is no constant as that of a real array is. Write x / xp.abs(x), which "
            "is the same and has a derivative wherever x is not 0."
        )
    return xp.base.sign(raw(x))


#: The sign is a constant for real numbers only.
COMPOSITIONS = {"sign": _sign}

_LN2, _LN10 = math.log(2.0), math.log(10.0)


def _share(xp: Any, x: Any, wins: Any, ties: Any) -> Any:
    """1 where ``wins``, ½ where ``ties``, else 0, in x's data type."""
    return xp.where(wins, 1.0, xp.where(ties, 0.5, xp.zeros_like(x)))


def _of(xp: Any, x1: Any, x2: Any, y: Any) -> tuple[Any, Any]:
    """Both arguments as arrays like the result, so that scalars can be compared with arrays."""
    return (x1 if hasattr(x1, "shape") else xp.full_like(y, x1)), (
        x2 if hasattr(x2, "shape") else xp.full_like(y, x2)
    )


def _winner(beats: Any) -> Any:
    return lambda xp, y, x1, x2: _share(xp, y, beats(x1, x2), x1 == x2)


def pow_base(xp: Any, y: Any, x1: Any, x2: Any) -> Any:
    """The derivative of x1^x2 by x1."""
    if not hasattr(x2, "shape"):
        return xp.zeros_like(x1) if x2 == 0 else x2 * x1 if x2 == 2 else x2 * x1 ** (x2 - 1)
    # 0·∞ at x⁰: the cut reaches no further, for by x2 the slope 0·x⁻¹ changes by 1/x.
    cut = (x2 == 0) & (xp.abs(raw(x1)) < float(xp.finfo(x1.dtype).smallest_normal))
    slope = x2 * x1 ** xp.where(cut, 1.0, x2 - 1.0)
    if type(x2) is not Traced:
        return slope
    return xp.kinked(
        slope, at=cut | (x1 == 0) & (_order(xp, x2) <= 1.0)
    )  # the change by x2, x1^(x2−1)·(1 + x2·log x1)


def pow_exponent(xp: Any, y: Any, x1: Any, x2: Any) -> Any:
    """That by x2, y·log(x1), which is 0 at x1 = 0 (for a positive exponent)."""
    turns = is_complex(xp, y)
    if not hasattr(x1, "shape"):
        if x1 == 0:
            return xp.zeros_like(y)
        return y * (cmath.log(x1) if turns else math.log(x1) if x1 > 0 else math.nan)
    zero = x1 == 0
    base = xp.where(zero, 1.0, x1)
    slope = y * xp.log(xp.astype(base, y.dtype) if turns and not is_complex(xp, base) else base)
    return xp.kinked(slope, at=zero & (_order(xp, x2) <= 1.0)) if type(x1) is Traced else slope


def _order(xp: Any, x: Any) -> Any:
    return xp.real(x) if is_complex(xp, x) else x


@ended
def _acosh(xp: Any, x: Any) -> Any:
    return xp.sqrt(x - 1.0) * xp.sqrt(x + 1.0)


@ended
def _asinh(xp: Any, x: Any) -> Any:
    # hypot does not overflow, but knows real numbers only
    return xp.sqrt(1.0 + x * x) if is_complex(xp, x) else xp.hypot(x, xp.ones_like(x))


def _over_square(which: int) -> Any:
    """The slopes of atan2, b/(a² + b²) and −a/(a² + b²), where the squares may be out of range."""

    def d(xp: Any, y: Any, x1: Any, x2: Any) -> Any:
        sides = _of(xp, x1, x2, y)
        r = xp.hypot(*sides)
        slope = sides[which] / r / r
        return slope if which else -slope

    return d


def _logaddexp(which: int) -> Any:
    def d(xp: Any, y: Any, x1: Any, x2: Any) -> Any:
        a, b = _of(xp, x1, x2, y)[:: 1 - 2 * which]
        top = xp.isinf(y)
        share = xp.exp(xp.where(top, 0.0, a) - xp.where(top, 0.0, y))
        return xp.where(top, _share(xp, y, a > b, a == b), share)

    return d


def _copysign(xp: Any, y: Any, x1: Any, x2: Any) -> Any:
    return xp.where(xp.signbit(y) == xp.signbit(_of(xp, x1, x2, y)[0]), 1.0, -xp.ones_like(y))


def _zero_for(xp: Any, y: Any, x1: Any, x2: Any) -> Any:
    return xp.zeros_like(y)


def _minus_back(xp: Any, g: Any, i: int, shapes: Any, fixed: Any) -> Any:
    return -unbroadcast(xp, g, shapes[i], None) if i else g  # sums first: fewer entries change their sign


class _Sum(JointlyLinear):
    """y = a ± b."""

    def __init__(self, name: str, apply: Callable[..., Any], back: Callable[..., Any], *plain: Pull) -> None:
        super().__init__(name, apply, back)
        self.plain = plain  #: of a, of b, of both where nothing is broadcast: these keep nothing

    def pull(self, argnums: Any, answer: Any, values: Any, kwargs: Any) -> Pull:
        if len(argnums) == 1:
            i = argnums[0]
            if type(values[1 - i]) is float or keeps_form(answer, values[i]):
                return self.plain[i]
        elif keeps_form(answer, values[0]) and keeps_form(answer, values[1]):
            return self.plain[2]
        return super().pull(argnums, answer, values, kwargs)


def _times(xp: Any, g: Any, other: Any, shape: Any) -> Any:
    return g * other


class _Product(Bilinear):
    """y = a·b. Where nothing is broadcast, the pullback need not look at shapes."""

    def __init__(self) -> None:
        super().__init__("multiply", lambda xp, a, b: a * b, _times, _times, entrywise=True)

    def pull(self, argnums: Any, answer: Any, values: Any, kwargs: Any) -> Pull:
        a, b = values
        if len(argnums) == 1:
            x, other = (b, a) if argnums[0] else (a, b)
            if type(other) is float or keeps_form(answer, x):
                return _by(other)
        elif a is not b and keeps_form(answer, a) and keeps_form(answer, b):
            return _by_both(a, b)
        return super().pull(argnums, answer, values, kwargs)


def _by(other: Any) -> Pull:
    return lambda xp, g: (g * other,)


def _by_both(a: Any, b: Any) -> Pull:
    return lambda xp, g: (g * b, g * a)


def _over(other: Any) -> Pull:
    return lambda xp, g: (g / other,)


class _Quotient(Rule):
    """y = a / b: with c = g / b, the cotangents are c and -c·y. Only what these need is kept."""

    entrywise = True

    def __init__(self, name: str) -> None:
        self.name = name

    def pull(self, argnums: Any, answer: Any, values: Any, kwargs: Any) -> Pull:
        b, y = values[1], answer if 1 in argnums else None
        if y is None and (type(b) is float or keeps_form(answer, values[0])):
            return _over(b)
        sizes = [(i, values[i].shape, values[i].dtype) for i in argnums]

        def pull(xp: Any, g: Any) -> list[Any]:
            c = g / b
            return [
                -unbroadcast(xp, c * y, shape, dtype) if i else unbroadcast(xp, c, shape, dtype)
                for i, shape, dtype in sizes
            ]

        return pull

    def push(self, xp: Any, argnums: Any, tangents: Any, answer: Any, values: Any, kwargs: Any) -> Any:
        parts = [-answer * t if i else t for i, t in zip(argnums, tangents, strict=True)]
        return broadcast_like(xp, (parts[0] if len(parts) == 1 else parts[0] + parts[1]) / values[1], answer)


ELEMENTWISE = (
    _Abs(),
    Elementwise("acos", lambda xp, x: -xp.sqrt((1.0 - x) * (1.0 + x)), divides=True),
    Elementwise("acosh", _acosh, divides=True),
    Elementwise("asin", lambda xp, x: xp.sqrt((1.0 - x) * (1.0 + x)), divides=True),
    Elementwise("asinh", _asinh, divides=True),
    Elementwise("atan", ended(lambda xp, x: 1.0 + x * x), divides=True),
    Elementwise("atanh", lambda xp, x: (1.0 - x) * (1.0 + x), divides=True),
    Elementwise("cos", lambda xp, x: -xp.sin(x)),
    Elementwise("cosh", lambda xp, x: xp.sinh(x)),
    Elementwise("exp", lambda xp, y: y, of_result=True),
    Saturating("expm1", lambda xp, y: y + 1.0, exponential_left),
    Elementwise("log", lambda xp, x: x, divides=True),
    Elementwise("log1p", lambda xp, x: 1.0 + x, divides=True),
    Elementwise("log2", lambda xp, x: _LN2 * x, divides=True),
    Elementwise("log10", lambda xp, x: _LN10 * x, divides=True),
    Elementwise("reciprocal", lambda xp, y: -(y * y), of_result=True),
    Elementwise("sin", lambda xp, x: xp.cos(x)),
    Elementwise("sinh", lambda xp, x: xp.cosh(x)),
    Elementwise("sqrt", lambda xp, y: 2.0 * y, of_result=True, divides=True),
    Elementwise("square", lambda xp, x: 2.0 * x),
    Elementwise("tan", lambda xp, y: 1.0 + y * y, of_result=True),
    Saturating("tanh", lambda xp, y: 1.0 - y * y, sech_squared),
    Linear("negative", lambda xp, x: -x, lambda xp, g, shape: -g),
    Linear("positive", lambda xp, x: x, lambda xp, g, shape: g),
    Linear("real", lambda xp, x: xp.real(x), lambda xp, g, shape: g),
    Linear("imag", lambda xp, x: xp.imag(x), lambda xp, g, shape: g * -1j),  # −1j * float64: a Python number
    Linear("conj", lambda xp, x: xp.conj(x), lambda xp, g, shape: xp.conj(g)),
    _Sum(
        "add", lambda xp, a, b: a + b, lambda xp, g, i, shapes, fixed: g,
        unchanged, unchanged, lambda xp, g: (g, g),
    ),
    _Sum(
        "subtract", lambda xp, a, b: a - b, _minus_back,
        unchanged, lambda xp, g: (-g,), lambda xp, g: (g, -g),
    ),
    _Product(),
    _Quotient("divide"),
    ElementwisePair("pow", pow_base, pow_exponent),
    ElementwisePair("atan2", _over_square(1), _over_square(0)),
    ElementwisePair(
        "hypot", lambda xp, y, a, b: ratio(xp, a, y), lambda xp, y, a, b: ratio(xp, b, y)
    ),
    ElementwisePair("logaddexp", _logaddexp(0), _logaddexp(1)),
    ElementwisePair("maximum", _winner(operator.gt), _winner(operator.lt)),
    ElementwisePair("minimum", _winner(operator.lt), _winner(operator.gt)),
    ElementwisePair("copysign", _copysign, _zero_for),
    ElementwisePair("nextafter", lambda xp, y, a, b: xp.ones_like(y), _zero_for),
    ElementwisePair(
        "remainder",
        lambda xp, y, a, b: xp.ones_like(y),
        lambda xp, y, a, b: -xp.floor_divide(*_of(xp, a, b, y)),
    ),
)  # fmt: skip
