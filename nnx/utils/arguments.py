"""What the functions of this room do with their arguments before they start."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from nnx.backend import adapter_of, asarray, get_backend, namespace
from nnx.errors import DtypeError, OptionError, ShapeError

Array = Any


def whole_number(where: str, name: str, value: Any, least: int, below: float = float("inf")) -> int:
    """The option ``name`` as an int with least ≤ value < below; :class:`nnx.errors.OptionError` otherwise."""
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if isinstance(value, bool) or not least <= number < below:
        top = "" if below == float("inf") else f" and less than {below:.0f}"
        raise OptionError(f"{where}: {name} must be a whole number of at least {least}{top}, got {value!r}.")
    return number


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
