# ruff: noqa: D103 (each is NumPy's function of that name)
"""Functions that create arrays like others, copies and grids."""

from __future__ import annotations

from typing import Any

from nnx.autodiff.array import plain
from nnx.autodiff.numpy_api.shapes import ordered, shape_of
from nnx.autodiff.numpy_api.table import (
    array,
    arrays,
    axis_of,
    cast,
    double,
    dtype_of,
    first_array,
    operands,
    stands_for,
)


def _like(name: str) -> None:
    def like(xp: Any, a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None,
             *, device: Any = None) -> Any:  # fmt: skip
        dtype = a.dtype if dtype is None else dtype_of(xp, dtype)
        size = a.shape if shape is None else shape_of(shape)
        return ordered(xp, getattr(xp, name)(size, dtype=dtype, device=xp.device_of(a)), order, a)

    stands_for(f"{name}_like")(like)


_like("zeros")
_like("ones")
_like("empty")


@stands_for("full_like")
def full_like(
    xp: Any, a: Any, fill_value: Any, dtype: Any = None, order: str = "K", subok: bool = True,
    shape: Any = None, *, device: Any = None,
) -> Any:  # fmt: skip
    dtype = a.dtype if dtype is None else dtype_of(xp, dtype)
    fill_value = array(xp, fill_value, a) if type(fill_value) in (list, tuple) else fill_value
    size = a.shape if shape is None else shape_of(shape)
    if not hasattr(fill_value, "shape"):
        return ordered(xp, xp.full(size, fill_value, dtype=dtype, device=xp.device_of(a)), order, a)
    filled = xp.asarray(xp.broadcast_to(cast(xp, fill_value, dtype), tuple(size)), copy=True)
    return ordered(xp, filled, order, a)


# What follows takes no array of its own: NumPy hands it over for ``like=x`` only.


@stands_for("array")
def array_(
    xp: Any, object: Any, dtype: Any = None, *, copy: bool | None = True, order: str = "K",
    subok: bool = False, ndmin: int = 0,
) -> Any:  # fmt: skip
    y = asarray(xp, object, dtype, order)
    if y is object and copy:
        y = xp.asarray(y, copy=True)
    return xp.reshape(y, (1,) * (ndmin - y.ndim) + y.shape) if y.ndim < ndmin else y


@stands_for("asarray", "asanyarray")
def asarray(xp: Any, a: Any, dtype: Any = None, order: str = "K", *, copy: bool | None = None) -> Any:
    if not hasattr(a, "shape"):
        if copy is False:
            raise ValueError("np.asarray of a list makes an array of its own: copy=False is not possible.")
        if first_array((a,)) is None:  # numbers alone
            return xp.asarray(a, dtype=None if dtype is None else dtype_of(xp, dtype))
        y = cast(xp, array(xp, a), dtype)
    else:
        y = cast(xp, a, dtype)
        y = xp.asarray(y, copy=True) if copy and y is a else y
    return y if order == "K" else ordered(xp, y, order, y)


@stands_for("ascontiguousarray")
def ascontiguousarray(xp: Any, a: Any, dtype: Any = None) -> Any:
    y = asarray(xp, a, dtype, "C")
    return y if y.ndim else xp.reshape(y, (1,))


@stands_for("asfortranarray")
def asfortranarray(xp: Any, a: Any, dtype: Any = None) -> Any:
    return asarray(xp, a, dtype, "F")


@stands_for("full")
def full(
    xp: Any, shape: Any, fill_value: Any, dtype: Any = None, order: str = "C", *, device: Any = None
) -> Any:
    value = asarray(xp, fill_value, dtype)
    return ordered(xp, xp.asarray(xp.broadcast_to(value, shape_of(shape)), copy=True), order, value)


@stands_for("copy")
def copy(xp: Any, a: Any, order: str = "K", subok: bool = False) -> Any:
    return ordered(xp, xp.asarray(a, copy=True), order, a)


@stands_for("astype")
def astype(xp: Any, x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    return xp.astype(x, dtype_of(xp, dtype), copy=copy)


@stands_for("meshgrid")
def meshgrid(
    xp: Any, *xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy"
) -> tuple[Any, ...]:
    parts = [xp.reshape(x, (-1,)) for x in arrays(xp, *xi)]
    n = len(parts)
    order = [1, 0, *range(2, n)] if indexing == "xy" and n > 1 else list(range(n))
    grids = [xp.reshape(x, tuple(-1 if order[k] == i else 1 for k in range(n))) for i, x in enumerate(parts)]
    if not sparse:
        grids = list(xp.broadcast_arrays(*grids))
    return tuple(xp.asarray(x, copy=True) if copy else x for x in grids)


def _moved(name: str, xp: Any, y: Any, axis: Any) -> Any:
    """``y`` with its first axis, which is new, where NumPy's ``axis`` asks for it."""
    axis = axis_of(name, axis, y)
    return xp.moveaxis(y, 0, axis) if axis else y


@stands_for("linspace")
def linspace(
    xp: Any, start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False,
    dtype: Any = None, axis: int = 0, *, device: Any = None,
) -> Any:  # fmt: skip
    start, stop = operands(xp, start, stop)
    parts = max(num - 1 if endpoint else num, 1)
    steps = xp.base.arange(num, dtype=plain(stop - start).real.dtype, device=xp.device_of(start)) / parts
    delta = stop - start
    steps = xp.base.reshape(steps, (num, *(1,) * delta.ndim))
    y = start + steps * delta
    if endpoint and num > 1:  # exactly the end
        y = xp.concat([y[:-1, ...], xp.expand_dims(xp.broadcast_to(stop, delta.shape), axis=0)], axis=0)
    y = cast(xp, _moved("linspace", xp, y, axis), dtype)
    return (y, delta / parts) if retstep else y


@stands_for("logspace")
def logspace(
    xp: Any, start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0,
    dtype: Any = None, axis: int = 0,
) -> Any:  # fmt: skip
    exponents = linspace(xp, start, stop, num, endpoint)
    return cast(xp, _moved("logspace", xp, base**exponents, axis), dtype)


@stands_for("geomspace")
def geomspace(
    xp: Any, start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Any:
    start, stop = (double(xp, x) for x in operands(xp, start, stop))
    shares = linspace(xp, xp.zeros_like(start), xp.ones_like(start), num, endpoint)
    y = start * (stop / start) ** shares
    return cast(xp, _moved("geomspace", xp, y, axis), dtype)
