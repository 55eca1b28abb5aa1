"""The library-wide seed, from which models and generators without a seed get theirs."""

from __future__ import annotations

import os
import threading

from nnx.backend import philox

_lock = threading.Lock()
_seed: int | None = None
_given = 0


def set_seed(seed: int) -> None:
    """Starts the sequence of :func:`next_seed` anew; the same ``seed`` gives the same sequence.

    ``seed`` is a whole number; its lowest 64 bits count.

    >>> nnx.backend.set_seed(1)
    >>> first = nnx.backend.next_seed()
    >>> nnx.backend.set_seed(1)
    >>> nnx.backend.next_seed() == first
    True
    """
    global _seed, _given
    with _lock:
        _seed, _given = seed, 0


def next_seed() -> int:
    """The next seed (0 ≤ seed < 2⁵³) of the sequence; unpredictable unless :func:`set_seed` was called.

    It has 53 bits, so that every reader of a checkpoint's JSON gets it exactly.

    >>> nnx.backend.set_seed(0)
    >>> nnx.backend.next_seed()
    5292476934797808
    """
    global _seed, _given
    with _lock:
        if _seed is None:
            _seed = int.from_bytes(os.urandom(8), "little")
        stream = philox.Stream(_seed, philox.SEEDS, index=_given)
        _given += 1
    return int(philox.uniform(stream, (1,))[0] * 2**53)
