"""One call that makes a whole script repeatable."""

from __future__ import annotations

import random

import numpy as np

from nnx.backend import set_seed
from nnx.utils.arguments import whole_number


def set_random_seed(seed: int) -> None:
    """Seeds everything random that nnx does, Python's ``random`` and NumPy's global generator.

    Models, splits and generators that are given no seed of their own take it from a sequence that this
    call starts anew, so that a script gives the same numbers each time that it runs, on every backend.
    ``seed`` is a whole number from 0 to 2³² − 1.
    Raises :class:`nnx.errors.OptionError` for anything else.

    >>> nnx.utils.set_random_seed(42)
    """
    number = whole_number("set_random_seed", "the seed", seed, 0, below=2**32)
    set_seed(number)
    random.seed(number)
    np.random.seed(number)
