"""The sums of :mod:`nnx.backend.depthwise` for kernels of 3×3 in compiled loops, each in one pass.

Imported only where Numba is installed. The compiled code is cached on disk. A pixel has at least as many
channels as a vector has lanes; where their number is no multiple of it, the last vector begins earlier and
computes some channels again.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from nnx.backend.compiled_tiles import address
from nnx.backend.vectors import BYTES, load, store
from nnx.backend.windows import Windows

Array = Any


def forward(seen: Array, weights: Array, bias: Array, w: Windows, y: Array) -> None:
    """The convolution of a padded block by ``weights`` (9, channels, 1), plus the ``bias``, into ``y``."""
    _forward(
        address(seen), seen.strides, address(weights), address(bias), address(y), y.strides, y.shape[:3],
        w.strides, w.dilation, y.shape[3] * y.itemsize, y.dtype.type(0),
    )  # fmt: skip


def kernel_gradient(seen: Array, g: Array, w: Windows, out: Array) -> None:
    """The gradient by the weights for a padded block and the gradient ``g`` by its outputs, into ``out``."""
    for part in _vectors(g):
        total = np.zeros((9, part.stop - part.start), g.dtype)
        some = seen[..., part], g[..., part]
        _kernel_gradient(
            address(some[0]), seen.strides, address(some[1]), g.strides, g.shape[:3], w.strides, w.dilation,
            total[0].nbytes, address(total), g.dtype.type(0),
        )  # fmt: skip
        out[:, part, 0] = total


def _vectors(g: Array) -> list[slice]:
    """All channels in parts that are whole vectors: the last one may have some of the first one's again."""
    channels, lanes = g.shape[3], BYTES // g.itemsize
    whole = channels - channels % lanes
    return [slice(0, whole)] + [slice(channels - lanes, channels)] * (whole < channels)


def spread(g: Array, weights: Array, w: Windows, whole: Array) -> None:
    """Adds ``g`` times the ``weights`` (9, channels) to what its windows see of ``whole``.

    The channels fill whole vectors.
    """
    _spread(
        address(g), g.strides, address(weights), address(whole), whole.strides, g.shape[:3], w.strides,
        w.dilation, weights[0].nbytes, g.dtype.type(0),
    )  # fmt: skip


#: outputs of a row that are computed together: they share weights, and what their windows have in common
_TOGETHER = 4


@numba.njit(error_model="numpy", nogil=True, cache=True)
def _forward(
    x: Any, x_strides: Any, k: Any, bias: Any, y: Any, y_strides: Any, shape: Any, step: Any, dilation: Any,
    length: Any, like: Any,
) -> None:  # fmt: skip  # pragma: no cover
    n, rows, columns = shape
    down, along = x_strides[1] * dilation[0], x_strides[2] * dilation[1]
    pixel, to = x_strides[2] * step[1], y_strides[2]
    together = columns - columns % _TOGETHER if pixel == along else 0
    for line in range(n * rows):
        b, i = line // rows, line % rows
        p = x + b * x_strides[0] + i * step[0] * x_strides[1]
        q = y + b * y_strides[0] + i * y_strides[1]
        for j in range(0, together, _TOGETHER):
            at = 0
            while at < length:
                at = min(at, length - BYTES)
                o, r, w = q + j * to + at, p + j * pixel + at, k + at
                total = load(bias + at, like)
                four = _four_products(r, along, w, length, like, (total, total, total, total))
                four = _four_products(r + down, along, w + 3 * length, length, like, four)
                four = _four_products(r + 2 * down, along, w + 6 * length, length, like, four)
                store(o, four[0])
                store(o + to, four[1])
                store(o + 2 * to, four[2])
                store(o + 3 * to, four[3])
                at += BYTES
        for j in range(together, columns):
            at = 0
            while at < length:
                at = min(at, length - BYTES)
                r, w = p + j * pixel + at, k + at
                total = _product(r, along, w, length, like, load(bias + at, like))
                total = _product(r + down, along, w + 3 * length, length, like, total)
                total = _product(r + 2 * down, along, w + 6 * length, length, like, total)
                store(q + j * to + at, total)
                at += BYTES


@numba.njit(error_model="numpy", nogil=True, cache=True)
def _product(r: Any, along: Any, w: Any, length: Any, like: Any, total: Any) -> Any:  # pragma: no cover
    """One row of a window times one row of the weights, added to ``total``."""
    total = total + load(r, like) * load(w, like)
    total = total + load(r + along, like) * load(w + length, like)
    return total + load(r + 2 * along, like) * load(w + 2 * length, like)


@numba.njit(error_model="numpy", nogil=True, cache=True)
def _four_products(r: Any, along: Any, w: Any, length: Any, like: Any, four: Any) -> Any:  # pragma: no cover
    """The same for four windows side by side."""
    a, b, c, d = four
    u, v, w = load(w, like), load(w + length, like), load(w + 2 * length, like)
    x0, x1, x2 = load(r, like), load(r + along, like), load(r + 2 * along, like)
    x3, x4, x5 = load(r + 3 * along, like), load(r + 4 * along, like), load(r + 5 * along, like)
    return (
        a + x0 * u + x1 * v + x2 * w, b + x1 * u + x2 * v + x3 * w,
        c + x2 * u + x3 * v + x4 * w, d + x3 * u + x4 * v + x5 * w,
    )  # fmt: skip


@numba.njit(error_model="numpy", nogil=True, cache=True)
def _kernel_gradient(
    x: Any, x_strides: Any, g: Any, g_strides: Any, shape: Any, step: Any, dilation: Any, length: Any,
    out: Any, like: Any,
) -> None:  # fmt: skip  # pragma: no cover
    n, rows, columns = shape
    down, along = x_strides[1] * dilation[0], x_strides[2] * dilation[1]
    pixel, to = x_strides[2] * step[1], g_strides[2]
    together = columns - columns % _TOGETHER if pixel == along else 0
    for line in range(n * rows):
        b, i = line // rows, line % rows
        p = x + b * x_strides[0] + i * step[0] * x_strides[1]
        q = g + b * g_strides[0] + i * g_strides[1]
        for j in range(0, together, _TOGETHER):
            at = 0
            while at + BYTES <= length:
                r, s, o = p + j * pixel + at, q + j * to + at, out + at
                four = load(s, like), load(s + to, like), load(s + 2 * to, like), load(s + 3 * to, like)
                _four_added(r, along, four, o, length, like)
                _four_added(r + down, along, four, o + 3 * length, length, like)
                _four_added(r + 2 * down, along, four, o + 6 * length, length, like)
                at += BYTES
        for j in range(together, columns):
            at = 0
            while at + BYTES <= length:
                r, o, h = p + j * pixel + at, out + at, load(q + j * to + at, like)
                _added(r, along, h, o, length, like)
                _added(r + down, along, h, o + 3 * length, length, like)
                _added(r + 2 * down, along, h, o + 6 * length, length, like)
                at += BYTES


@numba.njit(error_model="numpy", nogil=True, cache=True)
def _added(r: Any, along: Any, h: Any, o: Any, length: Any, like: Any) -> None:  # pragma: no cover
    """One row of a window times the gradient by its output, added to one row of the weights' gradient."""
    store(o, load(o, like) + load(r, like) * h)
    store(o + length, load(o + length, like) + load(r + along, like) * h)
    store(o + 2 * length, load(o + 2 * length, like) + load(r + 2 * along, like) * h)


@numba.njit(error_model="numpy", nogil=True, cache=True)
def _four_added(r: Any, along: Any, four: Any, o: Any, length: Any, like: Any) -> None:  # pragma: no cover
    """The same for four windows side by side."""
    a, b, c, d = four
    x0, x1, x2 = load(r, like), load(r + along, like), load(r + 2 * along, like)
    x3, x4, x5 = load(r + 3 * along, like), load(r + 4 * along, like), load(r + 5 * along, like)
    store(o, load(o, like) + x0 * a + x1 * b + (x2 * c + x3 * d))
    store(o + length, load(o + length, like) + x1 * a + x2 * b + (x3 * c + x4 * d))
    store(o + 2 * length, load(o + 2 * length, like) + x2 * a + x3 * b + (x4 * c + x5 * d))


@numba.njit(error_model="numpy", nogil=True, cache=True)
def _spread(
    g: Any, g_strides: Any, k: Any, x: Any, x_strides: Any, shape: Any, step: Any, dilation: Any, length: Any,
    like: Any,
) -> None:  # fmt: skip  # pragma: no cover
    n, rows, columns = shape
    down, along = x_strides[1] * dilation[0], x_strides[2] * dilation[1]
    for line in range(n * rows):
        b, i = line // rows, line % rows
        p = x + b * x_strides[0] + i * step[0] * x_strides[1]
        q = g + b * g_strides[0] + i * g_strides[1]
        for j in range(columns):
            for at in range(0, length, BYTES):
                r, w, h = p + j * step[1] * x_strides[2] + at, k + at, load(q + j * g_strides[2] + at, like)
                _spread_row(r, along, h, w, length, like)
                _spread_row(r + down, along, h, w + 3 * length, length, like)
                _spread_row(r + 2 * down, along, h, w + 6 * length, length, like)


@numba.njit(error_model="numpy", nogil=True, cache=True)
def _spread_row(r: Any, along: Any, h: Any, w: Any, length: Any, like: Any) -> None:  # pragma: no cover
    """An output's gradient times one row of the weights, added to one row of its window."""
    store(r, load(r, like) + h * load(w, like))
    store(r + along, load(r + along, like) + h * load(w + length, like))
    store(r + 2 * along, load(r + 2 * along, like) + h * load(w + 2 * length, like))
