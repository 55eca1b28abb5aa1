"""Relatives of Dropout: of whole channels, for self-normalizing networks, and by normal factors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nnx.backend import adapter_of, device_of, namespace
from nnx.backend.philox import NOISE
from nnx.layers.base import Layer, registry
from nnx.layers.dropout import NoiseShape, mask_of, noise_shape_for
from nnx.layers.space import channels_last, lengths_of
from nnx.layers.spec import Context, Spec
from nnx.layers.symbols import Shape
from nnx.options import Seed, fraction, option


class SpatialDropout(Layer):
    """Base of the layers that drop whole channels of a sample."""

    axes: ClassVar[int]
    random: ClassVar[bool] = True
    supports_masking: ClassVar[bool] = True
    # fields of the derived classes, each at its place among theirs
    rate: Any
    seed: Any

    def spec(self, input_shape: Shape) -> Spec:  # type: ignore[override]
        lengths_of(self.label, input_shape, self.axes)
        return Spec(input_shape)

    def forward(self, p: Mapping[str, Any], x: Any, context: Context) -> Any:
        if not context.training or self.rate == 0.0:
            return x
        shape = (x.shape[0], *(1,) * self.axes, x.shape[-1])
        return x * mask_of(x, shape, self.rate, context, self.seed)


@registry.register()
@dataclass(frozen=True)
class SpatialDropout1D(SpatialDropout):
    """In training, each channel of a sample is 0 with probability ``rate``, else divided by 1 − rate.

    All steps of a channel fall together, since neighbours tell nearly the same.
    Raises :class:`nnx.errors.ShapeError` for samples of another number of axes.

    Shapes: (n, a, channels) → (n, a, channels). Source: J. Tompson et al., "Efficient object localization
    using convolutional networks", CVPR 2015, section 3.2; Keras' ``layers.SpatialDropout1D``.

    >>> y = nnx.layers.SpatialDropout1D(0.5, seed=2)(np.ones((1, 2, 4)), training=True)
    >>> bool(np.all(y[:, 0] == y[:, 1]))
    True
    """

    axes: ClassVar[int] = 1
    rate: float = fraction()
    seed: int | None = option(Seed(), None)


@registry.register()
@dataclass(frozen=True)
class SpatialDropout2D(SpatialDropout):
    """In training, each channel of an image is 0 with probability ``rate``, else divided by 1 − rate.

    All pixels of a channel fall together, since neighbours tell nearly the same.
    Raises :class:`nnx.errors.ShapeError` for samples of another number of axes.

    Shapes: (n, a, b, channels) → (n, a, b, channels). Source: J. Tompson et al., "Efficient object
    localization using convolutional networks", CVPR 2015, section 3.2; Keras' ``layers.SpatialDropout2D``.

    >>> y = nnx.layers.SpatialDropout2D(0.5, seed=2)(np.ones((1, 2, 3, 4)), training=True)
    >>> bool(np.all(y == y[:, :1, :1]))
    True
    """

    axes: ClassVar[int] = 2
    rate: float = fraction()
    data_format: str | None = channels_last()
    seed: int | None = option(Seed(), None)


@registry.register()
@dataclass(frozen=True)
class SpatialDropout3D(SpatialDropout):
    """In training, each channel of a volume is 0 with probability ``rate``, else divided by 1 − rate.

    All cells of a channel fall together, since neighbours tell nearly the same.
    Raises :class:`nnx.errors.ShapeError` for samples of another number of axes.

    Shapes: (n, a, b, d, channels) → (n, a, b, d, channels). Source: J. Tompson et al., "Efficient object
    localization using convolutional networks", CVPR 2015, section 3.2; Keras' ``layers.SpatialDropout3D``.

    >>> y = nnx.layers.SpatialDropout3D(0.5, seed=2)(np.ones((1, 2, 3, 2, 4)), training=True)
    >>> bool(np.all(y == y[:, :1, :1, :1]))
    True
    """

    axes: ClassVar[int] = 3
    rate: float = fraction()
    data_format: str | None = channels_last()
    seed: int | None = option(Seed(), None)


#: What SELU tends to on the left, −λα: a dropped input takes this value.
_FLOOR = -1.0507009873554805 * 1.6732632423543772


@registry.register()
@dataclass(frozen=True)
class AlphaDropout(Layer):
    """In training, a·u + b, where u is −λα with probability ``rate`` and the input else.

    λα = 1.7581 is SELU's own. With a = ((1 − rate)(1 + rate·λ²α²))^−½ and b = a·λα·rate an input of mean 0
    and variance 1 keeps both, as self-normalizing networks need (selu, LeCun's initializer). ``noise_shape``
    is that of :class:`Dropout`.
    Raises :class:`nnx.errors.ShapeError` where ``noise_shape`` does not fit the batch.

    Shapes: (n, ...) → (n, ...). Source: G. Klambauer et al., "Self-normalizing neural networks", NeurIPS
    2017, section "New dropout technique"; Keras' ``layers.AlphaDropout``.

    >>> y = nnx.layers.AlphaDropout(0.2, seed=0)(np.zeros((4, 500)), training=True)
    >>> bool(abs(np.mean(y)) < 0.1)
    True
    """

    random: ClassVar[bool] = True
    supports_masking: ClassVar[bool] = True
    rate: float = fraction()
    noise_shape: tuple[int | None, ...] | None = option(NoiseShape(), None)
    seed: int | None = option(Seed(), None)

    def forward(self, p: Mapping[str, Any], x: Any, context: Context) -> Any:
        if not context.training or self.rate == 0.0:
            return x
        xp, rate = namespace(x), self.rate
        shape = noise_shape_for(self.label, self.noise_shape, x.shape)
        kept = mask_of(x, shape, rate, context, self.seed) > 0.0
        a = ((1.0 - rate) * (1.0 + rate * _FLOOR * _FLOOR)) ** -0.5
        return xp.where(kept, x, xp.full_like(x, _FLOOR)) * a - a * _FLOOR * rate


@registry.register()
@dataclass(frozen=True)
class GaussianDropout(Layer):
    """In training, each input times a normal factor of mean 1 and variance ``rate`` / (1 − rate).

    That is the variance of :class:`Dropout`'s factors. They follow from the layer's ``seed``, or the model's.

    Shapes: (n, ...) → (n, ...). Source: N. Srivastava et al., JMLR 15 (2014) 1929–1958, section 10; Keras'
    ``layers.GaussianDropout``.

    >>> y = nnx.layers.GaussianDropout(0.2, seed=0)(np.ones((4, 500)), training=True)
    >>> bool(abs(np.std(y) - 0.5) < 0.05)
    True
    """

    random: ClassVar[bool] = True
    supports_masking: ClassVar[bool] = True
    rate: float = fraction()
    seed: int | None = option(Seed(), None)

    def forward(self, p: Mapping[str, Any], x: Any, context: Context) -> Any:
        if not context.training or self.rate == 0.0:
            return x
        noise = adapter_of(x).normal(context.stream(NOISE, self.seed), x.shape, x.dtype, device_of(x))
        return x * (noise * math.sqrt(self.rate / (1.0 - self.rate)) + 1.0)
