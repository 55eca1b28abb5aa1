"""Convolutions of each channel by itself: depthwise; and separable, where the channels are then mixed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nnx import activations, constraints, initializers, regularizers
from nnx.backend import namespace
from nnx.layers.activation import activated, activation_parts
from nnx.layers.base import Layer, chosen, registry
from nnx.layers.convolving import Convolving, WithWindows
from nnx.layers.space import POSITIVE, channels_last
from nnx.layers.spec import Spec, Weight
from nnx.layers.symbols import Shape
from nnx.options import flag, number, one_of, option


@dataclass(frozen=True)
class Depthwise(Convolving):
    """The part that convolves each channel by filters of its own."""

    def kernel(self, p: Mapping[str, Any]) -> Any:
        own = p[self.takes[0]]  # (*taps, channels, multiplier): a group for each channel
        return namespace(own).reshape(own, (*own.shape[:-2], 1, own.shape[-2] * own.shape[-1]))


@dataclass(frozen=True)
class DepthwiseFirst(Depthwise):
    """That of a separable convolution: its bias comes later."""

    takes: ClassVar[tuple[str, ...]] = ("depthwise_kernel",)


@dataclass(frozen=True)
class Pointwise(Convolving):
    """The part of a separable convolution that mixes the channels of each place."""

    takes: ClassVar[tuple[str, ...]] = ("pointwise_kernel", "bias")


@dataclass(frozen=True, kw_only=True)
class WithDepthwise(WithWindows):
    """Base of the layers with a depthwise kernel: where it and the bias start from, and so on."""

    depthwise_initializer: Any = chosen(initializers.registry, "glorot_uniform")
    bias_initializer: Any = chosen(initializers.registry, "zeros")
    depthwise_regularizer: Any = chosen(regularizers.registry)
    bias_regularizer: Any = chosen(regularizers.registry)
    depthwise_constraint: Any = chosen(constraints.registry)
    bias_constraint: Any = chosen(constraints.registry)

    def weight(self, name: str, kind: str, shape: Shape) -> Weight:
        """The weight called ``name``, with the options that begin with its ``kind``."""
        initializer, regularizer, constraint = (
            getattr(self, f"{kind}_{what}") for what in ("initializer", "regularizer", "constraint")
        )
        return Weight(name, shape, initializer, regularizer, constraint)


@dataclass(frozen=True)
class DepthwiseConvolution(WithDepthwise):
    """Base of DepthwiseConv1D and DepthwiseConv2D."""

    kernel_size: Shape = option(POSITIVE)
    strides: Shape = option(POSITIVE, (1, 1))
    padding: str = one_of("valid", "same", default="valid")
    depth_multiplier: int = number(1, least=1, whole=True)
    data_format: str | None = channels_last()
    dilation_rate: Shape = option(POSITIVE, (1, 1))
    activation: Any = chosen(activations.registry)
    use_bias: bool = flag(True)

    def spec(self, input_shape: Shape) -> Spec:  # type: ignore[override]
        windows, channels = self.windows_over(input_shape), input_shape[-1]
        own = self.weight("kernel", "depthwise", (*self.kernel_size, channels, self.depth_multiplier))
        outputs = channels * self.depth_multiplier
        weights = (own, self.weight("bias", "bias", (outputs,))) if self.use_bias else (own,)
        return Spec(activated(self.activation, (*windows.outputs, outputs)), weights)

    def parts(self) -> tuple[Layer, ...]:
        own = Depthwise(self.strides, self.padding, self.dilation_rate)
        return own, *activation_parts(self.activation)


@registry.register()
@dataclass(frozen=True)
class DepthwiseConv1D(DepthwiseConvolution):
    """Each channel is convolved with ``depth_multiplier`` kernels of its own, as in :class:`DepthwiseConv2D`.

    ``kernel`` has shape (kernel_size, channels, depth_multiplier), ``bias``
    (channels · depth_multiplier,). Source: Keras' ``layers.DepthwiseConv1D``.

    Shapes: (n, steps, channels) → (n, new_steps, channels · depth_multiplier).

    >>> nnx.layers.DepthwiseConv1D(3, depth_multiplier=2).spec((10, 4)).output_shape
    (8, 8)
    """

    rank: ClassVar[int] = 1
    strides: Shape = option(POSITIVE, (1,))
    dilation_rate: Shape = option(POSITIVE, (1,))


@registry.register()
@dataclass(frozen=True)
class DepthwiseConv2D(DepthwiseConvolution):
    """Each channel is convolved with ``depth_multiplier`` ≥ 1 kernels of its own: no channel sees another.

    ``padding`` is "valid" or "same"; ``kernel_size``, ``strides`` and ``dilation_rate`` are those of
    :class:`Conv2D`, and so are the errors. ``kernel`` has shape (height, width, channels, depth_multiplier),
    ``bias`` (channels · depth_multiplier,).
    Source: L. Sifre, "Rigid-motion scattering for image classification", thesis, 2014, section 6.2; names and
    defaults are those of Keras' ``layers.DepthwiseConv2D``.

    Shapes: (n, height, width, channels) → (n, new_height, new_width, channels · depth_multiplier).

    >>> nnx.Sequential([nnx.Input((8, 8, 16)), nnx.layers.DepthwiseConv2D(3)]).count_params()
    160
    """


@dataclass(frozen=True)
class SeparableConvolution(WithDepthwise):
    """Base of SeparableConv1D and SeparableConv2D."""

    filters: int = number(least=1, whole=True)
    kernel_size: Shape = option(POSITIVE)
    strides: Shape = option(POSITIVE, (1, 1))
    padding: str = one_of("valid", "same", default="valid")
    data_format: str | None = channels_last()
    dilation_rate: Shape = option(POSITIVE, (1, 1))
    depth_multiplier: int = number(1, least=1, whole=True)
    activation: Any = chosen(activations.registry)
    use_bias: bool = flag(True)

    def spec(self, input_shape: Shape) -> Spec:  # type: ignore[override]
        windows, channels = self.windows_over(input_shape), input_shape[-1]
        between = channels * self.depth_multiplier
        taps = (*self.kernel_size, channels, self.depth_multiplier)
        own = self.weight("depthwise_kernel", "depthwise", taps)
        mixing = self.weight("pointwise_kernel", "pointwise", (*(1,) * self.rank, between, self.filters))
        weights = (
            (own, mixing, self.weight("bias", "bias", (self.filters,))) if self.use_bias else (own, mixing)
        )
        return Spec(activated(self.activation, (*windows.outputs, self.filters)), weights)

    def parts(self) -> tuple[Layer, ...]:
        ones = (1,) * self.rank
        return (
            DepthwiseFirst(self.strides, self.padding, self.dilation_rate),
            Pointwise(ones, "valid", ones),
            *activation_parts(self.activation),
        )


@dataclass(frozen=True, kw_only=True)
class WithPointwise(SeparableConvolution):
    """The same with the options of the pointwise kernel."""

    pointwise_initializer: Any = chosen(initializers.registry, "glorot_uniform")
    pointwise_regularizer: Any = chosen(regularizers.registry)
    pointwise_constraint: Any = chosen(constraints.registry)


@registry.register()
@dataclass(frozen=True)
class SeparableConv1D(WithPointwise):
    """Each channel is convolved by itself, then those of each step are mixed: see :class:`SeparableConv2D`.

    ``depthwise_kernel`` has shape (kernel_size, channels, depth_multiplier), ``pointwise_kernel``
    (1, channels · depth_multiplier, filters), ``bias`` (filters,). Source: Keras' ``layers.SeparableConv1D``.

    Shapes: (n, steps, channels) → (n, new_steps, filters).

    >>> nnx.layers.SeparableConv1D(5, 3).spec((10, 4)).output_shape
    (8, 5)
    """

    rank: ClassVar[int] = 1
    strides: Shape = option(POSITIVE, (1,))
    dilation_rate: Shape = option(POSITIVE, (1,))


@registry.register()
@dataclass(frozen=True)
class SeparableConv2D(WithPointwise):
    """Each channel is convolved by itself (:class:`DepthwiseConv2D`), then those of each place are mixed.

    The mixture is a convolution with a kernel of size 1, ``pointwise_kernel`` (1, 1, channels ·
    depth_multiplier, filters); ``depthwise_kernel`` has shape (height, width, channels, depth_multiplier),
    ``bias`` (filters,). The options (whole numbers ≥ 1; ``padding`` "valid" or "same") and errors are
    those of :class:`DepthwiseConv2D`.
    Source: F. Chollet, "Xception: deep learning with depthwise separable convolutions", CVPR 2017, section 1;
    names and defaults are those of Keras' ``layers.SeparableConv2D``.

    Shapes: (n, height, width, channels) → (n, new_height, new_width, filters).

    >>> nnx.Sequential([nnx.Input((8, 8, 16)), nnx.layers.SeparableConv2D(32, 3)]).count_params()
    688
    """
