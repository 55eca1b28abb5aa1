# ruff: noqa: D103 (each is NumPy's function of that name)
"""Functions that choose entries by index or condition, and diagonals."""

from __future__ import annotations

from typing import Any

from nnx.autodiff.array import is_traced, plain
from nnx.autodiff.numpy_api.shapes import at_least_1d
from nnx.autodiff.numpy_api.table import (
    along_axis,
    array,
    arrays,
    axes_of,
    dtype_of,
    first_array,
    flat,
    refuse,
    stands_for,
)
from nnx.autodiff.trace import lifted
from nnx.errors import ShapeError


def condition(xp: Any, x: Any, like: Any) -> Any:
    """A condition as a plain array of truth values."""
    x = plain(array(xp, x, like))
    return x if xp.base.isdtype(x.dtype, "bool") else x != 0


@stands_for("where")
def where(xp: Any, condition_: Any, x: Any = None, y: Any = None, /) -> Any:
    mask = condition(xp, condition_, first_array((condition_, x, y)))
    if x is None and y is None:
        return xp.base.nonzero(mask)
    x, y = (array(xp, v, mask) if type(v) in (list, tuple) else v for v in (x, y))
    if not hasattr(x, "shape") and not hasattr(y, "shape"):
        return lifted(
            xp.base.where(mask, *(xp.base.asarray(v, device=xp.device_of(mask)) for v in (x, y))), xp
        )
    return xp.where(mask, x, y)


@stands_for("select")
def select(xp: Any, condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    like = first_array((condlist, choicelist, default))
    y = default
    for mask, value in list(zip(condlist, choicelist, strict=True))[::-1]:
        y = where(xp, condition(xp, mask, like), value, y)
    return y


@stands_for("choose")
def choose(xp: Any, a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    if is_traced(a):
        refuse("choose", "its first argument is an index", "Choose by np.where.")
    parts = arrays(xp, *(choices if type(choices) in (list, tuple) else xp.unstack(choices)))
    index = _in_range(xp, positions(xp, a, first_array(parts)), len(parts), mode)
    y = parts[0]
    for k, part in enumerate(parts[1:], 1):
        y = xp.where(index == k, part, y)
    shape = xp.base.broadcast_arrays(index, *plain(parts))[0].shape
    return xp.broadcast_to(y, shape)


def positions(xp: Any, index: Any, like: Any) -> Any:
    """An index array as plain int64, which holds positions from either end."""
    index = plain(array(xp, index, like))
    small = xp.base.isdtype(index.dtype, "integral") and index.dtype != xp.base.int64
    return xp.base.astype(index, xp.base.int64) if small else index


def _in_range(xp: Any, index: Any, n: int, mode: str) -> Any:
    if mode == "wrap":
        return index % n
    return xp.base.clip(index, 0, n - 1) if mode == "clip" else index


@stands_for("take")
def take(xp: Any, a: Any, indices: Any, axis: int | None = None, out: Any = None, mode: str = "raise") -> Any:
    a, axis = along_axis("take", xp, at_least_1d(xp, array(xp, a)), axis)
    index = _in_range(xp, positions(xp, indices, a), a.shape[axis], mode)
    y = xp.take(a, xp.base.reshape(index, (-1,)), axis=axis)
    return xp.reshape(y, (*a.shape[:axis], *index.shape, *a.shape[axis + 1 :]))


@stands_for("take_along_axis")
def take_along_axis(xp: Any, arr: Any, indices: Any, axis: int | None = -1) -> Any:
    arr, axis = along_axis("take_along_axis", xp, arr, axis)
    shape = list(indices.shape)
    wide = [max(n, k) if i != axis else n for i, (n, k) in enumerate(zip(arr.shape, shape, strict=True))]
    shape = [k if i == axis else n for i, (n, k) in enumerate(zip(wide, shape, strict=True))]
    arr = arr if tuple(wide) == tuple(arr.shape) else xp.broadcast_to(arr, tuple(wide))
    return xp.take_along_axis(arr, xp.base.broadcast_to(plain(indices), tuple(shape)), axis=axis)


@stands_for("compress")
def compress(xp: Any, condition: Any, a: Any, axis: int | None = None, out: Any = None) -> Any:
    a, axis = along_axis("compress", xp, at_least_1d(xp, array(xp, a)), axis)
    mask = plain(array(xp, condition, a))
    return xp.take(a, xp.base.nonzero(mask != 0)[0], axis=axis)


@stands_for("extract")
def extract(xp: Any, condition: Any, arr: Any) -> Any:
    return compress(xp, flat(xp, plain(array(xp, condition, arr))), flat(xp, arr), 0)


@stands_for("diagonal")
def diagonal(xp: Any, a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    if a.ndim < 2:
        raise ShapeError(f"np.diagonal needs an array of at least two dimensions, got {a.ndim}.")
    axis1, axis2 = axes_of("diagonal", (axis1, axis2), a)
    rest = tuple(i for i in range(a.ndim) if i not in (axis1, axis2))
    x = xp.permute_dims(a, (*rest, axis1, axis2)) if (axis1, axis2) != (a.ndim - 2, a.ndim - 1) else a
    return xp.linalg.diagonal(x, offset=offset)


@stands_for("linalg.diagonal")
def linalg_diagonal(xp: Any, x: Any, /, *, offset: int = 0) -> Any:
    return diagonal(xp, x, offset, -2, -1)


def _diagonal(n: int, m: int, offset: int) -> slice:
    start = offset if offset >= 0 else -offset * m
    count = max(min(n, m - offset) if offset >= 0 else min(n + offset, m), 0)
    return slice(start, start + (count - 1) * (m + 1) + 1, m + 1) if count else slice(0, 0)


@stands_for("trace")
def trace(
    xp: Any, a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None
) -> Any:
    y = xp.sum(diagonal(xp, a, offset, *axes_of("trace", (axis1, axis2), a)), axis=-1)
    return y if dtype is None else xp.astype(y, dtype_of(xp, dtype))


@stands_for("linalg.trace")
def linalg_trace(xp: Any, x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    return trace(xp, x, offset, -2, -1, dtype)


@stands_for("diag")
def diag(xp: Any, v: Any, k: int = 0) -> Any:
    if v.ndim == 2:
        return diagonal(xp, v, k)
    if v.ndim != 1:
        raise ShapeError(f"np.diag needs an array of one or two dimensions, got {v.ndim}.")
    n = v.shape[0] + abs(k)
    lines = xp.base.zeros((n * n,), dtype=v.dtype, device=xp.device_of(v))
    return xp.reshape(xp.set_at(lines, v, key=_diagonal(n, n, k)), (n, n))


@stands_for("diagflat")
def diagflat(xp: Any, v: Any, k: int = 0) -> Any:
    return diag(xp, flat(xp, array(xp, v)), k)


@stands_for("tril")
def tril(xp: Any, m: Any, k: int = 0) -> Any:
    return _triangle(xp, m, k, "tril")


@stands_for("triu")
def triu(xp: Any, m: Any, k: int = 0) -> Any:
    return _triangle(xp, m, k, "triu")


def _triangle(xp: Any, m: Any, k: int, name: str) -> Any:
    m = array(xp, m)
    if m.ndim == 1:  # NumPy takes the vector for every row
        m = xp.broadcast_to(m, (m.shape[0], m.shape[0]))
    return getattr(xp, name)(m, k=k)
