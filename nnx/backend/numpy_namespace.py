"""The standard's namespace over NumPy: array-api-compat's, with faster versions of what networks call most.

NumPy and array-api-compat inspect their arguments in every call: ``np.sum`` of a few entries takes 2 µs, its
ufunc half of that. The functions here do the same for arrays with the standard's arguments; other calls go
to array-api-compat.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from types import ModuleType
from typing import Any

import array_api_compat.numpy as compat
import numpy as np

Array = Any


def _sums(ufunc: np.ufunc, name: str) -> Callable[..., Array]:
    reduce, general = ufunc.reduce, getattr(compat, name)

    def total(
        x: Array, /, axis: Any = None, dtype: Any = None, *, keepdims: bool = False, **others: Any
    ) -> Array:
        if type(x) is np.ndarray and not others:  # a subclass (masked arrays) has its own sum
            return reduce(x, axis, dtype=dtype, keepdims=keepdims)
        return general(x, axis=axis, dtype=dtype, keepdims=keepdims, **others)

    return update_wrapper(total, general)


def _extrema(ufunc: np.ufunc, name: str) -> Callable[..., Array]:
    reduce, general = ufunc.reduce, getattr(compat, name)

    def extreme(x: Array, /, axis: Any = None, *, keepdims: bool = False, **others: Any) -> Array:
        if type(x) is np.ndarray and not others:
            return reduce(x, axis, keepdims=keepdims)
        return general(x, axis=axis, keepdims=keepdims, **others)

    return update_wrapper(extreme, general)


def _argmax(x: Array, /, axis: int | None = None, *, keepdims: bool = False) -> Array:
    return x.argmax(axis, keepdims=keepdims)


def _reshape(x: Array, /, shape: tuple[int, ...], *, copy: bool | None = None) -> Array:
    return x.reshape(shape) if copy is None else compat.reshape(x, shape, copy=copy)


def _expand_dims(x: Array, /, axis: Any = 0) -> Array:
    if type(x) is np.ndarray and type(axis) is int and -x.ndim - 1 <= axis <= x.ndim:
        axis %= x.ndim + 1
        return x.reshape(*x.shape[:axis], 1, *x.shape[axis:])  # a sixth of the time of NumPy's function
    return compat.expand_dims(x, axis=axis)


def _zeros_like(x: Array, /, *, dtype: Any = None, device: Any = None) -> Array:
    if device is None and type(x) is np.ndarray and x.flags.c_contiguous:
        return np.zeros(x.shape, x.dtype if dtype is None else dtype)
    return compat.zeros_like(x, dtype=dtype, device=device)


def _created(name: str) -> Callable[..., Array]:
    """NumPy's function without array-api-compat's check of the only device."""
    function, checked = getattr(np, name), getattr(compat, name)

    def create(*args: Any, dtype: Any = None, device: Any = None, **others: Any) -> Array:
        if device is None or device == "cpu":
            return function(*args, dtype=dtype, **others)
        return checked(*args, dtype=dtype, device=device, **others)

    return update_wrapper(create, checked)


#: array-api-compat's names, some of them replaced.
namespace: Any = ModuleType("nnx.backend.numpy_namespace.namespace", compat.__doc__)
namespace.__dict__.update(
    {name: value for name, value in vars(compat).items() if not name.startswith("_")},
    __array_api_version__=compat.__array_api_version__,
    __array_namespace_info__=compat.__array_namespace_info__,
    sum=_sums(np.add, "sum"),
    prod=_sums(np.multiply, "prod"),
    max=_extrema(np.maximum, "max"),
    min=_extrema(np.minimum, "min"),
    argmax=_argmax,
    reshape=_reshape,
    expand_dims=_expand_dims,
    zeros_like=_zeros_like,
    **{name: _created(name) for name in ("zeros", "ones", "full", "empty")},
)
