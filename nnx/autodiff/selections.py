"""Which entries of an array a view shows, where indices and the order of axes say it all.

Indexing by integers and slices, transposing, flipping, adding and dropping axes of length 1 give such views.
One after another they are again one :class:`Selection`: thousands of views are one step, ``a.T.T`` is none.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from nnx.autodiff.families import normal_axes


class Selection:
    """For each axis of an array the index or the indices that are shown; for each axis of the view its own.

    ``axes`` holds, for each axis of the view, the number of the array's axis; −1 for a new one of length 1.
    """

    __slots__ = ("axes", "picks")
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return type(other) is Selection and self.picks == other.picks and self.axes == other.axes

    def __init__(self, picks: Sequence[int | range], axes: Sequence[int]) -> None:
        self.picks, self.axes = tuple(picks), tuple(axes)

    @staticmethod
    @lru_cache(maxsize=256)
    def whole(shape: tuple[int, ...]) -> Selection:
        """All entries of an array of that shape."""
        return Selection([range(n) for n in shape], range(len(shape)))

    def is_whole(self, shape: tuple[int, ...]) -> bool:
        """Whether it shows the array of that shape as it is."""
        return self == Selection.whole(shape)

    def has_all(self, shape: tuple[int, ...]) -> bool:
        """Whether it shows all entries of the array of that shape in their order along each axis."""
        return self.picks == Selection.whole(shape).picks

    @property
    def in_order(self) -> bool:
        """Whether the index ``key`` alone gives the view: no axes moved, no new ones."""
        return self.axes == self._kept()

    @property
    def key(self) -> tuple[Any, ...]:
        """The index into the array that takes these entries, its axes in the array's order."""
        # with the dots a single entry is an array without axes, where NumPy gives a number
        return (*(_as_slice(p) if type(p) is range else p for p in self.picks), ...)

    def chosen(self, key: Any) -> Selection:
        """The view ``view[key]``; ``IndexError`` or ``TypeError`` where it is none."""
        if type(key) is slice and self.axes and (first := self.axes[0]) >= 0:  # the commonest, in short
            pick: Any = self.picks[first]
            return Selection((*self.picks[:first], pick[key], *self.picks[first + 1 :]), self.axes)
        parts = list(key) if type(key) is tuple else [key]
        missing = len(self.axes) - sum(part is not None and part is not ... for part in parts)
        if not any(part is ... for part in parts):
            parts.append(...)
        picks, axes, old = list(self.picks), [], iter(self.axes)
        for part in parts:
            if part is None:
                axes.append(-1)
            elif part is ...:
                axes += [next(old) for _ in range(missing)]
            else:
                axis = next(old, None)
                if axis is None:
                    raise IndexError("too many indices")
                picked: Any = range(1) if axis < 0 else picks[axis]
                picked = picked[part if type(part) is slice else operator.index(part)]
                if type(picked) is range:
                    axes.append(axis)
                if axis >= 0:
                    picks[axis] = picked
                elif type(picked) is range and len(picked) != 1:
                    raise IndexError("an axis without entries belongs to no axis of the array")
        return Selection(picks, axes)

    def of(self, xp: Any, x: Any) -> Any:
        """The view of the plain or batched array ``x``."""
        return self.arranged(xp, x[self.key])

    def mapped(self, n: int) -> Selection:
        """The view where a first axis holds ``n`` such arrays."""
        return Selection((range(n), *self.picks), (0, *(a + 1 if a >= 0 else a for a in self.axes)))

    def permuted(self, axes: Sequence[int]) -> Selection:
        """The view with its axes in that order."""
        return Selection(self.picks, [self.axes[a] for a in axes])

    def arranged(self, xp: Any, x: Any) -> Any:
        """``x``, the entries at ``key``, with the axes of the view."""
        kept, own = self._kept(), [a for a in self.axes if a >= 0]
        if tuple(own) != kept:
            x = xp.permute_dims(x, tuple(kept.index(a) for a in own))
        if -1 in self.axes:
            x = x[tuple(None if a < 0 else slice(None) for a in self.axes)]
        return x

    def restored(self, xp: Any, y: Any) -> Any:
        """The other way: ``y`` of the view's shape as it is assigned to the array at ``key``."""
        kept, own = self._kept(), [a for a in self.axes if a >= 0]
        if -1 in self.axes:
            y = y[tuple(0 if a < 0 else slice(None) for a in self.axes)]
        return y if tuple(own) == kept else xp.permute_dims(y, tuple(own.index(a) for a in kept))

    def _kept(self) -> tuple[int, ...]:
        return tuple(a for a, p in enumerate(self.picks) if type(p) is range)


def _as_slice(r: range) -> slice:
    if not r:
        return slice(0, 0)
    last = r[-1]
    return slice(r.start, last + 1 if r.step > 0 else last - 1 if last else None, r.step)


def _moved(s: Selection, source: Any, destination: Any) -> Selection:
    n = len(s.axes)
    source, destination = normal_axes(_pair(source), n), normal_axes(_pair(destination), n)
    order = [a for a in range(n) if a not in source]
    for to, a in sorted(zip(destination, source, strict=True)):
        order.insert(to, a)
    return s.permuted(order)


def _flipped(s: Selection, axis: Any = None) -> Selection:
    axes = normal_axes(axis, len(s.axes))
    return s.chosen(tuple(slice(None, None, -1 if a in axes else None) for a in range(len(s.axes))))


def _expanded(s: Selection, axis: Any = 0) -> Selection:
    axes = normal_axes(_pair(axis), len(s.axes) + len(_pair(axis)))
    return s.chosen(tuple(None if a in axes else slice(None) for a in range(len(s.axes) + len(axes))))


def _squeezed(s: Selection, axis: Any) -> Selection:
    axes = normal_axes(_pair(axis), len(s.axes))
    return s.chosen(tuple(0 if a in axes else slice(None) for a in range(len(s.axes))))


def _pair(axis: Any) -> tuple[int, ...]:
    return axis if type(axis) is tuple else (axis,)


#: What functions that give views make of a selection, by their names.
SELECTING: dict[str, Callable[..., Selection]] = {
    "getitem": Selection.chosen,
    "permute_dims": lambda s, axes: s.permuted(axes),
    "matrix_transpose": lambda s: s.permuted((*range(len(s.axes) - 2), -1, -2)),
    "moveaxis": _moved,
    "flip": _flipped,
    "expand_dims": _expanded,
    "squeeze": _squeezed,
}
