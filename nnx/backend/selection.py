"""The backend: which library, which device, which data type for what is created."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from nnx.backend.reference import Adapter
from nnx.errors import (
    BackendNotInstalled,
    BackendUnavailable,
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
    """An array library on a device, with the data type of new weights.

    ``name`` is the library's, ``device`` its device object, ``dtype`` ``"float32"`` or ``"float64"``.

    >>> backend = nnx.backend.make_backend("numpy", dtype="float64")
    >>> backend.asarray([1, 2], dtype="float32")
    array([1., 2.], dtype=float32)
    >>> backend.xp.sin(0.0), backend.adapter.name, backend.device
    (np.float64(0.0), 'numpy', 'cpu')
    """

    name: str
    device: Any
    dtype: str = "float32"

    @property
    def adapter(self) -> Adapter:
        """What nnx needs of the library beyond the standard.

        Raises :class:`nnx.errors.BackendUnavailable` where it cannot be used.
        """
        return adapter(self.name)

    @property
    def xp(self) -> Any:
        """The library's array API namespace."""
        return self.adapter.xp

    def asarray(self, x: Any, dtype: Any = None) -> Array:
        """``x`` as an array of this backend on its device; ``dtype`` may be a name. Its shape is kept."""
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
    """A :class:`Backend` from a name (``"cupy"``, ``"cupy:1"``) or a Backend, with other options.

    Raises :class:`nnx.errors.UnknownName` for a library that nnx does not know,
    :class:`nnx.errors.BackendUnavailable` where it or its device cannot be used,
    :class:`nnx.errors.OptionError` for another ``dtype`` than ``"float32"`` and ``"float64"``.

    >>> nnx.backend.make_backend("numpy", dtype="float64")
    Backend(name='numpy', device='cpu', dtype='float64')
    """
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
    """The backend in use: of ``use_backend``, else of ``set_backend``, else ``NNX_BACKEND``, else NumPy.

    Raises as :func:`set_backend` does for what ``NNX_BACKEND`` says.

    >>> nnx.get_backend().name
    'numpy'
    """
    global _global
    if (local := _local.get()) is not None:
        return local
    if _global is None:
        _global = make_backend(os.environ.get("NNX_BACKEND") or "numpy")
    return _global


def set_backend(name: str, device: Any = None, dtype: str | None = None) -> None:
    """Chooses the library in which new models and arrays are created.

    ``name`` is ``"numpy"``, ``"cupy"``, ``"torch"`` or ``"array_api_strict"``, ``device`` an index or the
    library's name of a device, ``dtype`` ``"float32"`` (default) or ``"float64"``. Raises
    :class:`nnx.errors.BackendUnavailable` where the library, a GPU or a CUDA library is missing,
    :class:`nnx.errors.UnknownName` for another library, :class:`nnx.errors.OptionError` for another
    ``dtype``.

    >>> nnx.set_backend("numpy")
    """
    global _global
    _global = make_backend(name, device, dtype)


@contextmanager
def use_backend(name: str, device: Any = None, dtype: str | None = None) -> Iterator[Backend]:
    """Like :func:`set_backend` for the length of a ``with`` block (and of the current thread or task).

    Raises as :func:`set_backend` does.

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

    Raises nothing: the text is what asking for the backend would raise.

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


def synchronize(backend: Backend | None = None) -> None:
    """Waits until the device has finished all of its work (for timing).

    >>> nnx.backend.synchronize()
    """
    backend = backend or get_backend()
    backend.adapter.synchronize(backend.device)


def default_dtype() -> Any:
    """The current backend's floating-point type, as the library's dtype object.

    >>> nnx.backend.default_dtype()
    <class 'numpy.float32'>
    """
    backend = get_backend()
    return backend.adapter.dtype(backend.dtype)
