"""Images of another size: each pixel of the result is a weighted sum of a few of the image's."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from nnx.backend import device_of, namespace
from nnx.errors import OptionError
from nnx.layers.symbols import Shape

KINDS = ("nearest", "bilinear")


@dataclass(frozen=True)
class Interpolation:
    """The check of ``interpolation``: "nearest" or "bilinear"."""

    def __call__(self, where: str, name: str, value: Any) -> str:
        if value in ("bicubic", "lanczos3", "lanczos5"):
            raise OptionError(
                f"{where}: {name}={value!r} is not there (Keras' own results depend on its backend). Use "
                "'bilinear' or 'nearest'."
            )
        if value not in KINDS:
            raise OptionError(f"{where}: {name} must be {self}, got {value!r}.")
        return str(value)

    def __str__(self) -> str:
        return "one of 'nearest', 'bilinear'"


INTERPOLATION = Interpolation()


def resized(x: Any, lengths: Shape, interpolation: str) -> Any:
    """``x``, (n, height, width, channels), with other ``lengths``: height and width.

    The new pixel i lies at (i + ½)·old/new − ½ of the old axis; places outside are those of the edge.
    """
    for axis, length in enumerate(lengths, 1):
        if x.shape[axis] != length:
            x = _along(x, axis, length, interpolation)
    return x


def _along(x: Any, axis: int, length: int, interpolation: str) -> Any:
    xp, old, device = namespace(x), x.shape[axis], device_of(x)
    centres = [(i + 0.5) * old / length for i in range(length)]

    def pixels(indices: list[int]) -> Any:
        return xp.take(x, xp.asarray(indices, dtype=xp.int64, device=device), axis=axis)

    if interpolation == "nearest":
        return pixels([min(math.floor(c), old - 1) for c in centres])
    places = [min(max(c - 0.5, 0.0), old - 1.0) for c in centres]
    lower = [math.floor(place) for place in places]
    shape = [1] * x.ndim
    shape[axis] = length
    shares = [place - low for place, low in zip(places, lower, strict=True)]
    share = xp.reshape(xp.asarray(shares, dtype=x.dtype, device=device), tuple(shape))
    first = pixels(lower)
    return first + share * (pixels([min(low + 1, old - 1) for low in lower]) - first)
