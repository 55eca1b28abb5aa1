"""Bounds on the variables: a box, and the projection onto it."""

from __future__ import annotations

from typing import Any, NamedTuple

from nnx.backend import namespace

Array = Any


class Box(NamedTuple):
    """All w with lower ≤ w ≤ upper; ±inf where there is no bound."""

    lower: Array
    upper: Array

    def project(self, w: Array) -> Array:
        """The nearest point of the box."""
        xp = namespace(w)
        return xp.minimum(xp.maximum(w, self.lower), self.upper)

    def free(self, w: Array, g: Array) -> Array:
        """1.0 for each variable that may move against the gradient, 0.0 where a bound holds it."""
        xp = namespace(w)
        held = ((w <= self.lower) & (g > 0.0)) | ((w >= self.upper) & (g < 0.0))
        return xp.astype(xp.logical_not(held), w.dtype)

    def sides(self, w: Array) -> Array:
        """−1 for each variable at its lower bound, 1 at its upper bound (or both), 0 between them; int64."""
        xp = namespace(w)
        low, high = (xp.astype(at, xp.int64) for at in (w <= self.lower, w >= self.upper))
        return xp.where(high > 0, high, -low)
