"""Pooling over two axes in loops compiled by Numba: each image is read once, channels go side by side.

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
    """The cells of a window that are inside: the first, and the one after the last."""
    start = i * window[1] - window[2]
    return max(start, 0), min(start + window[0], length)


@_loop
def _larger(a: Any, b: Any, out: Any) -> None:
    for k in range(out.shape[0]):
        u, v = a[k], b[k]
        out[k] = v if (v > u) | (v != v) else u


@_loop
def _added(a: Any, b: Any, out: Any) -> None:
    for k in range(out.shape[0]):
        out[k] = a[k] + b[k]


@_loop
def _copied(a: Any, out: Any) -> None:
    for k in range(out.shape[0]):
        out[k] = a[k]


@_loop
def maxima(x: Any, y: Any, rows: Any, columns: Any, a: Any, b: Any) -> None:
    """The largest entry of each window of x into y, NaN where one is: of its rows, then of its columns."""
    width = x.shape[2] * x.shape[3]
    over = np.empty(x.shape[2:], x.dtype)
    line = over.reshape(width)
    for i in range(a, b):
        for p in range(rows[3]):
            top, bottom = _inside(p, rows, x.shape[1])
            if bottom - top == 1:
                _copied(x[i, top].reshape(width), line)
            else:
                _larger(x[i, top].reshape(width), x[i, top + 1].reshape(width), line)
            for h in range(top + 2, bottom):
                _larger(line, x[i, h].reshape(width), line)
            for q in range(columns[3]):
                left, right = _inside(q, columns, x.shape[2])
                out = y[i, p, q]
                if right - left == 1:
                    _copied(over[left], out)
                else:
                    _larger(over[left], over[left + 1], out)
                for w in range(left + 2, right):
                    _larger(out, over[w], out)


@_loop
def from_maxima(g: Any, x: Any, y: Any, out: Any, rows: Any, columns: Any, a: Any, b: Any) -> None:
    """Out becomes g added up where the first maxima y of the windows of x are."""
    zero = g.dtype.type(0.0)
    rest = np.empty(g.shape[3], g.dtype)  # what of g has found no place yet
    for i in range(a, b):
        out[i] = zero
        for p in range(rows[3]):
            top, bottom = _inside(p, rows, x.shape[1])
            for q in range(columns[3]):
                left, right = _inside(q, columns, x.shape[2])
                most, given = y[i, p, q], g[i, p, q]
                for c in range(rest.shape[0]):
                    rest[c] = given[c]
                for h in range(top, bottom):
                    for w in range(left, right):
                        cell, place = x[i, h, w], out[i, h, w]
                        for c in range(rest.shape[0]):
                            hit = (cell[c] == most[c]) | (cell[c] != cell[c])
                            place[c] += rest[c] if hit else zero
                            rest[c] = zero if hit else rest[c]


@_loop
def _windows_with(t: Any, window: Any, length: Any) -> Any:
    """The windows whose cell t is inside (first, and one after the last), and where the first has it."""
    start = t - window[2]
    low = max(-(start // window[1]), 0)
    return low, max(min((length - 1 - start) // window[1] + 1, window[3]), low), low * window[1] + start


@_loop
def _add_cells(a: Any, out: Any, columns: Any) -> None:
    """The sum of each window of the line a, (length, channels), into out, (count, channels)."""
    channels = a.shape[1]
    out[:] = out.dtype.type(0.0)
    for t in range(columns[0]):
        low, high, start = _windows_with(t, columns, a.shape[0])
        if columns[1] == 1:  # all channels of all cells side by side
            part = out[low:high].reshape((high - low) * channels)
            _added(part, a[start : start + high - low].reshape((high - low) * channels), part)
        else:
            for q in range(low, high):
                _added(out[q], a[start + (q - low) * columns[1]], out[q])


@_loop
def _add_to_cells(g: Any, out: Any, columns: Any) -> None:
    """The transpose of :func:`_add_cells`: g, (count, channels), into the line out, (length, channels)."""
    channels = out.shape[1]
    out[:] = out.dtype.type(0.0)
    for t in range(columns[0]):
        low, high, start = _windows_with(t, columns, out.shape[0])
        if columns[1] == 1:
            part = out[start : start + high - low].reshape((high - low) * channels)
            _added(part, g[low:high].reshape((high - low) * channels), part)
        else:
            for q in range(low, high):
                place = out[start + (q - low) * columns[1]]
                _added(place, g[q], place)


@_loop
def sums(x: Any, y: Any, rows: Any, columns: Any, a: Any, b: Any) -> None:
    """The sum of each window of x into y: of its rows, then of its columns."""
    width = x.shape[2] * x.shape[3]
    over = np.empty(x.shape[2:], x.dtype)
    line = over.reshape(width)
    for i in range(a, b):
        for p in range(rows[3]):
            top, bottom = _inside(p, rows, x.shape[1])
            if bottom - top == 1:
                _copied(x[i, top].reshape(width), line)
            else:
                _added(x[i, top].reshape(width), x[i, top + 1].reshape(width), line)
            for h in range(top + 2, bottom):
                _added(line, x[i, h].reshape(width), line)
            _add_cells(over, y[i, p], columns)


@_loop
def from_sums(g: Any, out: Any, rows: Any, columns: Any, a: Any, b: Any) -> None:
    """Each entry of g into out, added to all cells of its window: along its row, then to all rows."""
    width = out.shape[2] * out.shape[3]
    over = np.empty(out.shape[2:], out.dtype)
    line = over.reshape(width)
    for i in range(a, b):
        done = 0  # the rows above this one have been written
        for p in range(rows[3]):
            top, bottom = _inside(p, rows, out.shape[1])
            _add_to_cells(g[i, p], over, columns)
            for h in range(done, top):
                out[i, h] = out.dtype.type(0.0)
            for h in range(top, bottom):
                place = out[i, h].reshape(width)
                if h < done:
                    _added(place, line, place)
                else:
                    _copied(line, place)
            done = max(done, bottom)
        for h in range(done, out.shape[1]):
            out[i, h] = out.dtype.type(0.0)
