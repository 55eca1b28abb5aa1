"""Moving averages, as parts of rules.

They take 1 − β as one scalar: the arithmetic of rules is between arrays, or an array and a scalar, never
between two scalars, which kernels compute in the type of the arrays: in float32 1 − 0.999 is right to four
digits. They work in place on their own results,
so that few temporary arrays are needed.
"""

from __future__ import annotations

from typing import Any

Array = Any


def mean(average: Array, x: Array, gain: float) -> Array:
    """The average a + (1−β)(x − a), that is, βa + (1−β)x; ``gain`` is 1 − β."""
    new = x - average
    new *= gain
    new += average
    return new


def mean_square(average: Array, x: Array, gain: float) -> Array:
    """The average a + (1−β)(x² − a), that is, βa + (1−β)x²; ``gain`` is 1 − β."""
    new = x * x
    new -= average
    new *= gain
    new += average
    return new
