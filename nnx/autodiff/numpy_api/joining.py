# ruff: noqa: D103 (each is NumPy's function of that name)
"""Functions that join, split and repeat arrays."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from nnx.autodiff.array import plain
from nnx.autodiff.families import along
from nnx.autodiff.numpy_api.shapes import at_least_1d, at_least_2d, at_least_3d, moveaxis, shape_of
from nnx.autodiff.numpy_api.table import (
    along_axis,
    array,
    arrays,
    axis_of,
    cast,
    first_array,
    flat,
    pick,
    stands_for,
)


def _all(xp: Any, tup: Any, dtype: Any = None, widen: Any = None) -> list[Any]:
    parts = [cast(xp, x, dtype) for x in arrays(xp, *tup)]
    if not parts:
        raise ValueError("There are no arrays to be joined.")
    return [widen(xp, x) for x in parts] if widen else parts


@stands_for("concatenate")
def concatenate(xp: Any, arrays: Any, /, axis: int | None = 0, out: Any = None, *, dtype: Any = None) -> Any:
    return _joined("concatenate", xp, _all(xp, arrays, dtype), axis)


def _joined(name: str, xp: Any, parts: Any, axis: int | None) -> Any:
    if axis is None:
        return xp.concat([flat(xp, x) for x in parts], axis=0)
    return xp.concat(parts, axis=axis_of(name, axis, parts[0]))


@stands_for("stack")
def stack(xp: Any, arrays: Any, axis: int = 0, out: Any = None, *, dtype: Any = None) -> Any:
    parts = _all(xp, arrays, dtype)
    return xp.stack(parts, axis=axis_of("stack", axis, parts[0], new=1))


@stands_for("vstack", "row_stack")
def vstack(xp: Any, tup: Any, *, dtype: Any = None) -> Any:
    return xp.concat(_all(xp, tup, dtype, at_least_2d), axis=0)


@stands_for("hstack")
def hstack(xp: Any, tup: Any, *, dtype: Any = None) -> Any:
    parts = _all(xp, tup, dtype, at_least_1d)
    return xp.concat(parts, axis=0 if parts[0].ndim == 1 else 1)


@stands_for("dstack")
def dstack(xp: Any, tup: Any) -> Any:
    return xp.concat(_all(xp, tup, None, at_least_3d), axis=2)


@stands_for("column_stack")
def column_stack(xp: Any, tup: Any) -> Any:
    return xp.concat(_all(xp, tup, None, lambda xp, x: x if x.ndim > 1 else xp.reshape(x, (-1, 1))), axis=1)


@stands_for("block")
def block(xp: Any, arrays: Any) -> Any:
    like, depth = first_array([arrays]), _depth(arrays)

    def widest(x: Any) -> int:
        return max(map(widest, x)) if type(x) is list else array(xp, x, like).ndim

    n = max(depth, widest(arrays))

    def joined(x: Any, level: int) -> Any:
        if type(x) is not list:
            x = array(xp, x, like)
            return xp.reshape(x, (1,) * (n - x.ndim) + tuple(x.shape))
        return xp.concat([joined(part, level - 1) for part in x], axis=-level)

    return joined(arrays, depth)


def _depth(x: Any) -> int:
    return 1 + _depth(x[0]) if type(x) is list and x else 0


@stands_for("append")
def append(xp: Any, arr: Any, values: Any, axis: int | None = None) -> Any:
    return _joined("append", xp, arrays(xp, arr, values), axis)


@stands_for("array_split")
def array_split(xp: Any, ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    axis = axis_of("array_split", axis, ary)
    n = ary.shape[axis]
    if hasattr(indices_or_sections, "__len__"):
        cuts = [0, *shape_of(indices_or_sections), n]
    else:
        each, extra = divmod(n, int(indices_or_sections))
        cuts = [i * each + min(i, extra) for i in range(int(indices_or_sections) + 1)]
    return [ary[along(axis, slice(a, b))] for a, b in pairwise(cuts)]


@stands_for("split")
def split(xp: Any, ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    axis = axis_of("split", axis, ary)
    if not hasattr(indices_or_sections, "__len__") and ary.shape[axis] % int(indices_or_sections):
        raise ValueError("array split does not result in an equal division")
    return array_split(xp, ary, indices_or_sections, axis)


@stands_for("hsplit")
def hsplit(xp: Any, ary: Any, indices_or_sections: Any) -> list[Any]:
    return split(xp, ary, indices_or_sections, axis_of("hsplit", 0 if ary.ndim < 2 else 1, ary))


@stands_for("vsplit")
def vsplit(xp: Any, ary: Any, indices_or_sections: Any) -> list[Any]:
    axis_of("vsplit", 1, ary)  # a vector has no rows
    return split(xp, ary, indices_or_sections, 0)


@stands_for("dsplit")
def dsplit(xp: Any, ary: Any, indices_or_sections: Any) -> list[Any]:
    return split(xp, ary, indices_or_sections, axis_of("dsplit", 2, ary))


@stands_for("unstack")
def unstack(xp: Any, x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    return xp.unstack(x, axis=axis_of("unstack", axis, x))


@stands_for("tile")
def tile(xp: Any, A: Any, reps: Any) -> Any:  # noqa: N803 (NumPy's name)
    return xp.tile(array(xp, A), shape_of(reps))


@stands_for("repeat")
def repeat(xp: Any, a: Any, repeats: Any, axis: int | None = None) -> Any:
    a, axis = along_axis("repeat", xp, at_least_1d(xp, array(xp, a)), axis)
    counts = shape_of(repeats)
    if len(counts) == 1:
        return xp.repeat(a, counts[0], axis=axis)
    return pick(xp, a, (i for i, n in enumerate(counts) for _ in range(n)), axis)


def _places(obj: Any, n: int) -> list[int]:
    """The positions in 0 … n−1 that NumPy's ``obj`` (int, slice, list, mask) means."""
    if type(obj) is slice:
        return list(range(*obj.indices(n)))
    obj = plain(obj)
    obj = obj.tolist() if hasattr(obj, "tolist") else obj
    parts = list(obj) if type(obj) in (list, tuple) else [obj]
    if parts and all(type(p) is bool for p in parts):
        return [i for i, chosen in enumerate(parts) if chosen]
    return [p + n if p < 0 else p for p in map(int, parts)]


@stands_for("delete")
def delete(xp: Any, arr: Any, obj: Any, axis: int | None = None) -> Any:
    arr, axis = along_axis("delete", xp, arr, axis)
    n = arr.shape[axis]
    gone = _places(obj, n)
    if any(not 0 <= i < n for i in gone):
        raise IndexError(f"np.delete: an index of {gone} is out of bounds for {n} entries.")
    return pick(xp, arr, (i for i in range(n) if i not in set(gone)), axis)


@stands_for("insert")
def insert(xp: Any, arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    arr, values = arrays(xp, arr, values)
    arr, axis = along_axis("insert", xp, arr, axis)
    n = arr.shape[axis]
    places = _places(obj, n)
    one = not hasattr(obj, "__len__") and type(obj) is not slice
    if one and values.ndim:  # NumPy inserts all of the values at the one place
        wide = xp.reshape(values, (1,) * (arr.ndim - values.ndim) + tuple(values.shape))
        wide = moveaxis(xp, wide, 0, axis)
        many = wide.shape[axis]
    else:
        wide, many = values, len(places)
    wide = xp.broadcast_to(wide, tuple(many if i == axis else k for i, k in enumerate(arr.shape)))
    places = places * many if one else places
    both = xp.concat([arr, cast(xp, wide, arr.dtype)], axis=axis)
    entries = sorted([*((i, 1, i) for i in range(n)), *((p, 0, n + k) for k, p in enumerate(places))])
    return pick(xp, both, (source for _, _, source in entries), axis)
