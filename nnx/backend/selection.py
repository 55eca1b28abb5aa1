"""Which arrays: the current backend, the namespace of given arrays, moving between libraries."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from nnx.backend.reference import Adapter
from nnx.errors import (
    BackendNotInstalled,
    BackendUnavailable,
    DerivativeError,
    DtypeError,
    IncompleteLibraries,
    OptionError,
    UnknownName,
)

Array = Any

#: name → (module with the adapter, what to install)
LIBRARIES = {
    "numpy": ("nnx.backend.numpy_adapter", "numpy"),
    "cupy": ("nnx.backend.cupy_adapter", "'cupy-cuda13x[ctk]' (CUDA 13) or 'cupy-cuda12x[ctk]' (CUDA 12)"),
    "torch": ("nnx.backend.torch_adapter", "torch"),
    "array_api_strict": ("nnx.backend.strict_adapter", "array-api-strict"),
}
_FLOATS = ("float32", "float64")


@dataclass(frozen=True)
class Backend:
    """An array library on a device, with the data type of new weights."""

    name: str
    device: Any
    dtype: str = "float32"

    @property
    def adapter(self) -> Adapter:
        return adapter(self.name)

    @property
    def xp(self) -> Any:
        """The library's array API namespace."""
        return self.adapter.xp

    def asarray(self, x: Any, dtype: Any = None) -> Array:
        """``x`` as an array of this backend on its device; ``dtype`` may be a name."""
        return self.adapter.asarray(x, dtype=self.adapter.dtype(dtype), device=self.device)


@cache
def adapter(name: str) -> Adapter:
    """The adapter of a library, loaded on first use."""
    if name not in LIBRARIES:
        raise UnknownName(f"Unknown backend '{name}'. Known: {', '.join(LIBRARIES)}.")
    module, wheel = LIBRARIES[name]
    try:
        return importlib.import_module(module).load()
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] == name:
            raise BackendNotInstalled(
                f"Backend '{name}' was asked for, but it is not installed. Install it: pip install {wheel}."
            ) from error
        raise IncompleteLibraries(
            f"Backend '{name}' is installed, but importing it failed: {error}. "
            f"Reinstall it: pip install {wheel}."
        ) from error


def make_backend(name: Any = None, device: Any = None, dtype: str | None = None) -> Backend:
    """A :class:`Backend` from a name (``"cupy"``, ``"cupy:1"``) or a Backend, and what is to differ."""
    if name is None or isinstance(name, Backend):
        base = name or get_backend()
        if device is not None:
            base = replace(base, device=base.adapter.device(device))
    else:
        library, _, place = str(name).partition(":")
        given = device if device is not None else (int(place) if place.isdigit() else place or None)
        current = _local.get() or _global
        base = Backend(library, adapter(library).device(given), current.dtype if current else "float32")
    if dtype is not None:
        if dtype not in _FLOATS:
            raise OptionError(f"dtype must be one of {_FLOATS}, got {dtype!r}.")
        base = replace(base, dtype=dtype)
    return base


_global: Backend | None = None
_local: ContextVar[Backend | None] = ContextVar("nnx_backend", default=None)


def get_backend() -> Backend:
    """The backend in use: of ``use_backend``, else of ``set_backend``, else ``NNX_BACKEND``, else NumPy."""
    global _global
    if (local := _local.get()) is not None:
        return local
    if _global is None:
        _global = make_backend(os.environ.get("NNX_BACKEND") or "numpy")
    return _global


def set_backend(name: str, device: Any = None, dtype: str | None = None) -> None:
    """Makes a library the one in which new models and arrays are created.

    ``name`` is ``"numpy"``, ``"cupy"``, ``"torch"`` or ``"array_api_strict"``, ``device`` a number or the
    library's name of a device, ``dtype`` ``"float32"`` (default) or ``"float64"``.
    Raises :class:`nnx.errors.BackendUnavailable` where the library, a GPU or a CUDA library is missing.

    >>> nnx.set_backend("numpy")
    """
    global _global
    _global = make_backend(name, device, dtype)


@contextmanager
def use_backend(name: str, device: Any = None, dtype: str | None = None) -> Iterator[Backend]:
    """Like :func:`set_backend` for the length of a ``with`` block (and of the current thread or task).

    >>> with nnx.use_backend("numpy", dtype="float64") as backend:
    ...     backend.dtype
    'float64'
    """
    token = _local.set(make_backend(name, device, dtype))
    try:
        yield get_backend()
    finally:
        _local.reset(token)


def available_backends() -> dict[str, str]:
    """Every backend that nnx knows: ``"ok"``, or why it cannot be used here.

    >>> nnx.available_backends()["numpy"]
    'ok'
    """

    def state(name: str) -> str:
        try:
            adapter(name)
        except BackendUnavailable as error:
            return f"{type(error).__name__}: {error}"
        return "ok"

    return {name: state(name) for name in LIBRARIES}


# -- of given arrays ---------------------------------------------------------------------------------

#: Array types that answer for themselves and win over raw arrays (autodiff's traced array).
_TRACED: set[type] = set()


def register_traced(cls: type) -> None:
    """Says that arrays of ``cls`` carry their namespace as ``x.space`` and win over raw arrays."""
    _TRACED.add(cls)


_NUMBERS = (bool, int, float, complex)


def _library_of(cls: type) -> str | None:
    names = (base.__module__.split(".")[0] for base in cls.__mro__)
    return next((name for name in names if name in LIBRARIES), None)


@cache
def _adapter_of_type(cls: type) -> Adapter | None:
    if cls in _NUMBERS or cls is type(None):
        return None
    if (library := _library_of(cls)) is not None:
        return adapter(library)
    raise DtypeError(
        f"{cls.__module__}.{cls.__qualname__} is not an array that nnx knows ({', '.join(LIBRARIES)}). "
        "Convert it first, for example with nnx.asarray."
    )


def adapter_of(*arrays: Any) -> Adapter:
    """The adapter of the library that the arrays belong to; Python numbers and None do not count."""
    found: Adapter | None = None
    for x in arrays:
        while type(x) in _TRACED:
            x = x.value
        one = _adapter_of_type(type(x))  # type: ignore[arg-type]  # a class is hashable; mypy forgets it for Any
        if one is not None and found is not None and one is not found:
            raise DtypeError(f"Arrays of two libraries were mixed: {found.name} and {one.name}.")
        found = found or one
    return found or get_backend().adapter


def namespace(*arrays: Any) -> Any:
    """The array API namespace of the arrays; a traced array wins over raw ones.

    Cheap, but meant to be asked once per public entry point, not once per operation.
    """
    for x in arrays:
        if type(x) in _TRACED:
            return x.space
    return adapter_of(*arrays).xp


def asarray(x: Any, dtype: Any = None) -> Array:
    """``x`` as an array: an array stays in its library, anything else goes to the current backend.

    Anything else is a number, a (nested) list, or what NumPy can make an array of numbers of (a data
    frame, a range, ...). Raises :class:`nnx.errors.DtypeError` where that is not possible or an array is
    sparse, and :class:`nnx.errors.DataError` where entries are masked.

    >>> nnx.asarray([1.0, 2.0]).shape
    (2,)
    """
    if type(x) in _TRACED:
        return x if dtype is None else x.space.astype(x, adapter_of(x).dtype(dtype), copy=False)
    if type(x) in _NUMBERS or isinstance(x, list | tuple):
        return get_backend().asarray(x, dtype=dtype)
    if _library_of(type(x)) is None:
        converted = np.asarray(x)
        if converted.dtype.kind not in "biufc":
            raise DtypeError(f"Cannot make an array of numbers of {x!r}, a {type(x).__name__}.")
        return get_backend().asarray(converted, dtype=dtype)
    own = adapter_of(x)
    own.need_entries(x, "the array")
    return own.asarray(x, dtype=own.dtype(dtype), device=None if own.name == "numpy" else device_of(x))


def need_entries(x: Any, what: str) -> None:
    """Raises where ``x``, called ``what``, is an array without all numbers: masked, sparse, no memory."""
    if _library_of(type(x)) is not None:
        adapter_of(x).need_entries(x, what)


def to_numpy(x: Any) -> Any:
    """``x`` as a NumPy array, whatever its library and device (waits for the device).

    Raises :class:`nnx.errors.DerivativeError` inside a derivative: the gradient would be lost.
    """
    if type(x) in _TRACED:
        raise DerivativeError(
            "to_numpy(x) of an array that is being differentiated: its value would leave the trace, and its "
            "derivative would be lost. Read it outside, or use nnx.stop_gradient(x) for a constant."
        )
    if type(x) in _NUMBERS or isinstance(x, list | tuple):
        return np.asarray(x)
    return adapter_of(x).to_numpy(x)


def device_of(x: Array) -> Any:
    """The device that holds ``x``."""
    while type(x) in _TRACED:
        x = x.value
    return getattr(x, "device", "cpu")


def synchronize(backend: Backend | None = None) -> None:
    """Waits until the device has done everything that was asked of it (for timing)."""
    backend = backend or get_backend()
    backend.adapter.synchronize(backend.device)


def default_dtype() -> Any:
    """The current backend's floating-point type, as the library's dtype object."""
    backend = get_backend()
    return backend.adapter.dtype(backend.dtype)
