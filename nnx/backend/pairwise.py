"""The order in which NumPy adds up the numbers of a contiguous array, so that parts may be summed apart.

NumPy halves the array until at most 128 numbers are left (``pairwise_sum`` of its ``loops_utils.h``): the
first half is the half of n rounded down to a multiple of 8. Sums of the parts that come up on the way, added
in the same order, have the bits of the sum of the whole. The error grows with log n (N. J. Higham, "Accuracy
and Stability of Numerical Algorithms", 2nd ed., SIAM 2002, section 4.2).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

#: up to so many numbers NumPy halves no more
_WHOLE = 128


def parts(n: int, most: int, start: int = 0) -> Iterator[tuple[int, int]]:
    """The ranges (a, b) of up to ``most`` numbers, in order, that NumPy's halving of n numbers comes to.

    >>> from nnx.backend.pairwise import parts
    >>> list(parts(1000, 300))
    [(0, 248), (248, 496), (496, 744), (744, 1000)]
    """
    if n <= max(most, _WHOLE):
        yield start, start + n
        return
    half = _half(n)
    yield from parts(half, most, start)
    yield from parts(n - half, most, start + half)


def total(n: int, most: int, sums: Iterator[Any]) -> Any:
    """The sum of n numbers out of the ``sums`` of their :func:`parts`."""
    if n <= max(most, _WHOLE):
        return next(sums)
    half = _half(n)
    left = total(half, most, sums)
    return left + total(n - half, most, sums)


def _half(n: int) -> int:
    return n // 2 - n // 2 % 8
