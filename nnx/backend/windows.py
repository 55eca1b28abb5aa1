"""Which entries of its input each output of a convolution sees."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Windows:
    """Output o sees the entries o·stride + t·dilation − before of the input: one for each tap t of a kernel.

    Along each axis ``size`` is the input's length, ``taps`` the kernel's, ``outputs`` the output's. Entries
    before the first and after the last are zeros (padding); the input may go on after the last that is seen.
    The channels come in ``groups``, each of which is convolved by itself.

    >>> from nnx.backend.windows import Windows
    >>> Windows((6,), (3,), (3,), strides=(2,), before=(0,), dilation=(1,)).padded
    (7,)
    """

    size: Shape
    taps: Shape
    outputs: Shape
    strides: Shape
    before: Shape
    dilation: Shape
    groups: int = 1

    @cached_property
    def reach(self) -> Shape:
        """How many entries a window spans from its first tap to its last."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.taps, self.dilation, strict=True))

    @cached_property
    def padded(self) -> Shape:
        """The length with zeros before and after, as far as any window sees."""
        seen = (s * (o - 1) + r for s, o, r in zip(self.strides, self.outputs, self.reach, strict=True))
        return tuple(max(n + b, m) for n, b, m in zip(self.size, self.before, seen, strict=True))

    @cached_property
    def inside(self) -> tuple[slice, ...]:
        """Where the input lies in the padded one."""
        return tuple(slice(b, b + n) for b, n in zip(self.before, self.size, strict=True))

    @cached_property
    def pointwise(self) -> bool:
        """Whether each output sees the one entry in its own place: then it is a product of matrices."""
        return self.size == self.outputs and math.prod((*self.taps, *self.strides)) == 1

    def by_taps(self) -> Iterator[tuple[Shape, tuple[slice, ...]]]:
        """Each tap, and the entries of the padded input that the windows see through it."""
        axes = [
            [(t, slice(t * d, t * d + s * (o - 1) + 1, s)) for t in range(k)]
            for k, d, s, o in zip(self.taps, self.dilation, self.strides, self.outputs, strict=True)
        ]
        for pairs in product(*axes):
            yield tuple(t for t, _ in pairs), tuple(part for _, part in pairs)
