"""The library-wide seed, from which models and generators without a seed get theirs."""

from __future__ import annotations

import operator
import os
import threading
from typing import Any

from nnx.backend import philox
from nnx.errors import OptionError

_lock = threading.Lock()
_seed: int | None = None
_given = 0


def as_seed(what: str, value: Any) -> int:
    """``value`` as an int with 0 ≤ value < 2⁶⁴, else :class:`nnx.errors.OptionError`.

    The generator's key has 64 bits: a larger seed would give the stream of a smaller one.
    """
    try:
        seed = operator.index(value)
    except TypeError:
        seed = -1
    if isinstance(value, bool) or not 0 <= seed < 2**64:
        raise OptionError(f"{what} must be a whole number from 0 to 2**64 - 1, got {value!r}.")
    return seed


def set_seed(seed: int) -> None:
    """Starts the sequence of :func:`next_seed` anew; the same ``seed`` gives the same sequence."""
    global _seed, _given
    with _lock:
        _seed, _given = seed, 0


def next_seed() -> int:
    """The next seed (0 ≤ seed < 2⁵³) of the sequence; unpredictable unless :func:`set_seed` was called.

    It has 53 bits, so that every reader of a checkpoint's JSON gets it exactly.
    """
    global _seed, _given
    with _lock:
        if _seed is None:
            _seed = int.from_bytes(os.urandom(8), "little")
        stream = philox.Stream(_seed, philox.SEEDS, index=_given)
        _given += 1
    return int(philox.uniform(stream, (1,))[0] * 2**53)
