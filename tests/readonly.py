"""NumPy with read-only results: a write to an array that the code under test was given raises ValueError.

Read-only are the arrays that ``asarray`` takes in, the results of every function of the namespace, and those
of the adapter's own functions. Writable stay the arrays that a caller has just created in order to fill them
(``empty``, ``zeros``, ..., and copies asked for by ``copy=True``): these it owns.
What operators and indexing return (``x + y``, ``x[0]``) does not pass through the namespace; only views of
read-only arrays are read-only there.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from typing import Any

import numpy as np
import pytest

from nnx.backend import Backend, arrays, selection
from nnx.backend.numpy_adapter import NumpyAdapter

_CREATING = {"empty", "empty_like", "full", "full_like", "ones", "ones_like", "zeros", "zeros_like"}
_OF_THE_ADAPTER = ("asarray", "erf", "scatter_add", "uniform", "normal", "keep_mask", "take_rows")


def frozen(result: Any) -> Any:
    """The result with every array in it replaced by a read-only view of it."""
    if isinstance(result, np.ndarray):
        result = result.view()  # so that the buffer's owner, who may have passed it in, can still write
        result.flags.writeable = False
    elif isinstance(result, tuple) and hasattr(result, "_fields"):
        result = type(result)(*map(frozen, result))
    elif isinstance(result, tuple | list):
        result = type(result)(map(frozen, result))
    return result


def freezing(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with :func:`frozen` results, except copies that were asked for."""

    @wraps(function, assigned=("__name__", "__doc__"), updated=())
    def call(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        return result if kwargs.get("copy") else frozen(result)

    return call


class ReadOnlyNamespace(types.ModuleType):
    """An array namespace over NumPy's whose functions return read-only arrays."""

    def __init__(self, base: Any) -> None:
        super().__init__(f"readonly_{base.__name__.rpartition('.')[2]}")
        self.__dict__["_base"] = base

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._base, name)
        if isinstance(value, types.ModuleType):
            value = ReadOnlyNamespace(value)
        elif callable(value) and not isinstance(value, type) and name not in _CREATING:
            value = freezing(value)
        setattr(self, name, value)
        return value

    def __dir__(self) -> list[str]:
        return dir(self._base)


@cache
def _adapter() -> NumpyAdapter:
    adapter = NumpyAdapter(ReadOnlyNamespace(selection.adapter("numpy").xp))
    for name in _OF_THE_ADAPTER:
        setattr(adapter, name, freezing(getattr(adapter, name)))
    return adapter


@contextmanager
def read_only_numpy() -> Iterator[Backend]:
    """Makes nnx find, for every NumPy array, an adapter and a namespace whose results are read-only."""
    read_only = _adapter()
    by_name, by_type = selection.adapter, arrays._adapter_of_type

    def of_type(cls: type) -> Any:
        # not by asking for it: the answer, found while `adapter` is replaced, would be kept for good
        return read_only if cls.__module__.split(".")[0] == "numpy" else by_type(cls)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "adapter", lambda name: read_only if name == "numpy" else by_name(name))
        patch.setattr(arrays, "_adapter_of_type", of_type)
        yield Backend("numpy", "cpu")
