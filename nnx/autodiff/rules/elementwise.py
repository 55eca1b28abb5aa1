"""Rules of the elementwise functions.

At kinks: ``abs`` has derivative 0 at 0; at a tie, ``maximum`` and ``minimum`` give each argument half.
"""

from __future__ import annotations

import math
from typing import Any

from nnx.autodiff.families import Bilinear, Elementwise, ElementwisePair, JointlyLinear, Linear

_LN2, _LN10 = math.log(2.0), math.log(10.0)


def _share(xp: Any, x: Any, wins: Any, ties: Any) -> Any:
    """1 where ``wins``, ½ where ``ties``, else 0, in x's data type."""
    return xp.where(wins, 1.0, xp.where(ties, 0.5, xp.zeros_like(x)))


def _of(xp: Any, x1: Any, x2: Any, y: Any) -> tuple[Any, Any]:
    """Both arguments as arrays like the result, so that numbers can be compared with arrays."""
    return (x1 if hasattr(x1, "shape") else xp.full_like(y, x1)), (
        x2 if hasattr(x2, "shape") else xp.full_like(y, x2)
    )


def _first_wins(sign: float) -> Any:
    def d1(xp: Any, y: Any, x1: Any, x2: Any) -> Any:
        a, b = _of(xp, x1, x2, y)
        return _share(xp, y, sign * a > sign * b, a == b)

    return d1


def _second_wins(sign: float) -> Any:
    def d2(xp: Any, y: Any, x1: Any, x2: Any) -> Any:
        a, b = _of(xp, x1, x2, y)
        return _share(xp, y, sign * b > sign * a, a == b)

    return d2


def _pow_base(xp: Any, y: Any, x1: Any, x2: Any) -> Any:
    if not hasattr(x2, "shape"):
        return xp.zeros_like(x1) if x2 == 0 else x2 * x1 if x2 == 2 else x2 * x1 ** (x2 - 1)
    zero = x2 == 0
    return xp.where(zero, 0.0, x2 * x1 ** xp.where(zero, 1.0, x2 - 1.0))


def _pow_exponent(xp: Any, y: Any, x1: Any, x2: Any) -> Any:
    # y·log(x1), which is 0 at x1 = 0 (for a positive exponent).
    if not hasattr(x1, "shape"):
        return y * math.log(x1) if x1 else xp.zeros_like(y)
    return y * xp.log(xp.where(x1 == 0, 1.0, x1))


def _copysign(xp: Any, y: Any, x1: Any, x2: Any) -> Any:
    return xp.where(xp.signbit(y) == xp.signbit(_of(xp, x1, x2, y)[0]), 1.0, -xp.ones_like(y))


def _zero_for(xp: Any, y: Any, x1: Any, x2: Any) -> Any:
    return xp.zeros_like(y)


ELEMENTWISE = (
    Elementwise("abs", lambda xp, x: xp.sign(x)),
    Elementwise("acos", lambda xp, x: -1.0 / xp.sqrt(1.0 - x * x)),
    Elementwise("acosh", lambda xp, x: 1.0 / (xp.sqrt(x - 1.0) * xp.sqrt(x + 1.0))),
    Elementwise("asin", lambda xp, x: 1.0 / xp.sqrt(1.0 - x * x)),
    Elementwise("asinh", lambda xp, x: 1.0 / xp.hypot(x, xp.ones_like(x))),
    Elementwise("atan", lambda xp, x: 1.0 / (1.0 + x * x)),
    Elementwise("atanh", lambda xp, x: 1.0 / ((1.0 - x) * (1.0 + x))),
    Elementwise("cos", lambda xp, x: -xp.sin(x)),
    Elementwise("cosh", lambda xp, x: xp.sinh(x)),
    Elementwise("exp", lambda xp, y: y, of_result=True),
    Elementwise("expm1", lambda xp, y: y + 1.0, of_result=True),
    Elementwise("log", lambda xp, x: 1.0 / x),
    Elementwise("log1p", lambda xp, x: 1.0 / (1.0 + x)),
    Elementwise("log2", lambda xp, x: (1.0 / _LN2) / x),
    Elementwise("log10", lambda xp, x: (1.0 / _LN10) / x),
    Elementwise("reciprocal", lambda xp, y: -(y * y), of_result=True),
    Elementwise("sin", lambda xp, x: xp.cos(x)),
    Elementwise("sinh", lambda xp, x: xp.cosh(x)),
    Elementwise("sqrt", lambda xp, y: 0.5 / y, of_result=True),
    Elementwise("square", lambda xp, x: 2.0 * x),
    Elementwise("tan", lambda xp, y: 1.0 + y * y, of_result=True),
    Elementwise("tanh", lambda xp, y: 1.0 - y * y, of_result=True),
    Linear("negative", lambda xp, x: -x, lambda xp, g, shape: -g),
    Linear("positive", lambda xp, x: x, lambda xp, g, shape: g),
    Linear("real", lambda xp, x: x, lambda xp, g, shape: g),
    Linear("conj", lambda xp, x: x, lambda xp, g, shape: g),
    JointlyLinear("add", lambda xp, a, b: a + b, lambda xp, g, i, shapes, fixed: g),
    JointlyLinear("subtract", lambda xp, a, b: a - b, lambda xp, g, i, shapes, fixed: -g if i else g),
    Bilinear(
        "multiply",
        lambda xp, a, b: a * b,
        lambda xp, g, other, shape: g * other,
        lambda xp, g, other, shape: g * other,
    ),
    ElementwisePair("divide", lambda xp, y, a, b: xp.ones_like(y) / b, lambda xp, y, a, b: -y / b),
    ElementwisePair("pow", _pow_base, _pow_exponent),
    ElementwisePair(
        "atan2",
        lambda xp, y, a, b: b / (a * a + b * b) + xp.zeros_like(y),
        lambda xp, y, a, b: -a / (a * a + b * b) + xp.zeros_like(y),
    ),
    ElementwisePair("hypot", lambda xp, y, a, b: a / y, lambda xp, y, a, b: b / y),
    ElementwisePair(
        "logaddexp", lambda xp, y, a, b: xp.exp(a - y), lambda xp, y, a, b: xp.exp(b - y)
    ),
    ElementwisePair("maximum", _first_wins(1.0), _second_wins(1.0)),
    ElementwisePair("minimum", _first_wins(-1.0), _second_wins(-1.0)),
    ElementwisePair("copysign", _copysign, _zero_for),
    ElementwisePair(
        "remainder",
        lambda xp, y, a, b: xp.ones_like(y),
        lambda xp, y, a, b: -xp.floor_divide(*_of(xp, a, b, y)),
    ),
)  # fmt: skip
