"""Pairs of parts that one part does better than the two."""

from __future__ import annotations

from collections.abc import Callable

from nnx.layers.base import Layer

#: a function (part, next part) → one part that does both, or None for any other pair
Fusion = Callable[[Layer, Layer], Layer | None]

#: asked in order where the second part reads the first, and nobody else does
FUSIONS: list[Fusion] = []


def fusion(function: Fusion) -> Fusion:
    """Decorator: every program made from now on offers the function its pairs of neighbouring parts.

    The part that it returns must equal the two, in value and derivatives. Its weights are the second's if it
    takes the same ones as that, and the first has none; else the first's.

    >>> @nnx.layers.fusion
    ... def nothing(part, following):
    ...     return None
    >>> nnx.layers.FUSIONS.remove(nothing)
    """
    FUSIONS.append(function)
    return function
