"""Rules of SciPy's special functions."""

from __future__ import annotations

from typing import Any

SPECIAL: tuple[Any, ...] = ()
