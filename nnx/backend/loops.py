"""Modules of compiled loops, which are there only where Numba is installed."""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module
from typing import Any

#: entries of what is computed from which on it is repaid to load Numba and to compile (once: kept on disk)
WORTH_COMPILING = 1 << 17


def left_out() -> bool:
    """Whether the environment says ``NNX_NUMBA=0``: then nnx computes without Numba, even if it is there."""
    return os.environ.get("NNX_NUMBA") == "0"


@cache
def compiled(name: str) -> Any:
    """The module ``nnx.backend.compiled_NAME``; None where Numba is left out, missing or unfit for NumPy."""
    if left_out():
        return None
    try:
        return import_module(f"nnx.backend.compiled_{name}")
    except ImportError:
        return None
