# ruff: noqa: D103 (each is NumPy's function of that name)
"""NumPy's elementwise functions that the standard lacks or defines otherwise."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

from nnx.autodiff.array import plain
from nnx.autodiff.bind import bind
from nnx.autodiff.families import is_complex
from nnx.autodiff.numpy_api.table import array, cast, operands, stands_for
from nnx.autodiff.rules.special import CBRT

_LN2 = math.log(2.0)


@stands_for("deg2rad", "radians")
def deg2rad(xp: Any, x: Any) -> Any:
    return x * (math.pi / 180.0)


@stands_for("rad2deg", "degrees")
def rad2deg(xp: Any, x: Any) -> Any:
    return x * (180.0 / math.pi)


@stands_for("exp2")
def exp2(xp: Any, x: Any) -> Any:
    return 2.0**x


@cache
def _cbrt(xp: Any) -> Any:
    return bind(CBRT, xp.adapter.xp.cbrt, xp)  # the library's own: SciPy's may differ in the last bit


@stands_for("cbrt")
def cbrt(xp: Any, x: Any) -> Any:
    return _cbrt(xp)(x)


@stands_for("logaddexp2")
def logaddexp2(xp: Any, x1: Any, x2: Any) -> Any:
    return xp.logaddexp(x1 * _LN2, x2 * _LN2) * (1.0 / _LN2)


@stands_for("fmax")
def fmax(xp: Any, x1: Any, x2: Any) -> Any:
    x1, x2 = operands(xp, x1, x2)
    return xp.where(xp.isnan(x1), x2, xp.where(xp.isnan(x2), x1, xp.maximum(x1, x2)))


@stands_for("fmin")
def fmin(xp: Any, x1: Any, x2: Any) -> Any:
    x1, x2 = operands(xp, x1, x2)
    return xp.where(xp.isnan(x1), x2, xp.where(xp.isnan(x2), x1, xp.minimum(x1, x2)))


@stands_for("fmod")
def fmod(xp: Any, x1: Any, x2: Any) -> Any:
    x1, x2 = operands(xp, x1, x2)
    # The signs are constants: abs would have slope 0 at 0.
    sign, other = (xp.where(xp.signbit(x), -1.0, xp.base.ones_like(plain(x))) for x in (x1, x2))
    return xp.remainder(x1 * sign, x2 * other) * sign


@stands_for("divmod")
def divmod_(xp: Any, x1: Any, x2: Any) -> tuple[Any, Any]:
    return x1 // x2, x1 % x2


@stands_for("modf")
def modf(xp: Any, x: Any) -> tuple[Any, Any]:
    whole = xp.trunc(x)
    return x - whole, whole


@stands_for("ldexp")
def ldexp(xp: Any, x1: Any, x2: Any) -> Any:
    x1, x2 = operands(xp, x1, x2)
    return x1 * 2.0 ** xp.astype(x2, x1.dtype)


@stands_for("heaviside")
def heaviside(xp: Any, x1: Any, x2: Any) -> Any:
    x1, x2 = operands(xp, x1, x2)
    step = xp.where(xp.isnan(x1), x1, cast(xp, x1 > 0, x1.dtype))
    return xp.where(x1 == 0, x2, step)


@stands_for("float_power")
def float_power(xp: Any, x1: Any, x2: Any) -> Any:
    x1, x2 = (x if is_complex(xp, x) else cast(xp, x, xp.base.float64) for x in operands(xp, x1, x2))
    return x1**x2


@stands_for("conjugate")
def conjugate(xp: Any, x: Any) -> Any:
    return xp.conj(x) if is_complex(xp, x) else xp.positive(x)


@stands_for("real")
def real(xp: Any, val: Any) -> Any:
    return xp.real(val) if is_complex(xp, val) else val


@stands_for("imag")
def imag(xp: Any, val: Any) -> Any:
    return xp.imag(val) if is_complex(xp, val) else xp.zeros_like(val)


@stands_for("real_if_close")
def real_if_close(xp: Any, a: Any, tol: float = 100) -> Any:
    if not is_complex(xp, a):
        return a
    part = xp.imag(a)
    limit = tol * float(xp.base.finfo(a.dtype).eps) if tol > 1 else tol
    return xp.real(a) if bool(xp.all(xp.abs(part) < limit)) else a


@stands_for("angle")
def angle(xp: Any, z: Any, deg: bool = False) -> Any:
    y = xp.atan2(xp.imag(z), xp.real(z)) if is_complex(xp, z) else xp.atan2(xp.zeros_like(z), z)
    return y * (180.0 / math.pi) if deg else y


@stands_for("sinc")
def sinc(xp: Any, x: Any) -> Any:
    y = math.pi * array(xp, x)
    small = xp.abs(y) < 1.0
    # Near 0 the quotient's derivatives cancel: Taylor's series, to rounding exact for |y| < 1.
    square = xp.where(small, y * y, 0.0)
    series: Any = 1.0 / math.factorial(21)
    for k in range(9, -1, -1):
        series = (-1) ** k / math.factorial(2 * k + 1) + square * series
    safe = xp.where(small, 1.0, y)
    return xp.where(small, series, xp.sin(safe) / safe)


@stands_for("nan_to_num")
def nan_to_num(
    xp: Any, x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None
) -> Any:
    if is_complex(xp, x):
        parts = [nan_to_num(xp, part(x), True, nan, posinf, neginf) for part in (xp.real, xp.imag)]
        y = parts[0] + 1j * parts[1]
    else:
        limits = xp.base.finfo(x.dtype)
        y = xp.where(xp.isnan(x), nan, x)
        infinite = xp.isinf(x)
        y = xp.where(infinite & (x > 0), float(limits.max) if posinf is None else posinf, y)
        y = xp.where(infinite & (x < 0), float(limits.min) if neginf is None else neginf, y)
    if copy:
        return y
    x[...] = y
    return x


@stands_for("clip")
def clip(
    xp: Any,
    a: Any,
    a_min: Any = None,
    a_max: Any = None,
    out: Any = None,
    *,
    min: Any = None,
    max: Any = None,
) -> Any:
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    like = a if hasattr(a, "shape") else None
    low, high = (array(xp, limit, like) if type(limit) in (list, tuple) else limit for limit in (low, high))
    if low is None and high is None:
        return xp.asarray(a, copy=True)
    return xp.clip(array(xp, a), low, high)


@stands_for("i0")
def i0(xp: Any, x: Any) -> Any:
    return xp.special.i0(array(xp, x))


@stands_for("piecewise")
def piecewise(xp: Any, x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    x = array(xp, x)
    conditions = list(condlist) if type(condlist) in (list, tuple) else [condlist]
    conditions = [xp.base.asarray(plain(c), dtype=xp.base.bool) for c in conditions]
    if len(funclist) == len(conditions) + 1:
        covered = conditions[0]
        for condition in conditions[1:]:
            covered = covered | condition
        conditions.append(~covered)
    if len(funclist) != len(conditions):
        raise ValueError("np.piecewise needs a function for each condition, and perhaps one for the rest.")
    y = xp.zeros_like(x)
    for condition, f in zip(conditions, funclist, strict=True):
        y[condition] = f(x[condition], *args, **kw) if callable(f) else f
    return y
