"""Rules of the Fourier transform extension."""

from __future__ import annotations

from typing import Any

FOURIER: tuple[Any, ...] = ()
COMPOSITIONS: dict[str, Any] = {}
