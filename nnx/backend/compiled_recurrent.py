"""The elementwise part of recurrent steps in compiled loops: one pass instead of one for each operation.

Imported only where Numba is installed. The compiled code is cached on disk. Every array is contiguous, and
is seen as rows of ``m`` entries, so that the compiler uses vector instructions. tanh is NumPy's, which is
faster than the one that Numba calls.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np


@numba.njit(error_model="numpy", nogil=True, cache=True)
def _lstm(z: Any, c: Any, new: Any) -> None:
    half = z.dtype.type(0.5)
    zi, zf, zg, zo = z[0], z[1], z[2], z[3]
    for k in range(c.shape[0]):
        i, f = zi[k] * half + half, zf[k] * half + half
        zi[k], zf[k] = i, f
        zo[k] = zo[k] * half + half
        new[k] = f * c[k] + i * zg[k]


@numba.njit(error_model="numpy", nogil=True, cache=True)
def _lstm_back(z: Any, c: Any, end: Any, by_h: Any, by_c: Any, own: Any) -> None:
    one = z.dtype.type(1.0)
    zi, zf, zg, zo = z[0], z[1], z[2], z[3]
    by_i, by_f, by_g, by_o = own[0], own[1], own[2], own[3]
    for k in range(c.shape[0]):
        i, f, g, o, t, h = zi[k], zf[k], zg[k], zo[k], end[k], by_h[k]
        e = by_c[k] + h * o * (one - t * t)
        by_i[k] = e * g * i * (one - i)
        by_f[k] = e * c[k] * f * (one - f)
        by_g[k] = e * i * (one - g * g)
        by_o[k] = h * t * o * (one - o)
        by_c[k] = e * f


@numba.njit(error_model="numpy", nogil=True, cache=True)
def _gru(four: Any) -> None:
    half = four.dtype.type(0.5)
    fb, fz, fr, fa = four[0], four[1], four[2], four[3]
    for k in range(fb.shape[0]):
        r = fr[k] * half + half
        fz[k], fr[k] = fz[k] * half + half, r
        fa[k] = fa[k] + r * fb[k]


@numba.njit(error_model="numpy", nogil=True, cache=True)
def _gru_back(four: Any, h: Any, by_h: Any, own: Any) -> None:
    one = four.dtype.type(1.0)
    fb, fz, fr, fn = four[0], four[1], four[2], four[3]
    by_b, by_z, by_r, by_a = own[0], own[1], own[2], own[3]
    for k in range(h.shape[0]):
        z, r, new, g = fz[k], fr[k], fn[k], by_h[k]
        a = g * (one - z) * (one - new * new)
        by_b[k] = a * r
        by_z[k] = g * (h[k] - new) * z * (one - z)
        by_r[k] = a * fb[k] * r * (one - r)
        by_a[k] = a
        by_h[k] = g * z


def _flat(loop: Any, blocks: tuple[int, ...]) -> Any:
    """``loop`` for arrays of (units, n); those at the places ``blocks`` have four of these."""

    def call(*arrays: np.ndarray) -> None:
        loop(*(a.reshape(4, -1) if i in blocks else a.reshape(-1) for i, a in enumerate(arrays)))

    return call


LOOPS = (_flat(_lstm, (0,)), _flat(_lstm_back, (0, 5)), _flat(_gru, (0,)), _flat(_gru_back, (0, 3)))
