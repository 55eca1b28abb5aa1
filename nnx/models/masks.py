"""Masks of outputs as weights: what is masked counts for nothing."""

from __future__ import annotations

import math
from typing import Any

from nnx.backend import namespace
from nnx.errors import ShapeError

Array = Any


def masked(mask: Array, weight: Array | None, output: Array, mean: bool = False) -> Array:
    """The weights of the places in the samples, 0 where ``mask`` is False, in the data type of ``output``.

    With ``mean`` they are multiplied by (number of places) / (number of those that count): a mean over all
    is one over those that count then, which is Keras' rule. ``weight`` are those of samples or of places.

    Shapes: mask (n, steps), weight (n,) or (n, steps), output (n, steps, ...) → (n, steps).
    """
    if mask.ndim >= output.ndim:
        raise ShapeError(
            f"The mask of an output of shape {tuple(output.shape)} has shape {tuple(mask.shape)}: there is "
            "no axis of features beside those of the places, so the loss has none for each place. Give the "
            "output an axis more, for example by Reshape."
        )
    xp = namespace(mask, output)
    found = xp.astype(mask, output.dtype)
    if mean:
        count = xp.sum(found)
        found = found * (math.prod(mask.shape) / xp.where(count > 0.0, count, 1.0))
    if weight is None:
        return found
    rank = max(weight.ndim, found.ndim)
    weight, found = (xp.reshape(a, (*a.shape, *(1,) * (rank - a.ndim))) for a in (weight, found))
    return weight * found
