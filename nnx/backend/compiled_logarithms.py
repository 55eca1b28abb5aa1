"""log x, log(1 + x) and e^x − 1 of float64 as straight lines of arithmetic.

Like those of :mod:`nnx.backend.compiled_functions`: LLVM computes four or eight numbers at a time.
log x = k·ln 2 + log m with x = 2^k·m, √½ ≤ m < √2, and log m by a polynomial in s = (m − 1)/(m + 1)
(FreeBSD's msun, ``e_log.c``; K. C. Ng, 1993). The largest errors seen are 0.8 units in the last place (log),
1.5 (log1p) and 1.9 (expm1).

Imported only where Numba is installed.
"""

from __future__ import annotations

import math
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from nnx.backend.compiled_functions import _LN2_HIGH, _LN2_LOW, _ROUNDING, _power_of_two, _reduced

_TINY, _LIFT = 2.2250738585072014e-308, 18014398509481984.0  # the least normal number; 2⁵⁴
_L = (0.6666666666666735130, 0.3999999999940941908, 0.2857142874366239149, 0.2222219843214978396,
      0.1818357216161805012, 0.1531383769920937332, 0.1479819860511658591)  # fmt: skip
#: the bits of √½, and what lifts them to those of 1
_ROOT_HALF = 0x3FE6A09E667F3BCD
_TO_ONE = 0x3FF0000000000000 - _ROOT_HALF


@intrinsic
def _split(typingctx: Any, x: Any) -> Any:
    """(k + 2⁵² + 1023, m) with x = 2^k·m, √½ ≤ m < √2, of a positive normal number, by its bits."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        whole, real = ir.IntType(64), ir.DoubleType()
        lifted = builder.add(builder.bitcast(args[0], whole), ir.Constant(whole, _TO_ONE))
        exponent = builder.or_(builder.lshr(lifted, ir.Constant(whole, 52)), ir.Constant(whole, 0x433 << 52))
        rest = builder.and_(lifted, ir.Constant(whole, (1 << 52) - 1))
        mantissa = builder.add(rest, ir.Constant(whole, _ROOT_HALF))
        pair = (builder.bitcast(exponent, real), builder.bitcast(mantissa, real))
        return context.make_tuple(builder, signature.return_type, pair)

    return types.UniTuple(types.float64, 2)(types.float64), codegen


@numba.njit(fastmath={"contract"}, inline="always")
def log_of(x: Any) -> Any:
    """Log x of one number; −∞ of 0, NaN of negative numbers."""
    small = x < _TINY
    shifted, m = _split(x * _LIFT if small else x)
    k = shifted - (4503599627370496.0 + 1023.0) - (54.0 if small else 0.0)
    f = m - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    even = w * (_L[1] + w * (_L[3] + w * _L[5]))
    odd = z * (_L[0] + w * (_L[2] + w * (_L[4] + w * _L[6])))
    half = 0.5 * f * f
    y = k * _LN2_HIGH - ((half - (s * (half + (odd + even)) + k * _LN2_LOW)) - f)
    y = y if x < math.inf else x  # ∞ and NaN as they are
    return y if x > 0.0 else (-math.inf if x == 0.0 else math.nan)


@numba.njit(fastmath={"contract"}, inline="always")
def log1p_of(x: Any) -> Any:
    """log(1 + x): that of u = 1 + x rounded, and what was lost, divided by u."""
    u = 1.0 + x
    lost = (x - (u - 1.0)) / u
    y = log_of(u) + (lost if abs(x) < 1e18 and u > 0.0 else 0.0)
    return x if u == 1.0 else y


@numba.njit(fastmath={"contract"}, inline="always")
def expm1_of(x: Any) -> Any:
    """e^x − 1 with all digits near 0."""
    a = -40.0 if x < -40.0 else x
    a = 710.0 if a > 710.0 else a
    e, k, rounded = _reduced(a)
    # 2^k in two factors, for the product may be ∞; 1 over the second of them is exact
    half = k * 0.5 + _ROUNDING
    rest = rounded - (half - _ROUNDING)
    first, less = _power_of_two(half), _power_of_two(_ROUNDING - (rest - _ROUNDING))
    y = (first * e + (first - less)) * _power_of_two(rest)
    return x if x == 0.0 else y
