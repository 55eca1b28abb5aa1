"""One call that makes a whole script repeatable."""

from __future__ import annotations

import random

import numpy as np

from nnx.backend import set_seed
from nnx.options import Number


def set_random_seed(seed: int) -> None:
    """Seeds everything random that nnx does, Python's ``random`` and NumPy's global generator.

    Models, splits and generators that are given no seed of their own take it from a sequence that this
    call starts anew, so that a script gives the same numbers each time that it runs, on every backend.
    ``seed`` is a whole number from 0 to 2³² − 1.
    Raises :class:`nnx.errors.OptionError` for anything else.

    Source: Keras' ``utils.set_random_seed``.

    >>> nnx.utils.set_random_seed(42)
    """
    number = Number(least=0, most=2**32 - 1, whole=True)("set_random_seed", "seed", seed)
    set_seed(number)
    random.seed(number)
    np.random.seed(number)
