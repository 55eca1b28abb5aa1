# ruff: noqa: D103 (each is the function of the standard with its name)
"""Functions of the standard composed of others that have rules."""

from __future__ import annotations

import math
from typing import Any

from nnx.autodiff.array import Traced, is_traced, raw
from nnx.autodiff.families import along
from nnx.autodiff.trace import lifted
from nnx.errors import AxisError, ShapeError

COMPOSITIONS: dict[str, Any] = {}


def composition(function: Any) -> Any:
    """Decorator: ``function(xp, ...)`` stands for ``xp.<its name>`` on traced arrays."""
    COMPOSITIONS[function.__name__.rstrip("_")] = function
    return function


#: Compositions whose result may be their argument or a view of it, also on constants, which are writable.
VIEWING = frozenset("asarray astype broadcast_arrays from_dlpack unstack linalg.matrix_transpose".split())


@composition
def asarray(xp: Any, obj: Any, /, *, dtype: Any = None, device: Any = None, copy: Any = None) -> Any:
    if type(obj) in (tuple, list):
        if copy is False:
            raise ValueError("xp.asarray of a list makes an array of its own: copy=False is not possible.")
        return _joined(xp, obj, _first_array(obj), dtype, device)
    changes = dtype is not None and dtype != obj.dtype
    if changes and copy is False:
        raise ValueError(f"xp.asarray(x, copy=False) cannot make {dtype} of {obj.dtype}.")
    return astype(xp, obj, dtype if changes else obj.dtype, copy=changes or bool(copy), device=device)


def _first_array(parts: Any) -> Any:
    """The first array in a nest of lists."""
    for part in parts:
        found = _first_array(part) if type(part) in (tuple, list) else part
        if hasattr(found, "dtype"):
            return found
    return None


def _joined(xp: Any, part: Any, like: Any, dtype: Any, device: Any) -> Any:
    """Nested lists of arrays and numbers as one array; numbers become arrays on the device of ``like``."""
    if type(part) in (tuple, list):
        return xp.stack([_joined(xp, inner, like, dtype, device) for inner in part])
    if hasattr(part, "dtype"):
        return asarray(xp, part, dtype=dtype, device=device)
    own = xp.base.result_type(like.dtype, part) if dtype is None else dtype
    return xp.base.asarray(part, dtype=own, device=xp.device_of(like) if device is None else device)


@composition
def astype(xp: Any, x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    x = x if device is None else xp.to_device(x, device)
    if dtype == x.dtype and not copy:
        return x
    if is_traced(x) and not xp.base.isdtype(dtype, ("real floating", "complex floating")):
        return xp.base.astype(raw(x), dtype)  # rounding: a constant
    return xp.converted(x, dtype)


@composition
def broadcast_arrays(xp: Any, *arrays: Any) -> tuple[Any, ...]:
    shape = xp.base.broadcast_arrays(*[raw(a) for a in arrays])[0].shape
    # of a scalar, too, for NumPy then gives an array
    return tuple(a if a.shape == shape and shape else xp.broadcast_to(a, shape) for a in arrays)


@composition
def from_dlpack(xp: Any, x: Any, /, *, device: Any = None, copy: bool | None = None) -> Any:
    return asarray(xp, x, device=device, copy=copy)  # it is of this library already


@composition
def clip(xp: Any, x: Any, /, min: Any = None, max: Any = None) -> Any:
    y = x
    if min is not None:
        y = xp.where(y < min, min, y)
    if max is not None:
        y = xp.where(y > max, max, y)
    return xp.positive(x) if y is x else y


@composition
def concat(xp: Any, arrays: Any, /, *, axis: int | None = 0) -> Any:
    return xp.joined_concat(*arrays, axis=axis)


@composition
def diff(xp: Any, x: Any, /, *, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Any:
    ends = [e for e in (prepend, x, append) if e is not None]
    x = xp.concat(ends, axis=axis) if len(ends) > 1 else x
    if not -x.ndim <= axis < x.ndim:
        raise AxisError(f"xp.diff: axis {axis} of an array that has {x.ndim} dimensions.")
    axis %= x.ndim
    for _ in range(n):
        last = max(x.shape[axis] - 1, 0)
        x = x[along(axis, slice(min(x.shape[axis], 1), None))] - x[along(axis, slice(0, last))]
    return x


@composition
def full_(xp: Any, shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
    filled = xp.broadcast_to(fill_value, (shape,) if isinstance(shape, int) else tuple(shape))
    return astype(xp, filled, filled.dtype if dtype is None else dtype, device=device)


@composition
def full_like_(xp: Any, x: Any, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
    dtype = x.dtype if dtype is None else dtype
    if not hasattr(fill_value, "dtype"):
        return lifted(xp.base.full_like(raw(x), fill_value, dtype=dtype, device=device), xp)
    return full_(xp, x.shape, fill_value, dtype=dtype, device=device)


@composition
def linspace(
    xp: Any,
    start: Any,
    stop: Any,
    /,
    num: int,
    *,
    dtype: Any = None,
    device: Any = None,
    endpoint: bool = True,
) -> Any:
    like = raw(start) if type(start) is Traced else raw(stop)
    steps = xp.base.arange(num, dtype=like.dtype, device=xp.device_of(like))
    share = steps / (num - 1 if endpoint and num > 1 else max(num, 1))
    line = start + (stop - start) * share
    return astype(xp, line, line.dtype if dtype is None else dtype, copy=False, device=device)


@composition
def meshgrid(xp: Any, *arrays: Any, indexing: str = "xy") -> tuple[Any, ...]:
    if indexing not in ("xy", "ij"):
        raise ValueError(f"xp.meshgrid knows indexing 'xy' and 'ij', got {indexing!r}.")
    n = len(arrays)
    swap = indexing == "xy" and n > 1
    order = [1, 0, *range(2, n)] if swap else list(range(n))
    shape = tuple(math.prod(arrays[i].shape) for i in order)

    def stretched(i: int, a: Any) -> Any:
        along_one = tuple(shape[axis] if order[axis] == i else 1 for axis in range(n))
        return xp.positive(xp.broadcast_to(xp.reshape(a, along_one), shape))  # no view: a copy

    return tuple(stretched(i, a) for i, a in enumerate(arrays))


@composition
def sort(xp: Any, x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    order = xp.argsort(x, axis=axis, descending=descending, stable=stable)
    return xp.take(x, order, axis=0) if len(x.shape) == 1 else xp.take_along_axis(x, order, axis=axis)


@composition
def stack(xp: Any, arrays: Any, /, *, axis: int = 0) -> Any:
    return xp.joined_stack(*arrays, axis=axis)


@composition
def take_along_axis(xp: Any, x: Any, indices: Any, /, *, axis: int = -1) -> Any:
    indices = raw(indices)
    if indices.dtype != xp.int64:  # of which alone PyTorch takes indices
        indices = xp.base.astype(indices, xp.int64)
    where = xp.base.take_along_axis(xp.positions(x.shape, raw(x)), indices, axis=axis)
    flat = xp.reshape(x, (math.prod(x.shape),))
    return xp.reshape(xp.take(flat, xp.base.reshape(where, (-1,))), where.shape)


@composition
def unstack(xp: Any, x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    return tuple(x[along(axis % x.ndim, i)] for i in range(x.shape[axis]))


@composition
def vecdot(xp: Any, x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    if x1.shape[axis] != x2.shape[axis]:
        raise ShapeError(f"xp.vecdot needs axes of one length, got {x1.shape} and {x2.shape} on axis {axis}.")
    conjugated = xp.conj(x1) if xp.isdtype(x1.dtype, "complex floating") else x1
    return xp.sum(conjugated * x2, axis=axis)
