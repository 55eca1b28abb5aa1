"""NumPy's methods and attributes of arrays, which the standard's lack."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from nnx.autodiff.array import is_traced, raw
from nnx.autodiff.numpy_api.names import ESCAPES, METHODS
from nnx.autodiff.numpy_api.table import FUNCTIONS, flat, refuse
from nnx.errors import DerivativeError


def method(space: Any, x: Any, name: str) -> Any:
    """NumPy's method or attribute ``name`` of a traced array of a library that has them."""
    if space.speaks_numpy:
        if name in METHODS:
            return partial(space.numpy_named(METHODS[name]), x)
        if name in _METHODS:
            return partial(_METHODS[name], space, x)
        if name in _ATTRIBUTES:
            return _ATTRIBUTES[name](space, x)
        if name in ESCAPES:
            return partial(_escape, x, name)
    raise AttributeError(f"Arrays that are being differentiated have no attribute {name!r}.")


def _escape(x: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    if not is_traced(x):
        return getattr(raw(x), name)(*args, **kwargs)
    raise DerivativeError(
        f"x.{name}() of an array that is being differentiated is refused: {ESCAPES[name]}. Compute with the "
        "array itself, or take nnx.stop_gradient(x) if it shall count as a constant."
    )


def _reshape(space: Any, x: Any, *shape: Any, order: str = "C", copy: bool | None = None) -> Any:
    return FUNCTIONS["reshape"](space, x, shape[0] if len(shape) == 1 else shape, order, copy=copy)


def _ravel(space: Any, x: Any, order: str = "C") -> Any:
    return FUNCTIONS["ravel"](space, x, order)


def _flat(space: Any, x: Any) -> Any:
    y = flat(space, x)
    if x.ndim > 1 and y.link is None:  # a copy: what is written into it would be lost
        refuse(
            "ndarray.flat",
            "the array is not contiguous in memory",
            "Use x.ravel() to read it, x[i, j] = v to write.",
        )
    return y


def _flatten(space: Any, x: Any, order: str = "C") -> Any:
    return space.asarray(FUNCTIONS["ravel"](space, x, order), copy=True)


def _transpose(space: Any, x: Any, *axes: Any) -> Any:
    if len(axes) == 1 and (axes[0] is None or type(axes[0]) in (tuple, list)):
        axes = axes[0] or ()
    return FUNCTIONS["transpose"](space, x, axes or None)


def _astype(
    space: Any, x: Any, dtype: Any, order: str = "K", casting: str = "unsafe", subok: bool = True,
    copy: bool = True,
) -> Any:  # fmt: skip
    return FUNCTIONS["astype"](space, x, dtype, copy=copy)


def _sort(space: Any, x: Any, axis: int = -1, **options: Any) -> None:
    x[...] = FUNCTIONS["sort"](space, x, axis)


def _partition(space: Any, x: Any, kth: Any, axis: int = -1, **options: Any) -> None:
    x[...] = FUNCTIONS["partition"](space, x, kth, axis)


def _fill(space: Any, x: Any, value: Any) -> None:
    x[...] = value


def _compress(space: Any, x: Any, condition: Any, axis: int | None = None, out: Any = None) -> Any:
    return FUNCTIONS["compress"](space, condition, x, axis)


def _strides(space: Any, x: Any) -> tuple[int, ...]:
    return raw(x).strides


def _item_size(space: Any, x: Any) -> int:
    return raw(x).itemsize


_METHODS: dict[str, Callable[..., Any]] = {
    "reshape": _reshape, "ravel": _ravel, "flatten": _flatten, "transpose": _transpose, "astype": _astype,
    "sort": _sort, "partition": _partition, "fill": _fill, "compress": _compress,
}  # fmt: skip
_ATTRIBUTES: dict[str, Callable[..., Any]] = {
    "real": lambda space, x: FUNCTIONS["real"](space, x),
    "imag": lambda space, x: FUNCTIONS["imag"](space, x),
    "flat": _flat,
    "strides": _strides,
    "itemsize": _item_size,
    "nbytes": lambda space, x: math.prod(x.shape) * raw(x).itemsize,
}  # fmt: skip
