"""Pooling over two axes in loops compiled by Numba: rows first, then columns, channels side by side.

Imported only where Numba is installed. The compiled code is cached on disk. Arrays are (n, height, width,
channels) and C-contiguous; ``rows`` and ``columns`` are (size, stride, before, count) along an axis. A
function does the images from ``a`` to ``b``.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from nnx.backend.vectors import BYTES, load, store, where_most, where_same

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
def _total(x: Any, start: Any, step: Any, shares: Any, scale: Any, out: Any) -> None:
    """The sum of pieces of x, which begin ``step`` entries apart, each times its share, times ``scale``."""
    n, size = out.shape[0], shares.shape[0]
    u, r = _part(x, start, n), shares[0] * scale
    if size == 1:
        for k in range(n):
            out[k] = u[k] * r
        return
    v, s = _part(x, start + step, n), shares[1] * scale
    if size == 2:
        for k in range(n):
            out[k] = u[k] * r + v[k] * s
        return
    w, t = _part(x, start + 2 * step, n), shares[2] * scale
    for k in range(n):
        out[k] = u[k] * r + v[k] * s + w[k] * t
    for i in range(3, size):
        w, t = _part(x, start + i * step, n), shares[i] * scale
        for k in range(n):
            out[k] += w[k] * t


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
def means(x: Any, y: Any, rows: Any, columns: Any, by_row: Any, by_column: Any, a: Any, b: Any) -> None:
    """The sum of each window of x into y, times the shares of its row and of its column."""
    if _tiles_by_two(rows, x.shape[1]) and _tiles_by_two(columns, x.shape[2]):
        _means_of_four(x, y, by_row[0] * by_column[0], a, b)
        return
    c, width = x.shape[3], x.shape[2] * x.shape[3]
    line, ones = np.empty(width, x.dtype), np.ones(max(rows[0], columns[0]), x.dtype)
    low, high = _whole(columns, x.shape[2])
    for i in range(a, b):
        image = x[i].reshape(x.shape[1] * width)
        for p in range(rows[3]):
            top, size = _inside(p, rows, x.shape[1])
            _total(image, top * width, width, ones[:size], by_row[p], line)
            for q in range(columns[3]):
                if columns[1] > 1 or q < low or q >= high:
                    left, size = _inside(q, columns, x.shape[2])
                    _total(line, left * c, c, ones[:size], by_column[q], y[i, p, q])
            if columns[1] == 1 and low < high:  # all channels of all cells side by side
                out = y[i, p, low:high].reshape((high - low) * c)
                _total(line, (low - columns[2]) * c, c, ones[: columns[0]], by_column[low], out)


@_loop
def _tiles_by_two(window: Any, length: Any) -> Any:
    """Whether windows of two cells lie side by side, all of them inside."""
    size, stride, before, count = window
    return size == 2 and stride == 2 and before == 0 and 0 < 2 * count <= length


@_loop
def _means_of_four(x: Any, y: Any, share: Any, a: Any, b: Any) -> None:
    """The sum of each two by two cells, which are no other window's, times ``share``."""
    c, width = x.shape[3], x.shape[2] * x.shape[3]
    for i in range(a, b):
        image = x[i].reshape(x.shape[1] * width)
        for p in range(y.shape[1]):
            for q in range(y.shape[2]):
                start = 2 * (p * width + q * c)
                u, v = _part(image, start, 2 * c), _part(image, start + width, 2 * c)
                out = y[i, p, q]
                for k in range(c):
                    out[k] = ((u[k] + v[k]) + (u[c + k] + v[c + k])) * share


@_loop
def from_means(
    g: Any, out: Any, rows: Any, columns: Any, by_row: Any, by_column: Any, a: Any, b: Any
) -> None:
    """Each entry of g, times the shares of its row and of its column, into all cells of its window."""
    if rows[1] == 1 and columns[1] == 1:
        _from_dense_means(g, out, rows, columns, by_row, by_column, a, b)
        return
    apart = rows[1] >= rows[0] and columns[1] >= columns[0]
    for i in range(a, b):
        clear = 0
        for p in range(rows[3]):
            top, height = _inside(p, rows, out.shape[1])
            clear = _cleared(out[i], clear, top + height, apart, rows, columns)
            for q in range(columns[3]):
                left, width = _inside(q, columns, out.shape[2])
                given, share = g[i, p, q], by_row[p] * by_column[q]
                for h in range(top, top + height):
                    for w in range(left, left + width):
                        place = out[i, h, w]
                        if apart:
                            for c in range(given.shape[0]):
                                place[c] = given[c] * share
                        else:
                            for c in range(given.shape[0]):
                                place[c] += given[c] * share
        _cleared(out[i], clear, out.shape[1], False, rows, columns)


@_loop
def _from_dense_means(
    g: Any, out: Any, rows: Any, columns: Any, by_row: Any, by_column: Any, a: Any, b: Any
) -> None:
    """As :func:`from_means` for windows of stride 1: a cell is in the windows that lie around it."""
    c, width = g.shape[3], g.shape[2] * g.shape[3]
    line, ones, one = np.empty(width, g.dtype), np.ones(columns[0], g.dtype), g.dtype.type(1.0)
    over = (rows[0], 1, rows[0] - 1 - rows[2], out.shape[1])
    across = (columns[0], 1, columns[0] - 1 - columns[2], out.shape[2])
    low, high = _whole(across, g.shape[2])
    for i in range(a, b):
        image = g[i].reshape(g.shape[1] * width)
        for p in range(out.shape[1]):
            top, size = _inside(p, over, g.shape[1])
            _total(image, top * width, width, by_row[top : top + size], one, line)
            for q in range(g.shape[2]):
                piece = _part(line, q * c, c)
                for k in range(c):
                    piece[k] *= by_column[q]
            for q in range(out.shape[2]):
                if q < low or q >= high:
                    left, size = _inside(q, across, g.shape[2])
                    _total(line, left * c, c, ones[:size], one, out[i, p, q])
            if low < high:
                most = out[i, p, low:high].reshape((high - low) * c)
                _total(line, (low - across[2]) * c, c, ones, one, most)


@_loop
def _cleared(image: Any, start: Any, stop: Any, apart: Any, rows: Any, columns: Any) -> Any:
    """Zeros into the rows from ``start`` to ``stop`` that are added to; which row comes next.

    Windows that lie apart, and leave no cell out, are written once: their rows need no zeros.
    """
    whole = columns[0] * columns[3] == image.shape[1] and columns[0] == columns[1] and rows[0] == rows[1]
    if stop > start and not (apart and whole):
        image[start:stop] = image.dtype.type(0.0)
    return max(start, stop)


@_loop
def _first(row: Any, left: Any, width: Any, number: Any, most: Any, first: Any) -> None:
    """``first`` becomes the number of the first cell of the row from ``left`` on that is ``most``, if any is.

    The cells are numbered from ``number`` on.
    """
    c, one = most.shape[0], most.dtype.type(1.0)
    while width > 2:  # three cells at a time, the last ones first
        width -= 3
        start, k = (left + width) * c, number + most.dtype.type(width)
        u, v, w = _part(row, start, c), _part(row, start + c, c), _part(row, start + 2 * c, c)
        for j in range(c):
            n = k + one + one if (w[j] == most[j]) | (w[j] != w[j]) else first[j]
            n = k + one if (v[j] == most[j]) | (v[j] != v[j]) else n
            first[j] = k if (u[j] == most[j]) | (u[j] != u[j]) else n
    while width > 0:
        width -= 1
        u, k = _part(row, (left + width) * c, c), number + most.dtype.type(width)
        for j in range(c):
            first[j] = k if (u[j] == most[j]) | (u[j] != u[j]) else first[j]


@_loop
def _from_maxima_in_vectors(
    g: Any, x: Any, y: Any, out: Any, rows: Any, columns: Any, a: Any, b: Any
) -> None:
    """As :func:`from_maxima` where channels fill whole vectors."""
    one, pixel = g.dtype.type(1.0), g.shape[3] * g.itemsize
    line, image = x.shape[2] * pixel, x.shape[1] * x.shape[2] * pixel
    from_x, from_y, from_g, into = x.ctypes.data, y.ctypes.data, g.ctypes.data, out.ctypes.data
    apart = rows[1] >= rows[0] and columns[1] >= columns[0]
    for i in range(a, b):
        clear = 0
        for p in range(rows[3]):
            top, height = _inside(p, rows, x.shape[1])
            clear = _cleared(out[i], clear, top + height, apart, rows, columns)
            for q in range(columns[3]):
                left, width = _inside(q, columns, x.shape[2])
                first_cell = i * image + top * line + left * pixel
                window = ((i * rows[3] + p) * columns[3] + q) * pixel
                for j in range(0, pixel, BYTES):
                    most, given = load(from_y + window + j, one), load(from_g + window + j, one)
                    found, number = most, g.dtype.type(height * width)
                    for h in range(height - 1, -1, -1):
                        place = from_x + first_cell + h * line + width * pixel + j
                        for _ in range(width):
                            place -= pixel
                            number -= one
                            found = where_most(load(place, one), most, number, found)
                    for h in range(height):
                        place = into + first_cell + h * line + j
                        for _ in range(width):
                            new = where_same(found, number, given)
                            store(place, new if apart else load(place, one) + new)
                            place += pixel
                            number += one
        _cleared(out[i], clear, out.shape[1], False, rows, columns)


@_loop
def from_maxima(g: Any, x: Any, y: Any, out: Any, rows: Any, columns: Any, a: Any, b: Any) -> None:
    """Into out g added up where the first maxima y of the windows of x are."""
    if g.shape[3] * g.itemsize % BYTES == 0:
        _from_maxima_in_vectors(g, x, y, out, rows, columns, a, b)
        return
    zero, one = g.dtype.type(0.0), g.dtype.type(1.0)
    apart = rows[1] >= rows[0] and columns[1] >= columns[0]
    first = np.empty(g.shape[3], g.dtype)  # which cell of the window is the first maximum
    for i in range(a, b):
        clear = 0
        for p in range(rows[3]):
            top, height = _inside(p, rows, x.shape[1])
            clear = _cleared(out[i], clear, top + height, apart, rows, columns)
            for q in range(columns[3]):
                left, width = _inside(q, columns, x.shape[2])
                most, given = y[i, p, q], g[i, p, q]
                number = g.dtype.type(height * width)
                for h in range(top + height - 1, top - 1, -1):
                    number -= g.dtype.type(width)
                    _first(x[i, h].reshape(x.shape[2] * x.shape[3]), left, width, number, most, first)
                number = zero
                for h in range(top, top + height):
                    for w in range(left, left + width):
                        place = out[i, h, w]
                        if apart:
                            for c in range(first.shape[0]):
                                place[c] = given[c] if first[c] == number else zero
                        else:
                            for c in range(first.shape[0]):
                                place[c] += given[c] if first[c] == number else zero
                        number += one
        _cleared(out[i], clear, out.shape[1], False, rows, columns)
