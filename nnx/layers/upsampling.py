"""Layers that make samples larger by whole factors: UpSampling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nnx.backend import namespace
from nnx.layers.base import Layer, registry
from nnx.layers.resampling import INTERPOLATION, resized
from nnx.layers.space import POSITIVE, channels_last, each_axis, lengths_of
from nnx.layers.spec import Spec
from nnx.layers.symbols import Shape
from nnx.options import option


@dataclass(frozen=True)
class UpSampling(Layer):
    """Base of the layers that make samples larger by whole factors."""

    axes: ClassVar[int]

    size: Shape = option(POSITIVE, 2)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("size", each_axis(self.label, "size", self.size, self.axes))

    def spec(self, input_shape: Shape) -> Spec:  # type: ignore[override]
        lengths = lengths_of(self.label, input_shape, self.axes)
        return Spec((*(n * k for n, k in zip(lengths, self.size, strict=True)), input_shape[-1]))

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        return repeated(x, self.size)


def repeated(x: Any, times: Shape) -> Any:
    """``x``, (n, ...), with each cell of the axes from the second on repeated so many ``times``."""
    xp = namespace(x)
    alone, stretched, merged = [x.shape[0]], [x.shape[0]], [x.shape[0]]
    for length, k in zip(x.shape[1:], times, strict=False):
        alone += [length, 1]
        stretched += [length, k]
        merged.append(length * k)
    wide = xp.broadcast_to(xp.reshape(x, (*alone, x.shape[-1])), (*stretched, x.shape[-1]))
    return xp.reshape(wide, (*merged, x.shape[-1]))


@registry.register()
@dataclass(frozen=True)
class UpSampling1D(UpSampling):
    """Each step ``size`` times, one after the other.

    Raises :class:`nnx.errors.ShapeError` for samples of another number of axes.

    Shapes: (n, a, channels) → (n, 2a, channels). Source: Keras' ``layers.UpSampling1D``.

    >>> nnx.layers.UpSampling1D(3)(np.asarray([[[1.0], [2.0]]]))[0, :, 0]
    array([1., 1., 1., 2., 2., 2.])
    """

    axes: ClassVar[int] = 1


@registry.register()
@dataclass(frozen=True)
class UpSampling2D(UpSampling):
    """Images made larger by the factors ``size`` (height, width): by repeated pixels, or "bilinear" ones.

    Bilinear pixels lie at the centres of the new cells, (i + ½)/size − ½, and those outside are the edge's.
    Raises :class:`nnx.errors.ShapeError` for samples of another number of axes,
    :class:`nnx.errors.OptionError` for Keras' further interpolations ("bicubic", "lanczos3", "lanczos5").

    Shapes: (n, a, b, channels) → (n, 2a, 2b, channels). Source: Keras' ``layers.UpSampling2D``.

    >>> x = np.asarray([0.0, 1.0]).reshape(1, 1, 2, 1)
    >>> nnx.layers.UpSampling2D((1, 2))(x).ravel()
    array([0., 0., 1., 1.])
    >>> nnx.layers.UpSampling2D((1, 2), interpolation="bilinear")(x).ravel()
    array([0.  , 0.25, 0.75, 1.  ])
    """

    axes: ClassVar[int] = 2
    data_format: str | None = channels_last()
    interpolation: str = option(INTERPOLATION, "nearest")

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        if self.interpolation == "nearest":
            return repeated(x, self.size)
        return resized(x, self.spec(x.shape[1:]).output_shape[:-1], self.interpolation)


@registry.register()
@dataclass(frozen=True)
class UpSampling3D(UpSampling):
    """Each cell repeated ``size`` times along each axis (depth, height, width).

    Raises :class:`nnx.errors.ShapeError` for samples of another number of axes.

    Shapes: (n, 2, 3, 4, channels) → (n, 4, 6, 8, channels). Source: Keras' ``layers.UpSampling3D``.

    >>> nnx.layers.UpSampling3D((1, 1, 2))(np.asarray([1.0, 2.0]).reshape(1, 1, 1, 2, 1)).ravel()
    array([1., 1., 2., 2.])
    """

    axes: ClassVar[int] = 3
    data_format: str | None = channels_last()
