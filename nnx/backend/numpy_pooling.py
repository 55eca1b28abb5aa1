"""Pooling on NumPy: blocks of images that stay in the cache, spread over the cores; or compiled loops.

Without Numba windows are folded axis by axis, as in :mod:`nnx.backend.pooling`, but into arrays that are
there: a running maximum or sum over the cells of the window, and no copies of the input with cells outside.
The way back from a maximum looks at the cells of the whole window one after the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from nnx.backend import loops
from nnx.backend.memory import reused
from nnx.backend.pooling import Array, Pooling, Window
from nnx.backend.threads import spread

Windows = Sequence[Window]

#: From this number of entries on, loops compiled by Numba (if installed) repay loading them.
_WORTH_COMPILING = 1 << 16
#: A thread of its own is worth its start for so many entries.
_WORTH_A_THREAD = 1 << 16
#: Entries in one block of images without Numba.
_BLOCK = 1 << 19
#: The whole numbers of as many bytes as a float.
_WHOLE = {2: np.int16, 4: np.int32, 8: np.int64}


class NumpyPooling(Pooling):
    """The kernels of :class:`nnx.backend.pooling.Pooling` for NumPy's arrays."""

    def max_pool(self, x: Array, windows: Windows) -> Array:
        y = np.empty(_pooled(x, windows), x.dtype)
        _run("maxima", _maxima, windows, x, y)
        return y

    def from_maxima(self, g: Array, x: Array, y: Array, windows: Windows) -> Array:
        def place(g: Array, x: Array, y: Array, out: Array, windows: Windows) -> None:
            if not np.isnan(np.max(y)) and g.dtype.itemsize in _WHOLE:
                _from_maxima(g, x, y, out, windows)
            else:
                out[...] = super(NumpyPooling, self).from_maxima(g, x, y, windows)

        out = np.empty(x.shape, g.dtype)
        _run("from_maxima", place, windows, g, x, y, out)
        return out

    def mean_pool(self, x: Array, windows: Windows) -> Array:
        y = np.empty(_pooled(x, windows), x.dtype)
        _run("means", _means, windows, x, y)
        return y

    def from_means(self, g: Array, windows: Windows) -> Array:
        out = np.empty((g.shape[0], *(w.length for w in windows), g.shape[-1]), g.dtype)
        _run("from_means", _from_means, windows, g, out)
        return out


def _pooled(x: Array, windows: Windows) -> tuple[int, ...]:
    return (x.shape[0], *(w.count for w in windows), x.shape[-1])


def _run(name: str, plain: Callable[..., None], windows: Windows, *given: Array) -> None:
    """``plain(*given, windows)`` block by block, or the compiled loop of that name over all images."""
    arrays, windows = _in_bands([np.ascontiguousarray(a) for a in given], windows)
    size = max(a.size for a in arrays)
    n, most = arrays[0].shape[0], size // _WORTH_A_THREAD
    quick = loops.compiled("pooling") if size >= _WORTH_COMPILING and len(windows) < 3 else None
    if quick is not None and all(a.dtype == arrays[0].dtype and a.dtype.char in "fd" for a in arrays):
        planes = [a if len(windows) == 2 else a[:, None] for a in arrays]
        both = (Window(1, 1, 1, 0, 1), *windows)[-2:]
        along: list[Any] = [(w.size, w.stride, w.before, w.count) for w in both]
        if name.endswith("means"):
            along += [np.asarray(w.shares, arrays[0].dtype) for w in both]
        inputs = [_read_only(a) for a in planes[:-1]]
        spread(lambda a, b: getattr(quick, name)(*inputs, planes[-1], *along, a, b), n, most)
        return
    step = max(1, _BLOCK * n // max(size, 1))

    def blocks(a: int, b: int) -> None:
        for start in range(a, b, step):
            part = slice(start, min(start + step, b))
            plain(*(x[part] for x in arrays), windows)

    spread(blocks, n, most)


def _in_bands(arrays: list[Array], windows: Windows) -> tuple[list[Array], Windows]:
    """Where windows tile the first axis, the bands of an image as images: blocks may then be smaller."""
    first = windows[0]
    if first.stride != first.size or first.length != first.size * first.count:
        return arrays, windows
    bands = [a.reshape(a.shape[0] * first.count, a.shape[1] // first.count, *a.shape[2:]) for a in arrays]
    return bands, (Window(first.size, first.size, first.size, 0, 1), *windows[1:])


def _read_only(a: Array) -> Array:
    """A view of ``a`` that is read-only whether or not ``a`` is: Numba compiles for each of the two."""
    view = a.view()
    view.flags.writeable = False
    return view


# -- a block of images, axis by axis ----------------------------------------------------------------------


def _maxima(x: Array, y: Array, windows: Windows) -> None:
    _folded(np.maximum, -np.inf, x, y, windows)


def _means(x: Array, y: Array, windows: Windows) -> None:
    _folded(np.add, 0.0, x, y, windows)
    _share(y, windows)


def _share(y: Array, windows: Windows) -> None:
    """Divides the entries of ``y``, one for each window, by the number of cells inside of theirs."""
    even = [len(set(w.shares)) == 1 for w in windows]
    y *= y.dtype.type(math.prod(w.shares[0] for w, same in zip(windows, even, strict=True) if same))
    for axis, window in enumerate(windows, 1):
        if not even[axis - 1]:
            y *= np.asarray(window.shares, y.dtype).reshape(-1, *(1,) * (y.ndim - 1 - axis))


def _folded(fold: np.ufunc, neutral: float, x: Array, y: Array, windows: Windows) -> None:
    """Folds the cells of each window; the first axis first, where whole rows lie side by side."""
    for axis, window in enumerate(windows, 1):
        last = axis == len(windows)
        shape = (*x.shape[:axis], window.count, *x.shape[axis + 1 :])
        x = _fold(fold, neutral, x, y if last else reused(shape, x.dtype), axis, window)


def _fold(fold: np.ufunc, neutral: float, x: Array, out: Array, axis: int, window: Window) -> Array:
    everywhere = slice(0, window.count)
    cells = sorted(_taps(window), key=lambda cell: cell[0] != everywhere)
    whole = [x[_at(axis, taken)] for given, taken in cells[:2] if given == everywhere]
    if len(whole) == 2:
        fold(*whole, out=out)
    else:
        out[...] = whole[0] if whole else neutral
    for given, taken in cells[len(whole) :]:
        part = out[_at(axis, given)]
        fold(part, x[_at(axis, taken)], out=part)
    return out


def _from_means(g: Array, out: Array, windows: Windows) -> None:
    g = g.copy()
    _share(g, windows)
    for axis, window in reversed(list(enumerate(windows, 1))):
        shape = (*g.shape[:axis], window.length, *g.shape[axis + 1 :])
        wider = out if axis == 1 else reused(shape, g.dtype)
        apart = _clear(wider, (window,))
        for given, taken in _taps(window):
            _put(wider[_at(axis, taken)], g[_at(axis, given)], apart)
        g = wider


def _from_maxima(g: Array, x: Array, y: Array, out: Array, windows: Windows) -> None:
    """The cells of the windows one after the other, row after row; what has been found is not free any more.

    Whole numbers times 0 or 1 choose bit by bit, so that no infinity becomes NaN; that is faster than
    ``np.where``, whose conditions are bytes.
    """
    apart, whole = _clear(out, windows), _WHOLE[g.dtype.itemsize]
    hits, free, ones = reused(g.shape, bool), reused(g.shape, bool), reused(g.shape, whole)
    part = None if apart else reused(g.shape, g.dtype)
    free[...] = True
    cells = [tuple(zip(*along, strict=True)) for along in product(*map(_taps, windows))]
    for k, (given, taken) in enumerate(cells, 1):
        some, inside = (slice(None), *given), (slice(None), *taken)
        hit, left = hits[some], free[some]
        if k == len(cells):  # without NaN the last cell that a window has takes what no other has taken
            hit = left
        else:
            np.equal(x[inside], y[some], out=hit)
            np.logical_and(hit, left, out=hit)
            np.not_equal(left, hit, out=left)
        np.copyto(ones[some], hit.view(np.int8))
        place = out[inside] if part is None else part[some]
        np.multiply(g[some].view(whole), ones[some], out=place.view(whole))
        if part is not None:
            out[inside] += place


def _taps(window: Window) -> Iterator[tuple[slice, slice]]:
    """For each cell of a window: the windows for which it lies inside, and where it lies there."""
    for i in range(window.size):
        start = i - window.before
        low = max(-(start // window.stride), 0)
        high = min((window.length - 1 - start) // window.stride + 1, window.count)
        if low < high:
            first = low * window.stride + start
            yield slice(low, high), slice(first, first + (high - low - 1) * window.stride + 1, window.stride)


def _at(axis: int, part: slice) -> tuple[slice, ...]:
    return (slice(None),) * axis + (part,)


def _clear(out: Array, windows: Windows) -> bool:
    """Whether the windows lie apart; ``out`` becomes 0 where it is not written once, in each of its cells."""
    apart = all(w.stride >= w.size for w in windows)
    if not apart or any(w.length != w.size * w.count for w in windows):
        out[...] = 0.0
    return apart


def _put(place: Array, values: Array, apart: bool) -> None:
    if apart:
        place[...] = values
    else:
        place += values
