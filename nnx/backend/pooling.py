"""Pooling in standard calls: the largest entry and the mean of each window, and their transposes.

Arrays are ``(n, *lengths, channels)``, and there is one :class:`Window` for each of the lengths. Both
operations are done axis by axis: the maximum over a rectangle is that of its rows' maxima, and the first of
several equal ones, row after row, is found in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

Array = Any


@dataclass(frozen=True)
class Window:
    """How a window moves along one axis: ``count`` times, by ``stride``, from ``before`` cells outside.

    All are whole numbers: the axis' ``length`` ≥ 1, the window's ``size`` ≥ 1, ``stride`` ≥ 1, ``before`` ≥ 0
    and ``count`` ≥ 1. Each window holds at least one cell of the axis.
    """

    length: int
    size: int
    stride: int
    before: int
    count: int

    @property
    def after(self) -> int:
        """How many cells beyond the axis' end the windows reach; negative where they end before."""
        return (self.count - 1) * self.stride + self.size - self.before - self.length

    @cached_property
    def shares(self) -> tuple[float, ...]:
        """1 over the number of cells inside, for each of the windows."""
        starts = [i * self.stride - self.before for i in range(self.count)]
        return tuple(1.0 / (min(start + self.size, self.length) - max(start, 0)) for start in starts)


class Pooling:
    """The reference of the four operations, and of the choice that a maximum makes."""

    xp: Any

    def max_pool(self, x: Array, windows: Sequence[Window]) -> Array:
        """The largest entry of each window, NaN where one of them is NaN; cells outside do not count.

        Shapes: ``(n, *lengths, c)`` → ``(n, *counts, c)``.
        """
        return self._maxima(x, windows)[-1]

    def at_maxima(self, t: Array, x: Array, y: Array, windows: Sequence[Window]) -> Array:
        """The entries of ``t`` where the first maximum of each window of ``x`` is, whose maxima are ``y``.

        Shapes: ``t`` and ``x`` ``(n, *lengths, c)``, ``y`` and the result ``(n, *counts, c)``.
        """
        maxima = pairwise(self._maxima(x, windows))
        for (of, largest), (axis, window) in zip(maxima, _steps(windows), strict=True):
            t = self._pick(t, of, largest, axis, window)
        return t

    def from_maxima(self, g: Array, x: Array, y: Array, windows: Sequence[Window]) -> Array:
        """The transpose of :meth:`at_maxima`: ``g`` added to zeros where the first maxima of ``x`` are.

        Shapes: ``g`` and ``y`` ``(n, *counts, c)``, ``x`` and the result ``(n, *lengths, c)``.
        """
        maxima = list(pairwise(self._maxima(x, windows)))
        for (of, largest), (axis, window) in zip(reversed(maxima), reversed(_steps(windows)), strict=True):
            g = self._place(g, of, largest, axis, window)
        return g

    def mean_pool(self, x: Array, windows: Sequence[Window]) -> Array:
        """The mean of the entries in each window; cells outside do not count.

        Shapes: ``(n, *lengths, c)`` → ``(n, *counts, c)``.
        """
        for axis, window in _steps(windows):
            cells = _cells(self._padded(x, axis, window, edge=False), axis, window)
            x = self._shared(sum(cells[1:], start=cells[0]), axis, window)
        return x

    def from_means(self, g: Array, windows: Sequence[Window]) -> Array:
        """The transpose of :meth:`mean_pool`: each entry of ``g`` shared out to the cells of its window.

        Shapes: ``(n, *counts, c)`` → ``(n, *lengths, c)``.
        """
        for axis, window in reversed(_steps(windows)):
            spread = self._spread([self._shared(g, axis, window)] * window.size, axis, window)
            g = self._cropped(spread, axis, window, edge=False)
        return g

    # -- along one axis ---------------------------------------------------------------------------

    def _shared(self, x: Array, axis: int, window: Window) -> Array:
        """``x``, divided by the number of cells inside of each window."""
        if len(set(window.shares)) == 1:
            return x * window.shares[0]
        shares = self.xp.asarray(window.shares, dtype=x.dtype, device=x.device)
        return x * self.xp.reshape(shares, (-1, *(1,) * (x.ndim - 1 - axis)))

    def _maxima(self, x: Array, windows: Sequence[Window]) -> list[Array]:
        """``x``, and its maxima along one axis after the other, the last axis first."""
        found = [x]
        for axis, window in _steps(windows):
            cells = _cells(self._padded(found[-1], axis, window, edge=True), axis, window)
            y = cells[0]
            for cell in cells[1:]:
                y = self.xp.maximum(y, cell)  # NaN where one of the two is
            found.append(y)
        return found

    def _pick(self, t: Array, x: Array, y: Array, axis: int, window: Window) -> Array:
        cells = _cells(self._padded(t, axis, window, edge=True), axis, window)
        picked = self.xp.zeros_like(cells[0])
        for cell, hit in zip(cells, self._hits(x, y, axis, window), strict=True):
            picked = self.xp.where(hit, cell, picked)
        return picked

    def _place(self, g: Array, x: Array, y: Array, axis: int, window: Window) -> Array:
        zero = self.xp.zeros_like(g)
        parts = [self.xp.where(hit, g, zero) for hit in self._hits(x, y, axis, window)]
        return self._cropped(self._spread(parts, axis, window), axis, window, edge=True)

    def _hits(self, x: Array, y: Array, axis: int, window: Window) -> list[Array]:
        """For each cell of a window, whether it is the first that equals the maximum ``y``."""
        found: list[Array] = []
        free = None
        for cell in _cells(self._padded(x, axis, window, edge=True), axis, window):
            hit = (cell == y) | (cell != cell)
            found.append(hit if free is None else hit & free)
            free = ~hit if free is None else free & ~hit
        return found

    def _spread(self, parts: Sequence[Array], axis: int, window: Window) -> Array:
        """The transpose of :func:`_cells`: cell o·stride + i is the sum of the entries o of the parts i."""
        further = (window.size - 1) // window.stride
        planes = []
        for first in range(window.stride):
            shifted = [
                self._between_zeros(part, axis, step, further - step)
                for step, part in enumerate(parts[first :: window.stride])
            ]
            zeros = self._zeros(parts[0], axis, window.count + further)
            planes.append(sum(shifted, start=zeros))
        shape = list(parts[0].shape)
        shape[axis] = (window.count + further) * window.stride
        return self.xp.reshape(self.xp.stack(planes, axis=axis + 1), tuple(shape))

    def _padded(self, x: Array, axis: int, window: Window, *, edge: bool) -> Array:
        """``x`` with the cells outside: zeros, or its first and last cell again.

        A window that reaches the first cell outside holds the last one inside, so repeated cells change no
        maximum, and what falls upon them belongs to that one.
        """
        before, after = window.before, max(window.after, 0)
        if not edge:
            return self._between_zeros(x, axis, before, after)
        first, last = _part(x, axis, slice(0, 1)), _part(x, axis, slice(window.length - 1, None))
        return self.xp.concat([first] * before + [x] + [last] * after, axis=axis)

    def _cropped(self, x: Array, axis: int, window: Window, *, edge: bool) -> Array:
        """The transpose of :meth:`_padded`, of an array with zeros behind, or too few of them."""
        before, length = window.before, window.length
        x = self._between_zeros(x, axis, 0, max(before + length - x.shape[axis], 0))
        if not edge:
            return _part(x, axis, slice(before, before + length))
        xp, last = self.xp, before + length - 1
        tail = xp.sum(_part(x, axis, slice(last, None)), axis=axis, keepdims=True)
        x = xp.concat([_part(x, axis, slice(0, last)), tail], axis=axis)
        head = xp.sum(_part(x, axis, slice(0, before + 1)), axis=axis, keepdims=True)
        return xp.concat([head, _part(x, axis, slice(before + 1, None))], axis=axis)

    def _between_zeros(self, x: Array, axis: int, before: int, after: int) -> Array:
        if not before and not after:
            return x
        return self.xp.concat([self._zeros(x, axis, before), x, self._zeros(x, axis, after)], axis=axis)

    def _zeros(self, x: Array, axis: int, length: int) -> Array:
        shape = (*x.shape[:axis], length, *x.shape[axis + 1 :])
        return self.xp.zeros(shape, dtype=x.dtype, device=x.device)


def _steps(windows: Sequence[Window]) -> list[tuple[int, Window]]:
    """Axes and windows, the last axis first: the first maximum of a rectangle is in the first row with it."""
    return list(enumerate(windows, 1))[::-1]


def _part(x: Array, axis: int, part: slice) -> Array:
    return x[(slice(None),) * axis + (part, ...)]


def _cells(padded: Array, axis: int, window: Window) -> list[Array]:
    """The first cells of all windows, the second ones, ...: ``size`` arrays with ``count`` cells."""
    reach = (window.count - 1) * window.stride + 1
    return [_part(padded, axis, slice(i, i + reach, window.stride)) for i in range(window.size)]
