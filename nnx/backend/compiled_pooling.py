"""Pooling over two axes in loops compiled by Numba: rows first, then columns, channels side by side.

Imported only where Numba is installed. The compiled code is cached on disk. Arrays are (n, height, width,
channels) and C-contiguous; ``rows`` and ``columns`` are (size, stride, before, count) along an axis. A
function does the images from ``a`` to ``b``.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

_loop = numba.njit(error_model="numpy", nogil=True, cache=True)


@_loop
def _inside(i: Any, window: Any, length: Any) -> Any:
    """The cells of a window that are inside: the first, and how many."""
    start = i * window[1] - window[2]
    first = max(start, 0)
    return first, min(start + window[0], length) - first


@_loop
def _part(x: Any, place: Any, n: Any) -> Any:
    return x[place : place + n]


@_loop
def _most(x: Any, start: Any, step: Any, size: Any, out: Any) -> None:
    """The largest of ``size`` pieces of x, which begin ``step`` entries apart, entry by entry."""
    n = out.shape[0]
    u = _part(x, start, n)
    if size == 1:
        for k in range(n):
            out[k] = u[k]
        return
    v = _part(x, start + step, n)
    for k in range(n):
        out[k] = v[k] if (v[k] > u[k]) | (v[k] != v[k]) else u[k]
    for t in range(2, size):
        v = _part(x, start + t * step, n)
        for k in range(n):
            out[k] = v[k] if (v[k] > out[k]) | (v[k] != v[k]) else out[k]


@_loop
def _total(x: Any, start: Any, step: Any, size: Any, out: Any) -> None:
    """The sum of ``size`` pieces of x, which begin ``step`` entries apart, entry by entry."""
    n = out.shape[0]
    u = _part(x, start, n)
    if size == 1:
        for k in range(n):
            out[k] = u[k]
        return
    v = _part(x, start + step, n)
    if size == 2:
        for k in range(n):
            out[k] = u[k] + v[k]
        return
    w = _part(x, start + 2 * step, n)
    for k in range(n):
        out[k] = u[k] + v[k] + w[k]
    for t in range(3, size):
        w = _part(x, start + t * step, n)
        for k in range(n):
            out[k] += w[k]


@_loop
def _whole(columns: Any, length: Any) -> Any:
    """The windows that lie inside with all of their cells: the first, and the one after the last."""
    size, stride, before, count = columns
    low = min((before + stride - 1) // stride, count)
    return low, max(min((length - size + before) // stride + 1, count), low)


@_loop
def maxima(x: Any, y: Any, rows: Any, columns: Any, a: Any, b: Any) -> None:
    """The largest entry of each window of x into y, NaN where one is."""
    c, width = x.shape[3], x.shape[2] * x.shape[3]
    line = np.empty(width, x.dtype)
    low, high = _whole(columns, x.shape[2])
    for i in range(a, b):
        image = x[i].reshape(x.shape[1] * width)
        for p in range(rows[3]):
            top, size = _inside(p, rows, x.shape[1])
            _most(image, top * width, width, size, line)
            for q in range(columns[3]):
                if columns[1] > 1 or q < low or q >= high:
                    left, size = _inside(q, columns, x.shape[2])
                    _most(line, left * c, c, size, y[i, p, q])
            if columns[1] == 1 and low < high:  # all channels of all cells side by side
                out = y[i, p, low:high].reshape((high - low) * c)
                _most(line, (low - columns[2]) * c, c, columns[0], out)


@_loop
def sums(x: Any, y: Any, rows: Any, columns: Any, a: Any, b: Any) -> None:
    """The sum of each window of x into y."""
    c, width = x.shape[3], x.shape[2] * x.shape[3]
    line = np.empty(width, x.dtype)
    low, high = _whole(columns, x.shape[2])
    for i in range(a, b):
        image = x[i].reshape(x.shape[1] * width)
        for p in range(rows[3]):
            top, size = _inside(p, rows, x.shape[1])
            _total(image, top * width, width, size, line)
            for q in range(columns[3]):
                if columns[1] > 1 or q < low or q >= high:
                    left, size = _inside(q, columns, x.shape[2])
                    _total(line, left * c, c, size, y[i, p, q])
            if columns[1] == 1 and low < high:
                out = y[i, p, low:high].reshape((high - low) * c)
                _total(line, (low - columns[2]) * c, c, columns[0], out)


@_loop
def from_maxima(g: Any, x: Any, y: Any, out: Any, rows: Any, columns: Any, a: Any, b: Any) -> None:
    """Into out g added up where the first maxima y of the windows of x are."""
    zero = g.dtype.type(0.0)
    rest = np.empty(g.shape[3], g.dtype)  # what of g has found no place yet
    for i in range(a, b):
        out[i] = zero
        for p in range(rows[3]):
            top, height = _inside(p, rows, x.shape[1])
            for q in range(columns[3]):
                left, width = _inside(q, columns, x.shape[2])
                most, given = y[i, p, q], g[i, p, q]
                for c in range(rest.shape[0]):
                    rest[c] = given[c]
                for h in range(top, top + height):
                    for w in range(left, left + width):
                        cell, place = x[i, h, w], out[i, h, w]
                        for c in range(rest.shape[0]):
                            hit = (cell[c] == most[c]) | (cell[c] != cell[c])
                            place[c] += rest[c] if hit else zero
                            rest[c] = zero if hit else rest[c]


@_loop
def from_sums(g: Any, out: Any, rows: Any, columns: Any, a: Any, b: Any) -> None:
    """Each entry of g into out, added to all cells of its window."""
    if rows[1] == 1 and columns[1] == 1:  # then a cell is in the windows that lie around it
        over = (rows[0], 1, rows[0] - 1 - rows[2], out.shape[1])
        across = (columns[0], 1, columns[0] - 1 - columns[2], out.shape[2])
        sums(g, out, over, across, a, b)
        return
    for i in range(a, b):
        out[i] = out.dtype.type(0.0)
        for p in range(rows[3]):
            top, height = _inside(p, rows, out.shape[1])
            for q in range(columns[3]):
                left, width = _inside(q, columns, out.shape[2])
                given = g[i, p, q]
                for h in range(top, top + height):
                    for w in range(left, left + width):
                        place = out[i, h, w]
                        for c in range(given.shape[0]):
                            place[c] += given[c]
