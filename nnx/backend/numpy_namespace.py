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
    reduce: Any = ufunc.reduce
    general = getattr(compat, name)

    def total(
        x: Array, /, axis: Any = None, dtype: Any = None, *, keepdims: bool = False, **others: Any
    ) -> Array:
        if type(x) is np.ndarray and not others:  # a subclass (masked arrays) has its own sum
            return reduce(x, axis, dtype, None, keepdims)  # by place: quicker than by name
        return general(x, axis=axis, dtype=dtype, keepdims=keepdims, **others)

    return update_wrapper(total, general)


def _extrema(ufunc: np.ufunc, name: str) -> Callable[..., Array]:
    reduce: Any = ufunc.reduce
    general = getattr(compat, name)

    def extreme(x: Array, /, axis: Any = None, *, keepdims: bool = False, **others: Any) -> Array:
        if type(x) is np.ndarray and not others:
            return reduce(x, axis, None, None, keepdims)
        return general(x, axis=axis, keepdims=keepdims, **others)

    return update_wrapper(extreme, general)


_sum: Any = np.add.reduce


def _mean(x: Array, /, *, axis: Any = None, keepdims: bool = False) -> Array:
    n = 0
    if type(x) is np.ndarray and x.dtype.char in "fd":
        n = x.size if axis is None else x.shape[axis] if type(axis) is int and x.ndim else 0
    if not n:  # NumPy warns of an empty one, and adds up short types in longer ones
        return compat.mean(x, axis=axis, keepdims=keepdims)
    total = _sum(x, axis, None, None, keepdims)
    total /= n  # in place, as NumPy does; of a number it makes another
    return total


def _matrix_transpose(x: Array, /) -> Array:
    return x.mT if type(x) is np.ndarray and x.ndim > 1 else compat.matrix_transpose(x)


def _argmax(x: Array, /, axis: int | None = None, *, keepdims: bool = False) -> Array:
    return x.argmax(axis, keepdims=keepdims)


#: From this many numbers along an axis on, the quicker sort repays the look at its answer.
_MANY = 1 << 13


def _argsort(x: Array, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Array:
    if not stable or type(x) is not np.ndarray or x.dtype.kind != "f" or not x.ndim or x.shape[axis] < _MANY:
        return compat.argsort(x, axis=axis, descending=descending, stable=stable)
    if descending:  # of equal numbers the first comes first here, too
        return x.shape[axis] - 1 - np.flip(_argsort(np.flip(x, axis), axis=axis), axis)
    # NumPy's sort by vector instructions takes a third of the time of the stable one. It finds the same order
    # but for equal numbers and for NaNs, which are put into the order in which they stand.
    keys = np.moveaxis(x, axis, -1)
    order = np.argsort(keys)
    y = np.take_along_axis(keys, order, -1)
    differs = y[..., 1:] > y[..., :-1]
    if not differs.all():
        missing = np.isnan(y)
        differs |= missing[..., 1:] > missing[..., :-1]
        group = np.zeros_like(order)
        np.cumsum(differs, axis=-1, out=group[..., 1:])
        group *= y.shape[-1]
        order = np.sort(group + order) - group
    return np.moveaxis(order, -1, axis)


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
    mean=update_wrapper(_mean, compat.mean),
    matrix_transpose=update_wrapper(_matrix_transpose, compat.matrix_transpose),
    argmax=_argmax,
    argsort=update_wrapper(_argsort, compat.argsort),
    reshape=_reshape,
    expand_dims=_expand_dims,
    zeros_like=_zeros_like,
    **{name: _created(name) for name in ("zeros", "ones", "full", "empty")},
)
