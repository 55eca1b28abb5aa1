"""Images seen at other places: each pixel of the result is a weighted sum of a few of the image's.

Which pixels, and with which weights, does not depend on the image: so all of it is linear, in ``take`` and
products, and derivatives of every order follow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import Any

from nnx.backend import device_of, namespace
from nnx.errors import OptionError
from nnx.layers.symbols import Shape
from nnx.options import OneOf

KINDS = ("nearest", "bilinear")
#: what lies outside an image: one number, its edge, the image mirrored, the image again
FILL_MODE = OneOf(("reflect", "constant", "wrap", "nearest"))


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


@dataclass(frozen=True)
class Sampling:
    """How an image is seen at places between its pixels, and outside.

    ``fill_mode`` is "reflect" (d c b a | a b c d | d c b a), "wrap" (a b c d | a b c d), "nearest"
    (a a a | a b c d | d d d) or "constant" (the number ``fill_value``).
    """

    interpolation: str
    fill_mode: str
    fill_value: float = 0.0

    def __call__(self, x: Any, rows: Any, columns: Any) -> Any:
        """Each image of ``x``, (n, height, width, channels), at its places.

        ``rows`` and ``columns`` are float64 arrays that together broadcast to (n, new height, new width);
        whole numbers are the centres of pixels.
        """
        xp, places = namespace(x), namespace(rows)
        n, height, width, channels = x.shape
        flat = xp.reshape(x, (n * height * width, channels))
        starts = places.arange(n, dtype=places.int64, device=device_of(rows)) * (height * width)
        total: Any = 0.0
        for down, across in product(self._taps(rows, height), self._taps(columns, width)):
            index = places.reshape(starts, (n, 1, 1)) + down[0] * width + across[0]
            shape = (*index.shape, channels)
            pixels = xp.reshape(xp.take(flat, places.reshape(index, (-1,)), axis=0), shape)
            if self.fill_mode == "constant":
                inside = (down[1] & across[1])[..., None]
                pixels = xp.where(inside, pixels, xp.full_like(pixels, self.fill_value))
            if self.interpolation == "nearest":
                return pixels
            total = pixels * places.astype(down[2] * across[2], x.dtype)[..., None] + total
        return total

    def _taps(self, place: Any, length: int) -> list[tuple[Any, Any, Any]]:
        """The pixels along one axis that count at a place: index, whether it is inside, weight."""
        xp = namespace(place)
        if self.interpolation == "nearest":
            return [self._pixel(xp.round(place), length, xp.ones_like(place))]
        lower = xp.floor(place)
        share = place - lower
        return [self._pixel(lower, length, 1.0 - share), self._pixel(lower + 1.0, length, share)]

    def _pixel(self, place: Any, length: int, weight: Any) -> tuple[Any, Any, Any]:
        xp = namespace(place)
        index = xp.astype(place, xp.int64)
        inside = (index >= 0) & (index < length)
        if self.fill_mode == "wrap":
            index = xp.remainder(index, xp.full_like(index, length))
        elif self.fill_mode == "reflect":
            index = xp.remainder(index, xp.full_like(index, 2 * length))
            index = xp.where(index < length, index, 2 * length - 1 - index)
        else:
            index = xp.minimum(xp.maximum(index, xp.zeros_like(index)), xp.full_like(index, length - 1))
        return index, inside, weight
