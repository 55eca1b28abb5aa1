"""Modules of compiled loops, which are there only where Numba is installed."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

#: entries of what is computed from which on it is repaid to load Numba and to compile (once: kept on disk)
WORTH_COMPILING = 1 << 17


@cache
def compiled(name: str) -> Any:
    """The module ``nnx.backend.compiled_NAME``; None where Numba is missing or does not fit this NumPy."""
    try:
        return import_module(f"nnx.backend.compiled_{name}")
    except ImportError:
        return None
