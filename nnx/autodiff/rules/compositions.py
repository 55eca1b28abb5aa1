# ruff: noqa: D103 (each is the function of the standard with its name)
"""Functions of the standard that are differentiated by being written in others that have rules."""

from __future__ import annotations

import math
from typing import Any

from nnx.autodiff.array import Traced, raw
from nnx.autodiff.families import along
from nnx.autodiff.trace import lifted

COMPOSITIONS: dict[str, Any] = {}


def composition(function: Any) -> Any:
    """Decorator: ``function(xp, ...)`` stands for ``xp.<its name>`` on traced arrays."""
    COMPOSITIONS[function.__name__.rstrip("_")] = function
    return function


@composition
def asarray(xp: Any, x: Any, /, *, dtype: Any = None, device: Any = None, copy: Any = None) -> Any:
    if type(x) in (tuple, list):
        return xp.stack([asarray(xp, part, dtype=dtype) for part in x])
    if type(x) is not Traced:
        return xp.base.asarray(x, dtype=dtype, device=device)
    if dtype is not None and dtype != x.dtype:
        return xp.astype(x, dtype)
    return xp.positive(x) if copy else x


@composition
def astype(xp: Any, x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    floating = ("real floating", "complex floating")
    if not xp.base.isdtype(dtype, floating):
        return xp.base.astype(raw(x), dtype)  # rounding: a constant
    return x if dtype == x.dtype and not copy else xp.converted(x, dtype)


@composition
def broadcast_arrays(xp: Any, *arrays: Any) -> list[Any]:
    shape = xp.base.broadcast_arrays(*[raw(a) for a in arrays])[0].shape
    return [a if a.shape == shape else xp.broadcast_to(a, shape) for a in arrays]


@composition
def clip(xp: Any, x: Any, /, min: Any = None, max: Any = None) -> Any:
    if min is not None:
        x = xp.where(x < min, min, x)
    if max is not None:
        x = xp.where(x > max, max, x)
    return x


@composition
def concat(xp: Any, arrays: Any, /, *, axis: int | None = 0) -> Any:
    return xp.joined_concat(*arrays, axis=axis)


@composition
def cumulative_prod(xp: Any, x: Any, /, *, axis: int | None = None, include_initial: bool = False) -> Any:
    axis = 0 if axis is None else axis % x.ndim
    first = x[along(axis, slice(0, 1))]
    parts = [xp.ones_like(first)] if include_initial else []
    running = None
    for i in range(x.shape[axis]):
        part = x[along(axis, slice(i, i + 1))]
        running = part if running is None else running * part
        parts.append(running)
    return xp.concat(parts, axis=axis)


@composition
def diff(xp: Any, x: Any, /, *, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Any:
    ends = [e for e in (prepend, x, append) if e is not None]
    x = xp.concat(ends, axis=axis) if len(ends) > 1 else x
    axis %= x.ndim
    for _ in range(n):
        x = x[along(axis, slice(1, None))] - x[along(axis, slice(None, -1))]
    return x


@composition
def full_(xp: Any, shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
    filled = xp.broadcast_to(fill_value, (shape,) if isinstance(shape, int) else tuple(shape))
    return xp.positive(filled) if dtype is None else xp.astype(filled, dtype)


@composition
def full_like_(xp: Any, x: Any, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
    if type(fill_value) is not Traced:
        return lifted(xp.base.full_like(raw(x), fill_value, dtype=dtype), xp)
    return full_(xp, x.shape, fill_value, dtype=x.dtype if dtype is None else dtype)


@composition
def linspace(
    xp: Any,
    start: Any,
    stop: Any,
    /,
    num: int,
    *,
    endpoint: bool = True,
    **options: Any,
) -> Any:
    like = raw(start) if type(start) is Traced else raw(stop)
    steps = xp.base.arange(num, dtype=like.dtype, device=xp.device_of(like))
    share = steps / (num - 1 if endpoint and num > 1 else max(num, 1))
    return start + (stop - start) * share


@composition
def meshgrid(xp: Any, *arrays: Any, indexing: str = "xy") -> list[Any]:
    n = len(arrays)
    swap = indexing == "xy" and n > 1
    order = [1, 0, *range(2, n)] if swap else list(range(n))
    shape = tuple(arrays[i].shape[0] for i in order)
    return [
        xp.broadcast_to(xp.reshape(a, tuple(-1 if order[axis] == i else 1 for axis in range(n))), shape)
        for i, a in enumerate(arrays)
    ]


@composition
def sort(xp: Any, x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    order = xp.argsort(x, axis=axis, descending=descending, stable=stable)
    return xp.take_along_axis(x, order, axis=axis)


@composition
def stack(xp: Any, arrays: Any, /, *, axis: int = 0) -> Any:
    return xp.joined_stack(*arrays, axis=axis)


@composition
def take_along_axis(xp: Any, x: Any, indices: Any, /, *, axis: int = -1) -> Any:
    where = xp.base.take_along_axis(xp.positions(x.shape, raw(x)), raw(indices), axis=axis)
    flat = xp.reshape(x, (math.prod(x.shape),))
    return xp.reshape(xp.take(flat, xp.base.reshape(where, (-1,))), where.shape)


@composition
def unstack(xp: Any, x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    return tuple(x[along(axis % x.ndim, i)] for i in range(x.shape[axis]))


@composition
def vecdot(xp: Any, x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    return xp.sum(x1 * x2, axis=axis)


@composition
def to_device(xp: Any, x: Any, device: Any) -> Any:
    if device != xp.device_of(x):
        raise ValueError(f"A traced array stays on its device ({xp.device_of(x)}); asked for {device}.")
    return x
