"""What layers with windows share: options along each axis, the shape that comes out, the part that runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar

from nnx.autodiff import space_of
from nnx.backend import adapter_of, namespace
from nnx.backend.ending import Ending
from nnx.backend.windows import Windows
from nnx.errors import OptionError, ShapeError
from nnx.layers.base import Layer
from nnx.layers.convolve import bias_rows, convolve, convolve_input, kernel_rows
from nnx.layers.fusion import fusion
from nnx.layers.padding import ZeroPadding
from nnx.layers.per_sample import Gradients, Pullback
from nnx.layers.product import Product
from nnx.layers.space import Padding, Pairs, each_axis, lengths_of, windows_along
from nnx.layers.spec import Context
from nnx.layers.symbols import Shape


@cache
def windows_of(
    label: str,
    size: Shape,
    taps: Shape,
    strides: Shape,
    padding: str | Pairs,
    dilation: Shape,
    groups: int = 1,
) -> Windows:  # fmt: skip
    """The windows of a kernel of ``taps`` over an image of ``size``; ShapeError where it does not fit in.

    ``padding`` is that of :func:`nnx.layers.space.windows_along`: one name, or two numbers for each axis.
    """
    before, outputs = [], []
    along: Sequence[Padding] = (padding,) * len(size) if isinstance(padding, str) else padding
    for n, k, s, d, outside in zip(size, taps, strides, dilation, along, strict=True):
        reach = (k - 1) * d + 1
        placed = windows_along(n, reach, s, outside)
        if placed is None:
            dilated = f" with dilation_rate={dilation}, which spans {reach}," if d > 1 else ""
            raise ShapeError(
                f"{label}: a kernel of size {taps}{dilated} does not fit into an image of size {size}. "
                "Use a smaller kernel_size, or padding='same'."
            )
        before.append(placed[0])
        outputs.append(placed[1])
    return Windows(size, taps, tuple(outputs), strides, tuple(before), dilation, groups)


@dataclass(frozen=True)
class Convolving(Product):
    """The part of a layer that convolves by its kernel and adds its bias."""

    takes: ClassVar[tuple[str, ...]] = ("kernel", "bias")
    spreads: ClassVar[bool] = True
    linear: ClassVar[bool] = True

    strides: Shape
    padding: str | Pairs
    dilation_rate: Shape

    def kernel(self, p: Mapping[str, Any]) -> Any:
        """The kernel, ``(*taps, channels / groups, filters)``."""
        return p[self.takes[0]]

    def windows(self, x: Any, kernel: Any) -> Windows:
        """Which entries of the images ``x`` each output sees."""
        return windows_of(
            self.label, tuple(x.shape[1:-1]), tuple(kernel.shape[:-2]), self.strides, self.padding,
            self.dilation_rate, x.shape[-1] // kernel.shape[-2],
        )  # fmt: skip

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        kernel = self.kernel(p)
        return convolve(x, kernel, self._bias(p), windows=self.windows(x, kernel))

    def ended(self, p: Mapping[str, Any], x: Any, ending: Ending) -> Any:
        kernel = self.kernel(p)
        return adapter_of(x).convolve_ended(x, kernel, ending, self.windows(x, kernel))

    def _bias(self, p: Mapping[str, Any]) -> Any:
        return p.get("bias") if "bias" in self.takes else None

    def per_sample(
        self, p: Mapping[str, Any], names: Sequence[str], xs: Sequence[Any], context: Context, **said: Any
    ) -> tuple[Any, Pullback]:
        """With δ the gradient by the output, sample i's by the kernel is that of image i alone."""
        (x,), kernel = xs, self.kernel(p)
        windows = self.windows(x, kernel)
        y = convolve(x, kernel, self._bias(p), windows=windows)

        def back(delta: Any) -> tuple[tuple[Any], Gradients]:
            rows = rows_of(p, names, self.takes[0], x, delta, delta, windows)
            return (convolve_input(delta, kernel, windows=windows),), rows

        return y, back


@fusion
def padded_convolution(first: Layer, then: Layer) -> Layer | None:
    """A convolution of which the zeros of ``first`` are the cells outside; None for any other pair."""
    if isinstance(first, ZeroPadding) and isinstance(then, Convolving) and then.padding == "valid":
        return replace(then, padding=first.pairs)
    return None


def rows_of(
    p: Mapping[str, Any], names: Sequence[str], kernel: str, x: Any, g: Any, delta: Any, windows: Windows
) -> Gradients:
    """Each sample's gradient by the weights called ``names``: by the ``kernel`` of ``x`` and ``g``."""

    def gradients(part: slice) -> dict[str, Any]:
        xp, found = space_of(delta).base, {}
        if kernel in names:
            rows = kernel_rows(xp, x[part, ...], g[part, ...], windows)
            found[kernel] = namespace(rows).reshape(rows, (rows.shape[0], *p[kernel].shape))
        if "bias" in names:
            found["bias"] = bias_rows(xp, delta[part, ...])
        return found

    return gradients


class WithWindows(Layer):
    """Base of the layers whose kernels see windows of an image: what they have in common."""

    #: how many axes an image has, channels left out
    rank: ClassVar[int] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("kernel_size", "strides", "dilation_rate"):
            self._set(name, each_axis(self.label, name, getattr(self, name), self.rank))

    def windows_over(self, input_shape: Shape) -> Windows:
        """The windows over samples of ``input_shape``; ShapeError where that is no shape of images."""
        size = lengths_of(self.label, input_shape, self.rank)
        options: Any = self  # the fields of each layer, in an order of its own
        return windows_of(
            self.label, size, options.kernel_size,
            options.strides, options.padding, options.dilation_rate,
        )  # fmt: skip


def not_strided_and_dilated(label: str, strides: Shape, dilation_rate: Shape) -> None:
    """Raises :class:`nnx.errors.OptionError` for strides and dilations that are both larger than 1."""
    if max(strides) > 1 and max(dilation_rate) > 1:
        raise OptionError(
            f"{label}: strides > 1 and dilation_rate > 1 cannot be combined, got strides={strides} and "
            f"dilation_rate={dilation_rate}. Use one of the two."
        )
