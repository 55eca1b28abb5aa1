"""What the functions of this room do with their arguments before they start."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx.backend import adapter_of, asarray, get_backend, namespace
from nnx.errors import DtypeError, ShapeError

Array = Any


def as_array(x: Any) -> Array:
    """``x`` itself if it is an array, else a NumPy array; masked and sparse arrays raise an error."""
    if not isinstance(x, list | tuple | bool | int | float | complex | np.generic):
        adapter_of(x)
        return asarray(x)
    try:
        return np.asarray(x)
    except ValueError as error:
        raise ShapeError(f"Not an array, its rows have different lengths: {error}.") from error


def float_dtype(x: Array) -> Any:
    """The current backend's floating-point type, in the library of ``x``."""
    return adapter_of(x).dtype(get_backend().dtype)


def as_floating(x: Array) -> Array:
    """``x`` itself if it holds floating-point numbers; whole numbers become floats."""
    need_real(x)
    if adapter_of(x).is_floating(x.dtype):
        return x
    return namespace(x).astype(x, float_dtype(x))


def need_real(x: Array) -> None:
    """Raises :class:`nnx.errors.DtypeError` for an array of anything but real numbers."""
    if not namespace(x).isdtype(x.dtype, ("bool", "integral", "real floating")):
        raise DtypeError(f"Real numbers are needed here, got an array of dtype {x.dtype}.")


def row_count(array: Any) -> int:
    """The length of a list or of an array's first axis."""
    if isinstance(array, list | tuple):
        return len(array)
    shape = as_array(array).shape
    if not shape:
        raise ShapeError("Rows are needed here, got a single number (an array without axes).")
    return int(shape[0])
