"""Rules of the linear algebra extension."""

from __future__ import annotations

from typing import Any

LINALG: tuple[Any, ...] = ()
COMPOSITIONS: dict[str, Any] = {}
