"""The registry of initializers, and where their random numbers come from.

Declared with each: ``formula``, LaTeX of the distribution, and ``use``, in one line.
"""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

from nnx.backend import Stream, as_seed, make_backend, next_seed
from nnx.backend.philox import WEIGHTS, generator
from nnx.errors import OptionError
from nnx.registry import Registry

registry = Registry("initializer", makers=True)


def source(random: Any, seed: int | None) -> Any:
    """The generator to draw from: that of ``seed`` if there is one, else ``random``, else a new one."""
    if seed is not None:
        return generator(Stream(as_seed("seed of an initializer", seed), WEIGHTS))
    return generator(Stream(next_seed(), WEIGHTS)) if random is None else random


def finite(value: Any, what: str, least: float = -math.inf) -> float:
    """``value`` if it is a finite number ≥ ``least``, else :class:`nnx.errors.OptionError`."""
    number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    if not math.isfinite(number) or number < least:
        bound = "" if least == -math.inf else f" ≥ {least:g}"
        raise OptionError(f"{what} must be a finite number{bound}, got {value!r}.")
    return number


def host() -> Any:
    """The namespace of the host's arrays: what a generator gives belongs to it."""
    return make_backend("numpy").xp
