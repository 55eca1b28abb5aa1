"""Convolutions of sequences, pictures and volumes: Conv1D, Conv2D, Conv3D."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from nnx import activations
from nnx.errors import OptionError, ShapeError
from nnx.layers.activation import activated, activation_parts
from nnx.layers.base import Layer, chosen, registry
from nnx.layers.convolving import Convolving, WithWindows, not_strided_and_dilated
from nnx.layers.dense import WithKernel
from nnx.layers.space import POSITIVE, channels_last
from nnx.layers.spec import Spec
from nnx.layers.symbols import Shape
from nnx.options import flag, number, one_of, option


@dataclass(frozen=True)
class Convolution(WithKernel, WithWindows):
    """Base of Conv1D, Conv2D and Conv3D."""

    filters: int = number(least=1, whole=True)
    kernel_size: Shape = option(POSITIVE)
    strides: Shape = option(POSITIVE, (1, 1))
    padding: str = one_of("valid", "same", default="valid")
    data_format: str | None = channels_last()
    dilation_rate: Shape = option(POSITIVE, (1, 1))
    groups: int = number(1, least=1, whole=True)
    activation: Any = chosen(activations.registry)
    use_bias: bool = flag(True)

    def __post_init__(self) -> None:
        super().__post_init__()
        not_strided_and_dilated(self.label, self.strides, self.dilation_rate)
        if self.filters % self.groups:
            raise OptionError(
                f"{self.label}: filters must be a multiple of groups, got filters={self.filters} and "
                f"groups={self.groups}."
            )

    def spec(self, input_shape: Shape) -> Spec:  # type: ignore[override]
        windows, channels = self.windows_over(input_shape), input_shape[-1]
        if channels % self.groups:
            raise ShapeError(
                f"{self.label}: groups={self.groups} does not divide the {channels} channels of samples of "
                f"shape {input_shape}."
            )
        kernel = self.kernel_weight((*self.kernel_size, channels // self.groups, self.filters))
        weights = (kernel, self.bias_weight(self.filters)) if self.use_bias else (kernel,)
        return Spec(activated(self.activation, (*windows.outputs, self.filters)), weights)

    def parts(self) -> tuple[Layer, ...]:
        convolving = Convolving(self.strides, self.padding, self.dilation_rate)
        return convolving, *activation_parts(self.activation)


@registry.register()
@dataclass(frozen=True)
class Conv1D(Convolution):
    """Each output is the product of a window of steps with a kernel: ``y[o] = g(Σₜ x[o + t]·K[t] + β)``.

    ``filters``, ``kernel_size``, ``strides``, ``dilation_rate`` and ``groups`` are whole numbers ≥ 1.
    ``padding`` is "valid" (windows lie inside), "same" (zeros on both sides, ⌈steps / stride⌉ outputs) or
    "causal" (zeros in front alone: an output sees no later step). ``kernel`` has shape (kernel_size,
    channels / groups, filters), ``bias`` (filters,). The rest is as in :class:`Conv2D`.
    Source: Keras' ``layers.Conv1D``.

    Shapes: (n, steps, channels) → (n, new_steps, filters).

    >>> nnx.layers.Conv1D(4, 3, padding="causal").spec((10, 2)).output_shape
    (10, 4)
    """

    rank: ClassVar[int] = 1
    strides: Shape = option(POSITIVE, (1,))
    dilation_rate: Shape = option(POSITIVE, (1,))
    padding: str = one_of("valid", "same", "causal", default="valid")


@registry.register()
@dataclass(frozen=True)
class Conv2D(Convolution):
    """Each output is the product of a window of the picture with a kernel, the same for all windows.

    With the ``activation`` g, y[i, j] = g(Σₜᵤ x[i·s + t, j·s + u]·K[t, u] + β): the kernel is not turned
    (cross-correlation, as in all libraries). ``filters`` outputs in each place; ``kernel_size``, ``strides``
    and ``dilation_rate`` (the distance of two taps) are whole numbers ≥ 1, or one for each axis.
    ``padding`` is "valid" (windows lie inside) or "same" (zeros around, ⌈size / stride⌉ outputs; where their
    number is odd, one more at the end). The channels come in ``groups`` ≥ 1, each with filters of its own.
    ``kernel`` K has shape (height, width, channels / groups, filters), ``bias`` β (filters,).

    Raises :class:`nnx.errors.OptionError` for strides and dilations that are both above 1, for ``filters``
    that are no multiple of ``groups`` and for ``data_format="channels_first"``;
    :class:`nnx.errors.ShapeError` for samples that are no pictures, channels that the groups do not divide, a
    kernel larger than the picture.
    Source: Y. LeCun et al., "Gradient-based learning applied to document recognition", Proc. IEEE 86 (1998)
    2278–2324, section II.A; names and defaults are those of Keras' ``layers.Conv2D``.

    Shapes: (n, height, width, channels) → (n, new_height, new_width, filters).

    >>> model = nnx.Sequential([nnx.Input((28, 28, 1)), nnx.layers.Conv2D(32, 3, activation="relu")])
    >>> model.output_shape, model.count_params()
    ((None, 26, 26, 32), 320)
    """


@registry.register()
@dataclass(frozen=True)
class Conv3D(Convolution):
    """Each output is the product of a window of the volume with a kernel, as in :class:`Conv2D`.

    Options and errors are those of :class:`Conv2D`, with three axes. ``kernel`` has shape (depth, height,
    width, channels / groups, filters), ``bias`` (filters,).
    Source: Keras' ``layers.Conv3D``.

    Shapes: (n, depth, height, width, channels) → (n, new_depth, new_height, new_width, filters).

    >>> nnx.layers.Conv3D(2, 3, padding="same").spec((4, 5, 6, 1)).output_shape
    (4, 5, 6, 2)
    """

    rank: ClassVar[int] = 3
    strides: Shape = option(POSITIVE, (1, 1, 1))
    dilation_rate: Shape = option(POSITIVE, (1, 1, 1))
