"""What the functions of this room do with their arguments before they start."""

from __future__ import annotations

from typing import Any

from nnx.backend import adapter_of, get_backend, given, namespace
from nnx.errors import ShapeError

Array = Any


def float_dtype(x: Array) -> Any:
    """The current backend's floating-point type, in the library of ``x``."""
    return adapter_of(x).dtype(get_backend().dtype)


def as_floating(x: Array) -> Array:
    """``x`` itself if it holds floating-point numbers; whole numbers become floats."""
    return x if adapter_of(x).is_floating(x.dtype) else namespace(x).astype(x, float_dtype(x))


def row_count(array: Any) -> int:
    """The length of a list or of an array's first axis."""
    if isinstance(array, list | tuple):
        return len(array)
    shape = given(array, "the array", real=False, on_host=True).shape
    if not shape:
        raise ShapeError("Rows are needed here, got a single number (an array without axes).")
    return int(shape[0])
