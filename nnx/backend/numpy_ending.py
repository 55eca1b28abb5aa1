"""What becomes of the outputs of a convolution or a product, on NumPy: in place, while they are in the cache.

Bias, normalization and rectifier each by itself would fetch the whole array from memory and write it back.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, partial
from types import NoneType
from typing import Any

import numpy as np

from nnx.backend import loops
from nnx.backend.ending import Ending, Endings
from nnx.backend.numpy_programs import FEW, zero
from nnx.backend.threads import spread

Array = Any
#: entries of the rows that a pass goes along: they hide a loop's start, and stay in the first cache
LONG = 2048
#: From this number of entries on, a pass over an array is shared by the cores.
_WORTH_SHARING = 1 << 18


class NumpyEndings(Endings):
    """The functions of :class:`nnx.backend.ending.Endings` for NumPy's arrays."""

    def rectified(self, x: Array, most: float | None = None) -> Array:
        if most is None and x.size <= FEW and type(x) is np.ndarray and x.dtype.kind == "f":
            return np.maximum(x, zero(x.dtype))
        n = len(x) if type(x) is np.ndarray and x.ndim > 1 and x.flags.c_contiguous else 0
        if n < 2 or x.size < _WORTH_SHARING or not isinstance(most, int | float | NoneType):
            return super().rectified(x, most)
        out, zeros = np.empty_like(x), np.zeros_like(x[0])

        def part(a: int, b: int) -> None:
            if most is None:
                np.maximum(x[a:b], zeros, out=out[a:b])
            else:
                np.clip(x[a:b], 0.0, most, out=out[a:b])

        spread(part, n, x.size // _WORTH_SHARING + 1)
        return out

    def ended(self, y: Array, ending: Ending) -> Array:
        if not _own(y, ending):
            return super().ended(y, ending)
        rows = y.reshape(-1, y.shape[-1])
        if y.size < _WORTH_SHARING:
            _in_numpy(y.shape[-1], *ending[:3], rows, ending.plus)
            return y
        plus = None if ending.plus is None else ending.plus.reshape(rows.shape)
        together = math.gcd(len(rows), LONG)
        end = over(ending, together, rows.shape[1], rows.size, rows.dtype)
        parts = len(rows) // together

        def part(a: int, b: int) -> None:
            some = slice(a * together, b * together)
            end(rows[some], None if plus is None else plus[some])

        spread(part, parts, y.size // _WORTH_SHARING + 1)
        return y


def _own(y: Array, ending: Ending) -> bool:
    """Whether the ending can be put on ``y`` in place."""
    if type(y) is not np.ndarray or not (y.ndim and y.size and y.flags.c_contiguous and y.flags.writeable):
        return False
    plus = ending.plus
    if plus is not None and not (plus.shape == y.shape and plus.flags.c_contiguous):
        return False
    arrays = (ending.factor, ending.offset, plus)
    return all(a is None or (type(a) is np.ndarray and a.dtype == y.dtype) for a in arrays)


def over(ending: Ending, pixels: int, filters: int, size: int, dtype: Any) -> Callable[[Array, Any], None]:
    """What puts the ending on contiguous blocks of rows of ``pixels`` outputs, in place.

    There are ``size`` entries in all blocks. It also takes what is added to the block, or None.
    """
    k = _side_by_side(pixels, filters)
    factor, offset = (None if v is None else np.tile(v, k) for v in ending[:2])
    quick = loops.compiled("endings") if size >= loops.WORTH_COMPILING else None
    alone = factor is None and ending.most is None and ending.plus is None  # not worth loading Numba
    if quick is None or alone:
        return partial(_in_numpy, k * filters, factor, offset, ending.most)
    factor = np.ones(k * filters, dtype) if factor is None else factor
    offset = np.zeros(k * filters, dtype) if offset is None else offset
    least, most = (np.dtype(dtype).type(bound) for bound in ending.bounds)

    def end(y: Array, plus: Array | None) -> None:
        rows = y.reshape(-1, k * filters)
        if plus is None:
            quick.end(rows, factor, offset, least, most)
        else:
            quick.end_sum(rows, plus.reshape(rows.shape), factor, offset, least, most)

    return end


@cache
def _side_by_side(pixels: int, filters: int) -> int:
    """The largest divisor of ``pixels`` of which the outputs are no longer than a row; at least 1."""
    return max(k for k in range(1, max(LONG // filters, 1) + 1) if pixels % k == 0)


def _in_numpy(
    length: int, factor: Array | None, offset: Array | None, most: float | None, y: Array, plus: Array | None
) -> None:
    rows = y.reshape(-1, length)
    if factor is not None:
        rows *= factor
    if offset is not None:
        rows += offset
    if plus is not None:
        rows += plus.reshape(rows.shape)
    if most is not None:
        cut_off(rows, most)


def cut_off(y: Array, most: float) -> None:
    """Puts 0 in place of what is below, and ``most`` in place of what is above it."""
    if most < math.inf:
        np.clip(y, 0.0, most, out=y)
    else:  # a row of zeros, not the number 0: NumPy's loop over two arrays is four times as fast
        np.maximum(y, np.zeros(y.shape[-1], y.dtype), out=y)


def offsets(ending: Ending, filters: int, dtype: Any) -> Array:
    """The offset, zeros where there is none."""
    return np.zeros(filters, dtype) if ending.offset is None else ending.offset
