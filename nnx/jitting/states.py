"""Objects as they are at one time: what of them can be compared with what it was."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

#: types of objects that nobody can change
FIXED = frozenset((bool, int, float, complex, str, bytes, type(None), type(...), range))


def is_array(x: Any) -> bool:
    """Whether it is an array of any library."""
    return not isinstance(x, type) and hasattr(x, "dtype") and hasattr(x, "tobytes")


def bits_of(x: Any) -> Callable[[], Any] | None:
    """A function that gives the bits of an array or of bytes that can be written into; None for others."""
    if is_array(x):
        return None if getattr(x.dtype, "hasobject", False) else lambda: (x.shape, x.dtype, x.tobytes())
    return partial(bytes, x) if isinstance(x, memoryview | bytearray) else None


def equal(x: Any, y: Any) -> bool:
    """Whether two objects that Python makes anew are the same number or text."""
    return type(x) is type(y) and type(x) in FIXED and (x == y or (x != x and y != y)) and repr(x) == repr(y)


def states(things: Any) -> dict[str, Any]:
    """The states of the generators of random numbers that are known."""
    found: dict[str, Any] = {"Python's random": random.getstate()}
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        kind, key, *rest = numpy.random.get_state()
        found["np.random"] = kind, key.tobytes(), *rest
    for x in things:
        bits = getattr(x, "bit_generator", None) or getattr(x, "_bit_generator", None)
        if bits is not None and hasattr(bits, "state"):
            found[f"a {type(x).__name__} of NumPy's"] = repr(bits.state)
        elif isinstance(x, random.Random):
            found[f"a {type(x).__name__} of Python's"] = x.getstate()
    return found
