"""Dropout masks in compiled loops: those of :mod:`nnx.backend.philox`, bit for bit, in half the time.

Imported only where Numba is installed. The compiled code is cached on disk.
"""

from __future__ import annotations

import sys
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from nnx.backend.philox import Stream, counter_and_key

if sys.byteorder != "little":
    raise ImportError("The words are cut into 16 bits as a little-endian machine stores them.")

_M0, _M1 = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
_W0, _W1 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B)


@intrinsic
def _product(typingctx: Any, a: Any, b: Any) -> Any:
    """The upper and the lower 64 of the 128 bits of a·b: one instruction that Numba lacks."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        wide, narrow = ir.IntType(128), ir.IntType(64)
        product = builder.mul(builder.zext(args[0], wide), builder.zext(args[1], wide))
        high = builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), narrow)
        return context.make_tuple(builder, signature.return_type, (high, builder.trunc(product, narrow)))

    return types.UniTuple(types.uint64, 2)(types.uint64, types.uint64), codegen


@numba.njit(error_model="numpy", nogil=True, cache=True)
def _words(counter: Any, key: Any, out: Any) -> None:
    """Philox 4×64 with ten rounds, the counter advanced by one before each four words, as NumPy does."""
    for i in range(out.shape[0]):
        a, b, c, d = counter[0] + np.uint64(i + 1), counter[1], counter[2], counter[3]
        k, m = key[0], key[1]
        for _ in range(10):
            high0, low0 = _product(_M0, a)
            high1, low1 = _product(_M1, c)
            a, b, c, d = high1 ^ b ^ k, low1, high0 ^ d ^ m, low0
            k += _W0
            m += _W1
        out[i, 0], out[i, 1], out[i, 2], out[i, 3] = a, b, c, d


@numba.njit(error_model="numpy", nogil=True, cache=True)
def _select(bits: Any, threshold: Any, scale: Any, z: Any, out: Any) -> None:
    zero = scale - scale
    for i in range(out.shape[0]):
        kept = scale if (bits[i] >= threshold) & (z[i] > zero) else zero
        out[i] = kept if z[i] == z[i] else z[i]


def positive_keep_mask(stream: Stream, rate: float, z: np.ndarray) -> np.ndarray:
    """What :func:`nnx.backend.philox.keep_mask` gives with ``among=z > 0``, and NaN where z is NaN."""
    counter, key = counter_and_key(stream)
    words = np.empty(((z.size + 15) // 16, 4), dtype=np.uint64)
    out = np.empty(z.shape, dtype=z.dtype)
    _words(np.asarray(counter, dtype=np.uint64), np.asarray(key, dtype=np.uint64), words)
    threshold, scale = np.uint32(round(rate * 65536)), z.dtype.type(1.0 / (1.0 - rate))
    _select(words.view(np.uint16).reshape(-1), threshold, scale, z.reshape(-1), out.reshape(-1))
    return out
