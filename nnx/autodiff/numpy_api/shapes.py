# ruff: noqa: D103 (each is NumPy's function of that name)
"""Functions that change the shape or the order of the entries."""

from __future__ import annotations

import math
import operator
from typing import Any

from nnx.autodiff.array import plain
from nnx.autodiff.numpy_api.table import (
    along_axis,
    array,
    arrays,
    axes_of,
    axis_of,
    double,
    flat,
    pick,
    refuse,
    several,
    stands_for,
)
from nnx.autodiff.views import follow
from nnx.errors import ShapeError


def shape_of(shape: Any) -> tuple[int, ...]:
    """NumPy's shape, an int or a sequence of ints, as a tuple."""
    if hasattr(shape, "tolist"):
        shape = plain(shape).tolist()
    return tuple(map(operator.index, shape)) if type(shape) in (tuple, list) else (operator.index(shape),)


def ordered(xp: Any, y: Any, order: str | None, like: Any) -> Any:
    """``y`` laid out in memory in NumPy's ``order`` ("K": as ``like``): what is a view depends on it."""
    model = plain(like)
    strides = getattr(model, "strides", None)
    if y.ndim < 2 or strides is None:
        return y
    if order in ("K", None) and tuple(model.shape) == tuple(y.shape):
        return xp.laid_out(y, model)
    axes = list(range(y.ndim))  # the first has the longest steps in memory
    if order in ("K", None) and len(strides) == y.ndim:
        axes.sort(key=lambda i: -abs(strides[i]))
    elif order == "F" or (order == "A" and model.flags["FNC"]):
        axes.reverse()
    shape = tuple(y.shape[i] for i in axes)
    back = tuple(axes.index(i) for i in range(y.ndim))
    empty = xp.base.empty(shape, dtype=y.dtype, device=xp.device_of(y))
    return xp.laid_out(y, xp.base.permute_dims(empty, back))


@stands_for("reshape")
def reshape(xp: Any, a: Any, /, shape: Any = None, order: str = "C", *, copy: bool | None = None) -> Any:
    a, shape = array(xp, a), shape_of(shape)
    _know_order("reshape", a, order)
    if order == "F":
        whole = _resolved(shape, a.size)
        return transpose(xp, xp.reshape(transpose(xp, a), whole[::-1]))
    return xp.asarray(xp.reshape(a, shape), copy=True) if copy else xp.reshape(a, shape)


def _resolved(shape: tuple[int, ...], size: int) -> tuple[int, ...]:
    known = math.prod(n for n in shape if n != -1)
    return tuple(size // known if n == -1 else n for n in shape)


@stands_for("ravel")
def ravel(xp: Any, a: Any, order: str = "C") -> Any:
    a = array(xp, a)
    _know_order("ravel", a, order)
    a = transpose(xp, a) if order == "F" else a
    flags = getattr(plain(a), "flags", None)
    # unlike reshape, ravel copies whatever is not contiguous, even one axis with a step
    return flat(xp, a) if flags is None or flags["C_CONTIGUOUS"] else xp.positive(flat(xp, a))


def _know_order(name: str, a: Any, order: str) -> None:
    if order not in ("C", "F") and a.ndim > 1:
        refuse(name, f"order={order!r} depends on the layout in memory", "Ask for order 'C' or 'F'.")


@stands_for("transpose")
def transpose(xp: Any, a: Any, axes: Any = None) -> Any:
    a = array(xp, a)
    order = tuple(reversed(range(a.ndim))) if axes is None else axes_of("transpose", axes, a)
    if len(order) != a.ndim:
        raise ShapeError(f"np.transpose: axes={axes} of an array that has {a.ndim} dimensions.")
    return xp.permute_dims(a, order)


@stands_for("matrix_transpose", "linalg.matrix_transpose")
def matrix_transpose(xp: Any, x: Any, /) -> Any:
    return xp.matrix_transpose(x)


@stands_for("swapaxes")
def swapaxes(xp: Any, a: Any, axis1: int, axis2: int) -> Any:
    a = array(xp, a)
    order = list(range(a.ndim))
    axis1, axis2 = axes_of("swapaxes", (axis1, axis2), a, twice=True)
    order[axis1], order[axis2] = axis2, axis1
    return xp.permute_dims(a, tuple(order))


@stands_for("moveaxis")
def moveaxis(xp: Any, a: Any, source: Any, destination: Any) -> Any:
    a = array(xp, a)
    source, destination = (axes_of("moveaxis", axes, a) for axes in (source, destination))
    if len(source) != len(destination):
        raise ShapeError(f"np.moveaxis: {len(source)} axes to be moved to {len(destination)} places.")
    order = [i for i in range(a.ndim) if i not in source]
    for to, origin in sorted(zip(destination, source, strict=True)):
        order.insert(to, origin)
    return xp.permute_dims(a, tuple(order))


@stands_for("rollaxis")
def rollaxis(xp: Any, a: Any, axis: int, start: int = 0) -> Any:
    axis = axis_of("rollaxis", axis, a)
    start = axis_of("rollaxis", start, a, new=int(start >= 0))  # before this axis, or after the last
    return moveaxis(xp, a, axis, start - 1 if start > axis else start)


@stands_for("squeeze")
def squeeze(xp: Any, a: Any, axis: Any = None) -> Any:
    a = array(xp, a)
    if axis is None:
        axes = tuple(i for i, n in enumerate(a.shape) if n == 1)
    else:
        axes = axes_of("squeeze", axis, at_least_1d(xp, a))
    return xp.squeeze(a, axis=axes if a.ndim else ())


@stands_for("expand_dims")
def expand_dims(xp: Any, a: Any, axis: Any) -> Any:
    a = array(xp, a)
    new = axes_of("expand_dims", axis, a, new=len(several(axis)))
    if len(new) == 1:
        return xp.expand_dims(a, axis=new[0])
    rest = iter(a.shape)
    return xp.reshape(a, tuple(1 if i in new else next(rest) for i in range(a.ndim + len(new))))


@stands_for("broadcast_to")
def broadcast_to(xp: Any, array: Any, shape: Any) -> Any:
    return xp.broadcast_to(array, shape_of(shape))


@stands_for("broadcast_arrays")
def broadcast_arrays(xp: Any, *args: Any, subok: bool = False) -> tuple[Any, ...]:
    return tuple(xp.broadcast_arrays(*arrays(xp, *args)))


def _at_least(name: str, widen: Any) -> None:
    def at_least(xp: Any, *arys: Any) -> Any:
        out = tuple(widen(xp, x) for x in arrays(xp, *arys))
        return out[0] if len(out) == 1 else out

    stands_for(name)(at_least)


def at_least_1d(xp: Any, x: Any) -> Any:
    """``x``, a scalar as an array of length 1."""
    return xp.reshape(x, (1,)) if x.ndim == 0 else x


def at_least_2d(xp: Any, x: Any) -> Any:
    """``x``, a vector as a row."""
    return xp.reshape(x, (1, *at_least_1d(xp, x).shape)) if x.ndim < 2 else x


def at_least_3d(xp: Any, x: Any) -> Any:
    """``x``, a matrix with a third axis at the end."""
    return xp.expand_dims(at_least_2d(xp, x), axis=2) if x.ndim < 3 else x


_at_least("atleast_1d", at_least_1d)
_at_least("atleast_2d", at_least_2d)
_at_least("atleast_3d", at_least_3d)


@stands_for("flip")
def flip(xp: Any, m: Any, axis: Any = None) -> Any:
    m = array(xp, m)
    return xp.flip(m, axis=axes_of("flip", axis, m))


@stands_for("flipud")
def flipud(xp: Any, m: Any) -> Any:
    return xp.flip(m, axis=axis_of("flipud", 0, m))


@stands_for("fliplr")
def fliplr(xp: Any, m: Any) -> Any:
    return xp.flip(m, axis=axis_of("fliplr", 1, m))


@stands_for("rot90")
def rot90(xp: Any, m: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    if len(axes) != 2:
        raise ShapeError(f"np.rot90 turns two axes into each other, got axes={axes}.")
    first, second = axes_of("rot90", axes, m)
    k %= 4
    if k == 2:
        return xp.flip(m, axis=(first, second))
    if k == 1:
        return swapaxes(xp, xp.flip(m, axis=second), first, second)
    return xp.flip(swapaxes(xp, m, first, second), axis=second) if k else m


@stands_for("roll")
def roll(xp: Any, a: Any, shift: Any, axis: Any = None) -> Any:
    a = array(xp, a)
    if axis is None:
        return xp.roll(a, sum(shape_of(shift)))
    shifts, axes = shape_of(shift), axes_of("roll", axis, a, twice=True)
    n = max(len(shifts), len(axes))
    return xp.roll(a, shifts * (n // len(shifts)), axis=axes * (n // len(axes)))


@stands_for("resize")
def resize(xp: Any, a: Any, new_shape: Any) -> Any:
    a, shape = flat(xp, array(xp, a)), shape_of(new_shape)
    n = math.prod(shape)
    if not a.shape[0]:
        return xp.zeros(shape, dtype=a.dtype, device=a.device)
    return xp.reshape(pick(xp, a, (i % a.shape[0] for i in range(n)), 0), shape)


@stands_for("lib.stride_tricks.sliding_window_view")
def sliding_window_view(
    xp: Any, x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> Any:
    window = shape_of(window_shape)
    axes = axes_of("lib.stride_tricks.sliding_window_view", axis, x, twice=True)
    if writeable:
        refuse("sliding_window_view", "writeable=True", "Write into the array below, or into a copy.")

    def windows(x: Any) -> Any:
        for length, i in zip(window, axes, strict=True):
            n = x.shape[i] - length + 1
            x = pick(xp, x, (k + j for k in range(n) for j in range(length)), i)
            x = xp.reshape(x, (*x.shape[:i], n, length, *x.shape[i + 1 :]))
            x = xp.moveaxis(x, i + 1, -1)
        return x

    y = windows(x)
    follow(y, x, windows, read_only=True)
    return y


@stands_for("trim_zeros")
def trim_zeros(xp: Any, filt: Any, trim: str = "fb", axis: Any = None) -> Any:
    """Which entries are trimmed depends on the values, in jumps."""
    if filt.ndim != 1:
        raise ValueError("np.trim_zeros of an array that is being differentiated takes one dimension.")
    axes_of("trim_zeros", axis, filt)
    there = [i for i, zero in enumerate(plain(filt) == 0) if not zero]
    start = (there[0] if there else len(filt)) if "f" in trim.lower() else 0
    stop = (there[-1] + 1 if there else start) if "b" in trim.lower() else len(filt)
    return filt[start:stop]


@stands_for("sort")
def sort(
    xp: Any, a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: Any = None
) -> Any:
    a, axis = along_axis("sort", xp, array(xp, a), axis)
    return xp.sort(a, axis=axis)


@stands_for("sort_complex")
def sort_complex(xp: Any, a: Any) -> Any:
    return double(xp, xp.sort(a, axis=-1)) + 0j


@stands_for("partition")
def partition(xp: Any, a: Any, kth: Any, axis: int | None = -1, kind: str = "introselect") -> Any:
    a, axis = along_axis("partition", xp, array(xp, a), axis)
    # A sorted array is a partition at every place; NumPy's own choice where there is one.
    choose = getattr(xp.base, "argpartition", lambda x, kth, axis: xp.base.argsort(x, axis=axis))
    return xp.take_along_axis(a, choose(plain(a), kth, axis=axis), axis=axis)
