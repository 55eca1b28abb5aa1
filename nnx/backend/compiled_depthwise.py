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
from nnx.backend.vectors import BYTES, between, load, store
from nnx.backend.windows import Windows

Array = Any


def forward(
    x: Array, first: int, weights: Array, bias: Array, bounds: tuple[float, float], w: Windows, y: Array
) -> None:
    """The convolution of images by ``weights`` (9, channels, 1), plus the ``bias``, into rows ``y`` of it.

    These are the outputs' rows from the ``first`` on. What is beyond the ``bounds`` becomes these.
    """
    least, most = (y.dtype.type(bound) for bound in bounds)
    nothing = np.zeros(x.shape[2:], x.dtype)
    _forward(
        address(x), x.strides, x.shape, address(nothing), address(weights), address(bias), address(y),
        y.strides, y.shape, first, w.strides, w.dilation, w.before, least, most,
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
    x: Any, x_strides: Any, x_shape: Any, nothing: Any, k: Any, bias: Any, y: Any, y_strides: Any, shape: Any,
    first: Any, step: Any, dilation: Any, before: Any, least: Any, most: Any,
) -> None:  # fmt: skip  # pragma: no cover
    n, rows, columns, _ = shape
    length, width = x_shape[3] * x_strides[3], x_shape[2]
    along, pixel, to = x_strides[2] * dilation[1], x_strides[2] * step[1], y_strides[2]
    # from start to stop windows see no column beyond the image
    start = min(max(-(-before[1] // step[1]), 0), columns)
    stop = max(min((width - 1 - 2 * dilation[1] + before[1]) // step[1] + 1, columns), start)
    together = start + (stop - start) // _TOGETHER * _TOGETHER if pixel == along else start
    for line in range(n * rows):
        b, i = line // rows, (first + line % rows) * step[0] - before[0]
        image, q = x + b * x_strides[0], y + b * y_strides[0] + line % rows * y_strides[1]
        r0 = _row(image, i, x_shape[1], x_strides[1], nothing)
        r1 = _row(image, i + dilation[0], x_shape[1], x_strides[1], nothing)
        r2 = _row(image, i + 2 * dilation[0], x_shape[1], x_strides[1], nothing)
        r = r0, r1, r2
        for j in range(start + columns - stop):
            j = j if j < start else j - start + stop
            c, o = j * step[1] - before[1], q + j * to
            _edge(r, nothing, c, dilation[1], width, x_strides[2], k, bias, o, length, least, most)
        for j in range(start, together, _TOGETHER):
            o, c = q + j * to, j * pixel - before[1] * x_strides[2]
            at = 0
            while at < length:
                at = min(at, length - BYTES)
                w, total = k + at, load(bias + at, least)
                four = _four_products(r0 + c + at, along, w, length, least, (total, total, total, total))
                four = _four_products(r1 + c + at, along, w + 3 * length, length, least, four)
                four = _four_products(r2 + c + at, along, w + 6 * length, length, least, four)
                store(o + at, between(four[0], least, most))
                store(o + at + to, between(four[1], least, most))
                store(o + at + 2 * to, between(four[2], least, most))
                store(o + at + 3 * to, between(four[3], least, most))
                at += BYTES
        for j in range(together, stop):
            c = j * pixel - before[1] * x_strides[2]
            at = 0
            while at < length:
                at = min(at, length - BYTES)
                w = k + at
                total = _product(r0 + c + at, along, w, length, least, load(bias + at, least))
                total = _product(r1 + c + at, along, w + 3 * length, length, least, total)
                total = _product(r2 + c + at, along, w + 6 * length, length, least, total)
                store(q + j * to + at, between(total, least, most))
                at += BYTES


@numba.njit(error_model="numpy", nogil=True, cache=True)
def _row(image: Any, i: Any, height: Any, stride: Any, nothing: Any) -> Any:  # pragma: no cover
    """Where row ``i`` of an image lies; zeros where it has no such row."""
    return image + i * stride if 0 <= i < height else nothing


@numba.njit(error_model="numpy", nogil=True, cache=True)
def _edge(
    r: Any, nothing: Any, c: Any, apart: Any, width: Any, pixel: Any, k: Any, bias: Any, o: Any, length: Any,
    least: Any, most: Any,
) -> None:  # fmt: skip  # pragma: no cover
    """One output, whose window begins at column ``c`` of three rows and reaches beyond them: to zeros."""
    at = 0
    while at < length:
        at = min(at, length - BYTES)
        total = load(bias + at, least)
        for t in range(3):
            for u in range(3):
                column = c + u * apart
                p = r[t] + column * pixel if 0 <= column < width else nothing
                total = total + load(p + at, least) * load(k + (3 * t + u) * length + at, least)
        store(o + at, between(total, least, most))
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
