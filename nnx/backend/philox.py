"""Counter-based random numbers: the stream of ``numpy.random.Philox``, addressed and never advanced.

A :class:`Stream` is four integers (seed, purpose, index, step). The same four give the same random numbers on
every array library and machine, in any order and any number of times. So a checkpoint holds only integers,
and a dropout mask can be drawn again.
Source: J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 3.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np


class Stream(NamedTuple):
    """The address of a sequence of random numbers.

    All four are whole numbers ≥ 0: ``seed`` of the model or layer; ``purpose`` one of WEIGHTS, SHUFFLE,
    DROPOUT, NOISE, DATA, SEEDS, RECURRENT; ``index`` which layer or epoch; ``step`` which training step.
    Source: J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 3.

    >>> stream = nnx.backend.Stream(seed=0, step=3)
    >>> one, again = (nnx.backend.adapter_of(1.0).uniform(stream, (2,), "float64", None) for _ in range(2))
    >>> bool((one == again).all())
    True
    """

    seed: int
    purpose: int = 0  #: one of the constants below
    index: int = 0  # type: ignore[assignment]  #: which layer, which epoch, ...; hides tuple.index
    step: int = 0


WEIGHTS, SHUFFLE, DROPOUT, NOISE, DATA, SEEDS, RECURRENT = range(7)


def generator(stream: Stream) -> np.random.Generator:
    """NumPy's generator at that address, for permutations and draws on the host."""
    return np.random.Generator(_bits(stream))


def uniform(stream: Stream, shape: tuple[int, ...]) -> np.ndarray:
    """Float64 numbers in [0, 1): the top 53 of each 64 bits."""
    raw = _raw(stream, math.prod(shape))
    return ((raw >> np.uint64(11)) * 2.0**-53).reshape(shape)


def normal(stream: Stream, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal float64 numbers: both values of Box and Muller's transform of each pair."""
    n = math.prod(shape)
    pairs = (n + 1) // 2
    u = uniform(stream, (2, pairs))
    radius, angle = np.sqrt(-2.0 * np.log1p(-u[0])), 2.0 * np.pi * u[1]
    both = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
    return both[:n].reshape(shape)


def keep_mask(
    stream: Stream, rate: float, shape: tuple[int, ...], dtype: type, among: np.ndarray | None = None
) -> np.ndarray:
    """0 with probability ``rate`` (to 2⁻¹⁶), else 1/(1 − rate): 16 random bits for each entry.

    Where the bools ``among`` are False it is 0 too.
    """
    n = math.prod(shape)
    bits = _raw(stream, (n + 3) // 4).astype("<u8", copy=False).view("<u2")[:n]
    keep = (bits >= round(rate * 65536)).reshape(shape)
    if among is not None:
        keep &= among
    return np.multiply(keep, dtype(1.0 / (1.0 - rate)), dtype=dtype)


def _raw(stream: Stream, n: int) -> np.ndarray:
    return _bits(stream).random_raw(n)


def counter_and_key(stream: Stream) -> tuple[tuple[int, int, int, int], tuple[int, int]]:
    """The stream's counter and key for Philox: four and two words of 64 bits, the lowest first."""
    mask = 2**64 - 1
    return (0, stream.index & mask, stream.step & mask, 0), (stream.seed & mask, stream.purpose)


def _bits(stream: Stream) -> np.random.Philox:
    counter, key = counter_and_key(stream)
    return np.random.Philox(key=_joined(key), counter=_joined(counter))


def _joined(words: tuple[int, ...]) -> int:
    return sum(word << (64 * i) for i, word in enumerate(words))
