"""Pooling on NumPy: blocks of images that stay in the cache, spread over the cores; or compiled loops.

Without Numba a window is taken apart axis by axis, as in :mod:`nnx.backend.pooling`, but into arrays that are
there: a running maximum over the cells of the window, and no copies of the input with cells outside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np

from nnx.backend.pooling import Array, Pooling, Window
from nnx.backend.threads import spread

Windows = Sequence[Window]

#: From this number of entries on, loops compiled by Numba (if installed) repay loading them.
_WORTH_COMPILING = 1 << 16
#: A thread of its own is worth its start for so many entries.
_WORTH_A_THREAD = 1 << 16
#: Entries in one block of images without Numba.
_BLOCK = 1 << 16


class NumpyPooling(Pooling):
    """The kernels of :class:`nnx.backend.pooling.Pooling` for NumPy's arrays."""

    def max_pool(self, x: Array, windows: Windows) -> Array:
        y = np.empty(_pooled(x, windows), x.dtype)
        _run("maxima", _maxima, windows, x, y)
        return y

    def from_maxima(self, g: Array, x: Array, y: Array, windows: Windows) -> Array:
        def place(g: Array, x: Array, y: Array, out: Array, windows: Windows) -> None:
            with np.errstate(over="ignore", invalid="ignore"):
                plain = np.isfinite(np.sum(g)) and not np.isnan(np.max(y))
            if plain:
                _from_maxima(g, x, y, out, windows)
            else:
                out[...] = super(NumpyPooling, self).from_maxima(g, x, y, windows)

        out = np.empty(x.shape, g.dtype)
        _run("from_maxima", place, windows, g, x, y, out)
        return out

    def sum_pool(self, x: Array, windows: Windows) -> Array:
        y = np.empty(_pooled(x, windows), x.dtype)
        _run("sums", _sums, windows, x, y)
        return y

    def from_sums(self, g: Array, windows: Windows) -> Array:
        out = np.empty((g.shape[0], *(w.length for w in windows), g.shape[-1]), g.dtype)
        _run("from_sums", _from_sums, windows, g, out)
        return out


def _pooled(x: Array, windows: Windows) -> tuple[int, ...]:
    return (x.shape[0], *(w.count for w in windows), x.shape[-1])


def _run(name: str, plain: Callable[..., None], windows: Windows, *given: Array) -> None:
    """``plain(*given, windows)`` block by block, or the compiled loop of that name over all images."""
    arrays, windows = _in_bands([np.ascontiguousarray(a) for a in given], windows)
    size = max(a.size for a in arrays)
    n, most = arrays[0].shape[0], size // _WORTH_A_THREAD
    loops = _compiled() if size >= _WORTH_COMPILING and len(windows) < 3 else None
    if loops is not None and all(a.dtype == arrays[0].dtype and a.dtype.char in "fd" for a in arrays):
        planes = [a if len(windows) == 2 else a[:, None] for a in arrays]
        along = [(w.size, w.stride, w.before, w.count) for w in (Window(1, 1, 1, 0, 1), *windows)[-2:]]
        inputs = [_read_only(a) for a in planes[:-1]]
        spread(lambda a, b: getattr(loops, name)(*inputs, planes[-1], *along, a, b), n, most)
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


@cache
def _compiled() -> Any:
    try:
        from nnx.backend import compiled_pooling
    except ImportError:  # no Numba, or one that does not fit this NumPy
        return None
    return compiled_pooling


# -- a block of images, axis by axis ----------------------------------------------------------------------


def _maxima(x: Array, y: Array, windows: Windows) -> None:
    _folded(np.maximum, -np.inf, x, y, windows)


def _sums(x: Array, y: Array, windows: Windows) -> None:
    _folded(np.add, 0.0, x, y, windows)


def _folded(fold: np.ufunc, neutral: float, x: Array, y: Array, windows: Windows) -> None:
    """Folds the cells of each window; the first axis first, where whole rows lie side by side."""
    for axis, window in enumerate(windows, 1):
        last = axis == len(windows)
        shape = (*x.shape[:axis], window.count, *x.shape[axis + 1 :])
        x = _fold(fold, neutral, x, y if last else np.empty(shape, x.dtype), axis, window)


def _fold(fold: np.ufunc, neutral: float, x: Array, out: Array, axis: int, window: Window) -> Array:
    cells = list(_taps(axis, window))
    whole = [taken for given, taken in cells if given == slice(0, window.count)]
    if len(whole) == len(cells) > 1:
        fold(x[_at(axis, whole[0])], x[_at(axis, whole[1])], out=out)
        cells = cells[2:]
    else:
        out[...] = neutral
    for given, taken in cells:
        part = out[_at(axis, given)]
        fold(part, x[_at(axis, taken)], out=part)
    return out


def _from_sums(g: Array, out: Array, windows: Windows) -> None:
    for axis, window in reversed(list(enumerate(windows, 1))):
        shape = (*g.shape[:axis], window.length, *g.shape[axis + 1 :])
        wider = out if axis == 1 else np.empty(shape, g.dtype)
        apart = _clear(wider, axis, window)
        for given, taken in _taps(axis, window):
            _put(wider[_at(axis, taken)], g[_at(axis, given)], apart)
        g = wider


def _from_maxima(g: Array, x: Array, y: Array, out: Array, windows: Windows) -> None:
    """Stage by stage, from the last fold of the maxima (the first axis) back to the first (the last axis).

    That order makes the first maximum of a window that in its first row. Without NaN the last cell that a
    window has takes what no other has taken.
    """
    maxima = [x]
    for axis, window in reversed(list(enumerate(windows[1:], 2))):
        shape = (*maxima[-1].shape[:axis], window.count, *maxima[-1].shape[axis + 1 :])
        maxima.append(_fold(np.maximum, -np.inf, maxima[-1], np.empty(shape, x.dtype), axis, window))
    for axis, window in enumerate(windows, 1):
        of = maxima.pop()
        wider = out if axis == len(windows) else np.empty(of.shape, g.dtype)
        _place(g, of, y, wider, axis, window)
        g, y = wider, of


def _place(g: Array, x: Array, y: Array, out: Array, axis: int, window: Window) -> None:
    apart = _clear(out, axis, window)
    rest, part, hits = g.copy(), np.empty_like(g), np.empty(g.shape, bool)
    cells = list(_taps(axis, window))
    for given, taken in cells[:-1]:
        some, inside = _at(axis, given), _at(axis, taken)
        hit = np.equal(x[inside], y[some], out=hits[some])
        found = np.multiply(rest[some], hit, out=part[some])
        _put(out[inside], found, apart)
        rest[some] -= found
    given, taken = cells[-1]
    _put(out[_at(axis, taken)], rest[_at(axis, given)], apart)


def _taps(axis: int, window: Window) -> Iterator[tuple[slice, slice]]:
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


def _clear(out: Array, axis: int, window: Window) -> bool:
    """Whether the windows lie apart; ``out`` becomes 0 where it is not written once, in each of its cells."""
    apart = window.stride >= window.size
    if not apart or window.length != window.size * window.count:
        out[...] = 0.0
    return apart


def _put(place: Array, values: Array, apart: bool) -> None:
    if apart:
        place[...] = values
    else:
        place += values
