"""Transposed convolutions: Conv1DTranspose, Conv2DTranspose, Conv3DTranspose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

from nnx import activations
from nnx.backend import adapter_of
from nnx.backend.ending import Ending
from nnx.backend.windows import Windows
from nnx.errors import OptionError, ShapeError
from nnx.layers.activation import activated, activation_parts
from nnx.layers.base import Layer, chosen, registry
from nnx.layers.convolve import convolve, convolve_input
from nnx.layers.convolving import WithWindows, not_strided_and_dilated, rows_of
from nnx.layers.dense import WithKernel
from nnx.layers.per_sample import Gradients, Pullback
from nnx.layers.product import Product
from nnx.layers.space import POSITIVE, channels_last, each_axis, lengths_of
from nnx.layers.spec import Context, Spec
from nnx.layers.symbols import Shape
from nnx.options import Numbers, flag, number, one_of, option

_MORE = Numbers("a whole number >= 0, or one for each axis of an image", lambda n: n >= 0, optional=True)


@cache
def windows_onto(
    label: str, size: Shape, taps: Shape, strides: Shape, padding: str, dilation: Shape, more: Shape | None
) -> Windows:
    """The windows whose outputs are images of ``size``: their inputs are what a transposed convolution makes.

    ``more`` is Keras' ``output_padding``. Source: Keras' ``compute_conv_transpose_output_shape``.
    """
    made, cut = [], []
    for i, (n, k, s, d) in enumerate(zip(size, taps, strides, dilation, strict=True)):
        reach = (k - 1) * d + 1
        extra = None if more is None else more[i]
        if padding == "valid":
            made.append((n - 1) * s + reach + (max(s - reach, 0) if extra is None else extra))
            cut.append(0)
        else:
            made.append(n * s if extra is None else (n - 1) * s + reach % 2 + extra)
            total = s + reach - 2 if extra is None else reach + reach % 2 - 2 + extra
            cut.append(max(reach - 1 - (total + 1) // 2, 0))
    if min(made) < 1:
        raise ShapeError(f"{label} makes images of size {tuple(made)} of images of size {size}.")
    return Windows(tuple(made), taps, size, strides, tuple(cut), dilation)


@dataclass(frozen=True)
class Spreading(Product):
    """The part that puts each entry times the kernel where its window lies, and adds the bias."""

    takes: ClassVar[tuple[str, ...]] = ("kernel", "bias")
    linear: ClassVar[bool] = True
    spreads: ClassVar[bool] = True

    strides: Shape
    padding: str
    dilation_rate: Shape
    output_padding: Shape | None

    def windows(self, x: Any, kernel: Any) -> Windows:
        """The windows whose outputs are ``x``."""
        return windows_onto(
            self.label, tuple(x.shape[1:-1]), tuple(kernel.shape[:-2]),
            self.strides, self.padding, self.dilation_rate, self.output_padding,
        )  # fmt: skip

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        kernel, bias = p["kernel"], p.get("bias")
        y = convolve_input(x, kernel, windows=self.windows(x, kernel))
        return y if bias is None else y + bias

    def ended(self, p: Mapping[str, Any], x: Any, ending: Ending) -> Any:
        adapter, kernel = adapter_of(x), p["kernel"]
        return adapter.ended(adapter.convolve_input(x, kernel, self.windows(x, kernel)), ending)

    def per_sample(
        self, p: Mapping[str, Any], names: Sequence[str], xs: Sequence[Any], context: Context, **said: Any
    ) -> tuple[Any, Pullback]:
        (x,), kernel = xs, p["kernel"]
        windows = self.windows(x, kernel)

        def back(delta: Any) -> tuple[tuple[Any], Gradients]:
            rows = rows_of(p, names, "kernel", delta, x, delta, windows)
            return (convolve(delta, kernel, None, windows=windows),), rows

        return self.forward(p, x), back


@dataclass(frozen=True)
class TransposedConvolution(WithKernel, WithWindows):
    """Base of Conv1DTranspose, Conv2DTranspose and Conv3DTranspose."""

    filters: int = number(least=1, whole=True)
    kernel_size: Shape = option(POSITIVE)
    strides: Shape = option(POSITIVE, (1, 1))
    padding: str = one_of("valid", "same", default="valid")
    output_padding: Shape | None = option(_MORE, None)
    data_format: str | None = channels_last()
    dilation_rate: Shape = option(POSITIVE, (1, 1))
    activation: Any = chosen(activations.registry)
    use_bias: bool = flag(True)

    def __post_init__(self) -> None:
        super().__post_init__()
        not_strided_and_dilated(self.label, self.strides, self.dilation_rate)
        if self.output_padding is None:
            return
        more = each_axis(self.label, "output_padding", self.output_padding, self.rank)
        self._set("output_padding", more)
        if any(m >= s for m, s in zip(more, self.strides, strict=True)):
            raise OptionError(
                f"{self.label}: output_padding must be smaller than strides along each axis, got {more} and "
                f"strides={self.strides}."
            )

    def spec(self, input_shape: Shape) -> Spec:  # type: ignore[override]
        lengths_of(self.label, input_shape, self.rank)
        windows = windows_onto(
            self.label, tuple(input_shape[:-1]), self.kernel_size,
            self.strides, self.padding, self.dilation_rate, self.output_padding,
        )  # fmt: skip
        kernel = self.kernel_weight((*self.kernel_size, self.filters, input_shape[-1]))
        weights = (kernel, self.bias_weight(self.filters)) if self.use_bias else (kernel,)
        return Spec(activated(self.activation, (*windows.size, self.filters)), weights)

    def parts(self) -> tuple[Layer, ...]:
        own = Spreading(self.strides, self.padding, self.dilation_rate, self.output_padding)
        return own, *activation_parts(self.activation)


@registry.register()
@dataclass(frozen=True)
class Conv1DTranspose(TransposedConvolution):
    """The transpose of a convolution of sequences, as :class:`Conv2DTranspose` is of one of pictures.

    ``kernel`` has shape (kernel_size, filters, channels), ``bias`` (filters,).
    Source: Keras' ``layers.Conv1DTranspose``.

    Shapes: (n, steps, channels) → (n, new_steps, filters).

    >>> nnx.layers.Conv1DTranspose(4, 3, strides=2, padding="same").spec((10, 2)).output_shape
    (20, 4)
    """

    rank: ClassVar[int] = 1
    strides: Shape = option(POSITIVE, (1,))
    dilation_rate: Shape = option(POSITIVE, (1,))


@registry.register()
@dataclass(frozen=True)
class Conv2DTranspose(TransposedConvolution):
    """The transpose of a convolution, which makes pictures larger: y[i·s + t, j·s + u] += x[i, j]·K[t, u].

    It is the gradient of :class:`Conv2D` by its input, with a bias β and an ``activation``. ``filters``,
    ``kernel_size``, ``strides`` s and ``dilation_rate`` are whole numbers ≥ 1, the last three may be one for
    each axis. ``padding`` "same" makes size · s of each size, "valid" (size − 1) · s + max(kernel_size, s).
    With an ``output_padding`` ≥ 0, smaller than the strides, it is (size − 1) · s plus that, plus kernel_size
    for "valid" and 1 for "same" with an odd kernel.
    ``kernel`` K has shape (height, width, filters, channels), ``bias`` (filters,).

    Raises :class:`nnx.errors.OptionError` for strides and dilations that are both above 1 and for an
    ``output_padding`` not below the strides, :class:`nnx.errors.ShapeError` for samples that are no pictures.
    Source: V. Dumoulin, F. Visin, "A guide to convolution arithmetic for deep learning", arXiv:1603.07285,
    chapter 4; names and defaults are those of Keras' ``layers.Conv2DTranspose``.

    Shapes: (n, height, width, channels) → (n, new_height, new_width, filters).

    >>> nnx.layers.Conv2DTranspose(8, 3, strides=2, padding="same").spec((7, 7, 16)).output_shape
    (14, 14, 8)
    """


@registry.register()
@dataclass(frozen=True)
class Conv3DTranspose(TransposedConvolution):
    """The transpose of a convolution of volumes, as :class:`Conv2DTranspose` is of one of pictures.

    ``kernel`` has shape (depth, height, width, filters, channels), ``bias`` (filters,).
    Source: Keras' ``layers.Conv3DTranspose``.

    Shapes: (n, depth, height, width, channels) → (n, new_depth, new_height, new_width, filters).

    >>> nnx.layers.Conv3DTranspose(2, 2, strides=2).spec((3, 4, 5, 1)).output_shape
    (6, 8, 10, 2)
    """

    rank: ClassVar[int] = 3
    strides: Shape = option(POSITIVE, (1, 1, 1))
    dilation_rate: Shape = option(POSITIVE, (1, 1, 1))
