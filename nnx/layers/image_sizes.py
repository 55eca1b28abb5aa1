"""Layers that give images another size: Resizing and CenterCrop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nnx.backend import device_of, namespace
from nnx.errors import OptionError
from nnx.layers.base import Layer, registry
from nnx.layers.resampling import INTERPOLATION, resized
from nnx.layers.space import channels_last, lengths_of
from nnx.layers.spec import Spec
from nnx.layers.symbols import Shape
from nnx.options import flag, number, one_of, option


@dataclass(frozen=True)
class NewSize(Layer):
    """Base of the layers whose images have ``height`` and ``width``."""

    height: int = number(least=1, whole=True)
    width: int = number(least=1, whole=True)

    def spec(self, input_shape: Shape) -> Spec:  # type: ignore[override]
        lengths_of(self.label, input_shape, 2)
        return Spec((self.height, self.width, input_shape[-1]))

    @property
    def size(self) -> Shape:
        """Height and width."""
        return (self.height, self.width)


def in_the_middle(x: Any, height: int, width: int) -> Any:
    """The pixels in the middle of the images ``x``."""
    top, left = (x.shape[1] - height) // 2, (x.shape[2] - width) // 2
    return x[:, top : top + height, left : left + width, :]


def largest_window(x: Any, size: Shape) -> Any:
    """The largest part in the middle of the images ``x`` that is as wide for its height as ``size`` is."""
    height, width = x.shape[1:3]
    return in_the_middle(
        x,
        max(min(height, int(width * size[0] / size[1])), 1),
        max(min(width, int(height * size[1] / size[0])), 1),
    )


def in_a_frame(x: Any, size: Shape, value: float) -> Any:
    """The images ``x`` between bands of the number ``value``, as wide for their height as ``size`` is."""
    xp = namespace(x)
    height, width = x.shape[1:3]
    wanted = max(height, int(width * size[0] / size[1])), max(width, int(height * size[1] / size[0]))
    for axis, length in enumerate(wanted, 1):
        band = (length - x.shape[axis]) // 2
        if band > 0:
            shape = (*x.shape[:axis], band, *x.shape[axis + 1 :])
            plain = xp.full(shape, value, dtype=x.dtype, device=device_of(x))
            x = xp.concat([plain, x, plain], axis=axis)
    return x


@registry.register()
@dataclass(frozen=True)
class Resizing(NewSize):
    """Images of ``height`` × ``width`` pixels, by "bilinear" or "nearest" ``interpolation``.

    The new pixel i lies at (i + ½)·old/new − ½, and places outside are the edge's. ``crop_to_aspect_ratio``
    takes the largest part in the middle that has the new proportions, ``pad_to_aspect_ratio`` puts bands of
    ``fill_value`` around first (as Keras: two of the same width, so one row or column may lack); without them
    images are stretched. Smaller images are not smoothed before (``antialias`` is False).
    Raises :class:`nnx.errors.OptionError` for both of the two, for ``antialias=True`` and Keras' further
    interpolations, :class:`nnx.errors.ShapeError` for samples that are no images.

    Shapes: (n, a, b, channels) → (n, 4, 6, channels). Source: Keras' ``layers.Resizing``.

    >>> x = np.asarray([[[[0.0], [1.0], [4.0], [9.0]]]])
    >>> nnx.layers.Resizing(1, 2)(x)[0, 0, :, 0]
    array([0.5, 6.5])
    >>> nnx.layers.Resizing(1, 2, interpolation="nearest")(x)[0, 0, :, 0]
    array([1., 9.])
    """

    interpolation: str = option(INTERPOLATION, "bilinear")
    crop_to_aspect_ratio: bool = flag(False)
    pad_to_aspect_ratio: bool = flag(False)
    fill_mode: str = one_of("constant", default="constant")
    fill_value: float = number(0.0)
    antialias: bool = flag(False)
    data_format: str | None = channels_last()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.crop_to_aspect_ratio and self.pad_to_aspect_ratio:
            raise OptionError(f"{self.label}: choose one of crop_to_aspect_ratio and pad_to_aspect_ratio.")
        if self.antialias:
            raise OptionError(f"{self.label}: antialias=True is not there; use AveragePooling2D before.")

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        if self.crop_to_aspect_ratio:
            x = largest_window(x, self.size)
        if self.pad_to_aspect_ratio:
            x = in_a_frame(x, self.size, self.fill_value)
        return resized(x, self.size, self.interpolation)


@registry.register()
@dataclass(frozen=True)
class CenterCrop(NewSize):
    """The ``height`` × ``width`` pixels in the middle of each image.

    Of images that are smaller along an axis, the largest part in the middle with those proportions is resized
    (bilinear). Raises :class:`nnx.errors.ShapeError` for samples that are no images.

    Shapes: (n, 6, 8, channels) → (n, 4, 6, channels). Source: Keras' ``layers.CenterCrop``.

    >>> nnx.layers.CenterCrop(1, 2)(np.arange(12.0).reshape(1, 3, 4, 1)).ravel()
    array([5., 6.])
    """

    data_format: str | None = channels_last()

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        if x.shape[1] >= self.height and x.shape[2] >= self.width:
            return in_the_middle(x, *self.size)
        return resized(largest_window(x, self.size), self.size, "bilinear")
