"""Values of a program, of any library: what kind each is, its bits, and copies of it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from nnx.backend import namespace, to_numpy

Array = Any


class Kind(NamedTuple):
    """What a value is, without its numbers; in text, such as ``float64[3, 4]``."""

    type: type
    dtype: Any = None
    shape: tuple[int, ...] | None = None
    strides: tuple[int, ...] | None = None
    nbytes: int = 0
    #: whether nothing else has this memory, and it may be written into
    owner: bool = False

    def __str__(self) -> str:
        if self.shape is None:
            return self.type.__name__
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"

    @property
    def size(self) -> int:
        """The number of entries."""
        return math.prod(self.shape or ())

    @property
    def in_order(self) -> bool:
        """Whether the entries lie one after the other, the last axis the quickest."""
        step, steps = getattr(self.dtype, "itemsize", 0), self.strides
        if steps is None or self.shape is None:
            return False
        for n, stride in zip(self.shape[::-1], steps[::-1], strict=True):
            if n != 1 and stride != step:
                return False
            step *= n
        return True


def kind_of(value: Any) -> Kind:
    """The kind of a value."""
    if not (hasattr(value, "dtype") and hasattr(value, "shape")):
        return Kind(type(value))
    flags = getattr(value, "flags", None)
    # CuPy's flags say nothing of writing: all of its arrays may be written into
    owner = bool(getattr(flags, "owndata", False) and getattr(flags, "writeable", True))
    strides = getattr(value, "strides", None)
    return Kind(type(value), value.dtype, tuple(value.shape), strides, getattr(value, "nbytes", 0), owner)


def copied(x: Array) -> Array:
    """A copy of an array, which others may not write into."""
    return x.copy() if hasattr(x, "copy") else namespace(x).asarray(x, copy=True)


def bits(x: Array) -> tuple[Any, ...]:
    """Type, shape and numbers of an array, to be compared with ``==``: bit by bit."""
    return x.dtype, tuple(x.shape), x.tobytes() if hasattr(x, "tobytes") else to_numpy(x).tobytes()
