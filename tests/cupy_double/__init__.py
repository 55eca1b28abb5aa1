"""A double of CuPy, so that what nnx asks of it runs on a machine without a GPU.

It behaves as CuPy 14.2 does where that differs from NumPy and array-api-strict: no implicit conversion to
NumPy; whole numbers as indices wrap around; the main namespace is not the standard's (array-api-compat's real
layer lies over the double); a failed factorization is garbage unless one asks for errors; results are arrays,
never numbers; kernels are C++ texts; an operation takes place on the current device; an error on the device
shows when the host waits. Waits are counted.

It computes with NumPy: what it cannot show is CuPy's own arithmetic, and speed. That it behaves as CuPy is
what ``benchmarks/gpu/contract.py`` says in so many checks, which run on the double in the tests and on CuPy
where there is a GPU.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType

import array_api_compat
import pytest

from cupy_double.device import Machine
from nnx.backend import Backend, arrays, selection
from nnx.backend.reference import Adapter

_ROOTS = (
    "cupy", "cupyx", "array_api_compat.cupy",
    *(f"nnx.backend.cupy_{name}" for name in ("adapter", "graphs", "namespace")),
)  # fmt: skip


def _theirs(name: str) -> bool:
    return any(name == root or name.startswith(f"{root}.") for root in _ROOTS)


@cache
def _loaded() -> tuple[dict[str, ModuleType], Adapter]:
    """The double's modules, with array-api-compat's and nnx's over them, and the adapter: made once."""
    from cupy_double import library

    with pytest.MonkeyPatch.context() as patch:
        _put(patch, library.modules())
        adapter = importlib.import_module("nnx.backend.cupy_adapter").load()
        made = {name: module for name, module in sys.modules.items() if _theirs(name)}
    return made, adapter


def _put(patch: pytest.MonkeyPatch, modules: dict[str, ModuleType]) -> None:
    for name in [name for name in sys.modules if _theirs(name)]:
        patch.delitem(sys.modules, name)
    for name in _ROOTS[2:]:
        parent, _, last = name.rpartition(".")
        package = array_api_compat if parent == "array_api_compat" else sys.modules[parent]
        if name in modules:
            patch.setattr(package, last, modules[name], raising=False)
        else:
            patch.delattr(package, last, raising=False)
    for name, module in modules.items():
        patch.setitem(sys.modules, name, module)


@contextmanager
def in_cupys_place() -> Iterator[Backend]:
    """Makes Python and nnx find the double where they look for CuPy; gives the backend on its device 0."""
    modules, double = _loaded()
    by_name, by_type = selection.adapter, arrays._adapter_of_type

    def of_type(cls: type) -> Adapter | None:
        return double if cls.__module__.split(".")[0] == "cupy" else by_type(cls)

    with pytest.MonkeyPatch.context() as patch:
        _put(patch, modules)
        patch.setattr(selection, "adapter", lambda name: double if name == "cupy" else by_name(name))
        patch.setattr(arrays, "adapter", selection.adapter)
        patch.setattr(arrays, "_adapter_of_type", of_type)
        patch.setattr(Machine, "failed", None)
        patch.setattr(Machine, "current", 0)
        patch.setattr(Machine, "waits", 0)
        yield Backend("cupy", double.device(None))
