"""Given arrays: their library, namespace and device, checks of a user's input, moving to the host."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from nnx.backend.reference import Adapter
from nnx.backend.selection import LIBRARIES, adapter, get_backend
from nnx.errors import DtypeError, ShapeError

Array = Any

_SCALARS = (bool, int, float, complex)
_REAL = ("bool", "integral", "real floating")
#: Array types with a namespace of their own that takes precedence (autodiff's traced array).
_TRACED: set[type] = set()
#: Array types that carry an adapter of their own (autodiff's batched array).
_CARRIERS: set[type] = set()


_CARRIED = Adapter(None)  # stands for "look at the array"


def register_traced(cls: type) -> None:
    """Registers arrays whose own namespace takes precedence over raw arrays'; ``x.space`` is one, too.

    >>> class Marked:
    ...     def __init__(self, value, space):
    ...         self.value, self.space = value, space
    ...     def __array_namespace__(self):
    ...         return self.space
    >>> nnx.backend.register_traced(Marked)
    >>> nnx.backend.namespace(Marked(np.ones(2), "a namespace"))
    'a namespace'
    """
    _TRACED.add(cls)


def register_carrier(cls: type) -> None:
    """Registers arrays that carry their adapter as ``x.adapter``, which lies over that of a library.

    Returns nothing. Among the library's own arrays their adapter is the one of all; ``adapter.below`` is the
    library's.

    >>> class Wrapped:
    ...     def __init__(self, value):
    ...         self.value, self.adapter = value, nnx.backend.adapter_of(value)
    >>> nnx.backend.register_carrier(Wrapped)
    >>> nnx.backend.adapter_of(Wrapped(np.ones(2))).name
    'numpy'
    """
    _CARRIERS.add(cls)


def _library_of(cls: type) -> str | None:
    names = (base.__module__.split(".")[0] for base in cls.__mro__)
    return next((name for name in names if name in LIBRARIES), None)


@cache
def _adapter_of_type(cls: type) -> Adapter | None:
    if cls in _SCALARS or cls is type(None):
        return None
    if cls in _CARRIERS:
        return _CARRIED
    if (library := _library_of(cls)) is not None:
        return adapter(library)
    raise DtypeError(
        f"{cls.__module__}.{cls.__qualname__} is not an array that nnx knows ({', '.join(LIBRARIES)}). "
        "Convert it first, for example with nnx.asarray."
    )


def adapter_of(*arrays: Any) -> Adapter:
    """The adapter of the library that the arrays belong to; Python numbers and None do not count.

    Without an array it is that of the current backend. Raises :class:`nnx.errors.DtypeError` for what is no
    array that nnx knows and where arrays of two libraries are mixed, :class:`nnx.errors.BackendUnavailable`
    where the library cannot be used.

    >>> nnx.backend.adapter_of(np.ones(2), 1.0, None).name
    'numpy'
    """
    found: Adapter | None = None
    for x in arrays:
        while type(x) in _TRACED:
            x = x.value
        one = _adapter_of_type(type(x))  # type: ignore[arg-type]  # a class is hashable; mypy forgets it for Any
        if one is _CARRIED:
            one = x.adapter
        if one is not None and found is not None and one is not found:
            one = _over(found, one)
        found = one or found
    return found or get_backend().adapter


def _over(one: Adapter, other: Adapter) -> Adapter:
    """The one of two adapters that lies over the other; an error if neither does."""
    for upper, lower in ((one, other), (other, one)):
        if upper.below is lower:
            return upper
    raise DtypeError(f"Arrays of two libraries were mixed: {one.name} and {other.name}.")


def namespace(*arrays: Any) -> Any:
    """The array API namespace of the arrays; the one of a traced array takes precedence.

    Cheap, but meant to be called once per public function, not once per operation.

    Raises as :func:`adapter_of` does. Source: the array API standard, ``__array_namespace__``.

    >>> xp = nnx.backend.namespace(np.ones(2))
    >>> xp.sum(np.ones(2))
    np.float64(2.0)
    """
    for x in arrays:
        if type(x) in _TRACED:
            return x.__array_namespace__()
    return adapter_of(*arrays).xp


def summed(x: Array, axis: int | None = None, keepdims: bool = False) -> Array:
    """The sum of all numbers, or along ``axis``, by the quickest way; a reduction may differ in the last bit.

    Source: the array API standard, ``sum``.

    >>> nnx.backend.summed(np.ones((2, 3)), axis=-1, keepdims=True)
    array([[3.],
           [3.]])
    """
    own = x.space if type(x) in _TRACED else adapter_of(x)
    return own.summed(x, axis, keepdims)


def asarray(x: Any, dtype: Any = None) -> Array:
    """``x`` as an array: an array stays in its library, anything else goes to the current backend.

    Anything else is a number, a (nested) list, or an object that NumPy makes an array of numbers of (a data
    frame, a range, ...). Raises :class:`nnx.errors.DtypeError` where that is not possible or an array is
    sparse, and :class:`nnx.errors.DataError` where entries are masked.

    >>> nnx.asarray([1.0, 2.0]).shape
    (2,)
    """
    if type(x) in _TRACED:
        return x if dtype is None else x.space.astype(x, adapter_of(x).dtype(dtype), copy=False)
    if type(x) in _SCALARS or isinstance(x, list | tuple):
        _need_entries(x, "the array")
        return get_backend().asarray(x, dtype=dtype)
    if _library_of(type(x)) is not None:
        return _from_library(x, "the array", dtype)
    converted = np.asarray(x)
    if converted.dtype.kind not in "biufc":
        raise DtypeError(f"Cannot make an array of numbers of {x!r}, a {type(x).__name__}.")
    return get_backend().asarray(converted, dtype=dtype)


def _from_library(x: Array, what: str, dtype: Any = None) -> Array:
    own = adapter_of(x)
    own.need_entries(x, what)
    return own.asarray(x, dtype=own.dtype(dtype), device=None if own.name == "numpy" else device_of(x))


def _need_entries(x: Any, what: str) -> None:
    """Raises :class:`nnx.errors.DataError` for masked entries of arrays in (nested) lists."""
    if not isinstance(x, list | tuple):
        return
    kinds = set(map(type, x))  # a list of numbers is long, but of one kind
    if any(issubclass(kind, np.ma.MaskedArray) for kind in kinds):
        for part in x:
            adapter("numpy").need_entries(part, what)
    if any(issubclass(kind, list | tuple) for kind in kinds):
        for part in x:
            _need_entries(part, what)


def given(x: Any, what: str, *, real: bool = True, on_host: bool = False) -> Array:
    """``x``, which a user gave and errors call ``what``, as an array of real numbers (if ``real``).

    An array stays in its library, a traced one stays traced. Anything else that NumPy can make an array of
    (a number, a list, a data frame) goes to the current backend; with ``on_host`` it becomes NumPy's.

    Raises :class:`nnx.errors.DtypeError` for what is sparse, a mapping, complex or not numbers,
    :class:`nnx.errors.DataError` for masked entries, and :class:`nnx.errors.ShapeError` for rows of unequal
    length.

    >>> nnx.backend.given([[1, 2], [3, 4]], "x").shape
    (2, 2)
    >>> nnx.backend.given([1j], "x")
    Traceback (most recent call last):
        ...
    nnx.errors.DtypeError: x holds complex numbers (complex128). Give real and imaginary part one by one.
    """
    if hasattr(x, "toarray"):
        name = what.rpartition(" ")[2]
        raise DtypeError(
            f"{what} is sparse ({type(x).__name__}); nnx takes dense arrays: use {name}.toarray()."
        )
    if isinstance(x, Mapping):
        raise DtypeError(f"{what} is a {type(x).__name__}, not an array.")
    if _library_of(type(x)) is not None:
        x = _from_library(x, what)
    elif type(x) not in _TRACED:
        _need_entries(x, what)
        try:
            host = np.asarray(x)
        except ValueError as error:
            raise ShapeError(
                f"{what} is not a regular array: {error}. Are its rows of equal length?"
            ) from error
        if host.dtype.kind == "O" and not host.ndim:
            raise DtypeError(f"{what} cannot be made an array of: it is {x!r}, a {type(x).__name__}.")
        x = host if on_host or host.dtype.kind not in "biufc" else asarray(x)
    if real:
        need_real(x, what)
    return x


def need_real(x: Array, what: str) -> None:
    """Raises :class:`nnx.errors.DtypeError` where the array ``x`` does not hold real numbers.

    ``x`` may have any shape; ``what`` is its name in the message.

    >>> nnx.backend.need_real(np.asarray([1j]), "x")
    Traceback (most recent call last):
        ...
    nnx.errors.DtypeError: x holds complex numbers (complex128). Give real and imaginary part one by one.
    """
    isdtype = namespace(x).isdtype
    if isdtype(x.dtype, _REAL):
        return
    if isdtype(x.dtype, "complex floating"):
        raise DtypeError(
            f"{what} holds complex numbers ({x.dtype}). Give real and imaginary part one by one."
        )
    raise DtypeError(
        f"{what} holds {x.dtype}, not numbers. Convert it first, for example with x.astype('float32')."
    )


def to_numpy(x: Any) -> Any:
    """``x`` as a NumPy array, whatever its library and device (waits for the device).

    Raises :class:`nnx.errors.DerivativeError` for an array that is being differentiated: the gradient would
    be lost.
    Its shape and data type are kept; lists and numbers become arrays as well.

    >>> nnx.to_numpy(nnx.asarray([1.0, 2.0], dtype="float64"))
    array([1., 2.])
    """
    if type(x) in _TRACED:
        return to_numpy(x.as_constant("to_numpy(x)"))
    if type(x) in _SCALARS or isinstance(x, list | tuple):
        return np.asarray(x)
    return adapter_of(x).to_numpy(x)


def device_of(x: Array) -> Any:
    """The device that holds ``x``.

    ``x`` may have any shape.

    >>> nnx.backend.device_of(np.ones(2))
    'cpu'
    """
    while type(x) in _TRACED:
        x = x.value
    return getattr(x, "device", "cpu")
