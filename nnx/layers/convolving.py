"""What layers with windows share: options along each axis, the shape that comes out, the part that runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

from nnx.autodiff import space_of
from nnx.backend import namespace
from nnx.backend.windows import Windows
from nnx.errors import OptionError, ShapeError
from nnx.layers.base import Layer
from nnx.layers.convolve import bias_rows, convolve, convolve_input, kernel_rows
from nnx.layers.per_sample import Gradients, Pullback
from nnx.layers.spec import Context
from nnx.layers.symbols import Shape
from nnx.options import Numbers

#: the check of what is given along each axis of an image
PER_AXIS = Numbers("a whole number >= 1, or one for each axis of an image", lambda n: n > 0)
_AXES = {1: "(steps, channels)", 2: "(height, width, channels)", 3: "(depth, height, width, channels)"}


def channels_last(where: str, name: str, value: Any) -> Any:
    """The check that an option is None or "channels_last"."""
    if value in (None, "channels_last"):
        return value
    if value == "channels_first":
        raise OptionError(
            f"{where}: nnx keeps channels last. Leave {name} out and give x the shape (n, ..., channels), "
            "for example with np.moveaxis(x, 1, -1)."
        )
    raise OptionError(f"{where}: {name} must be None or 'channels_last', got {value!r}.")


def along_axes(label: str, name: str, given: Shape, rank: int) -> Shape:
    """``given`` for each of ``rank`` axes; one number stands for all of them."""
    if len(given) not in (1, rank):
        raise OptionError(f"{label}: {name} must be one whole number or {rank}, got {given}.")
    return given * rank if len(given) == 1 else given


def need_image(label: str, input_shape: Shape, rank: int) -> None:
    """Raises :class:`nnx.errors.ShapeError` where a sample is no image of ``rank`` axes and channels."""
    if len(input_shape) != rank + 1:
        hint = ""
        if len(input_shape) == rank:
            hint = " If the channels' axis is missing, add it: x[..., None] has one channel."
        raise ShapeError(
            f"{label} needs samples of shape {_AXES[rank]}, got samples of shape {input_shape}.{hint}"
        )


@cache
def windows_of(
    label: str, size: Shape, taps: Shape, strides: Shape, padding: str, dilation: Shape, groups: int = 1
) -> Windows:
    """The windows of a kernel of ``taps`` over an image of ``size``; ShapeError where it does not fit in.

    ``padding`` "same" puts half of the zeros in front (the smaller half) so that ⌈size / stride⌉ outputs come
    out, "causal" all of them, and "valid" has none.
    """
    before, outputs = [], []
    for n, k, s, d in zip(size, taps, strides, dilation, strict=True):
        reach = (k - 1) * d + 1
        if padding == "valid" and reach > n:
            dilated = f" with dilation_rate={dilation}, which spans {reach}," if d > 1 else ""
            raise ShapeError(
                f"{label}: a kernel of size {taps}{dilated} does not fit into an image of size {size}. "
                "Use a smaller kernel_size, or padding='same'."
            )
        outputs.append((n - reach) // s + 1 if padding == "valid" else -(-n // s))
        total = max((outputs[-1] - 1) * s + reach - n, 0)
        before.append({"valid": 0, "same": total // 2, "causal": reach - 1}[padding])
    return Windows(size, taps, tuple(outputs), strides, tuple(before), dilation, groups)


@dataclass(frozen=True)
class Convolving(Layer):
    """The part of a layer that convolves by its kernel and adds its bias."""

    takes: ClassVar[tuple[str, ...]] = ("kernel", "bias")
    linear: ClassVar[bool] = True

    strides: Shape
    padding: str
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
            self._set(name, along_axes(self.label, name, getattr(self, name), self.rank))

    def windows_over(self, input_shape: Shape) -> Windows:
        """The windows over samples of ``input_shape``; ShapeError where that is no shape of images."""
        need_image(self.label, input_shape, self.rank)
        options: Any = self  # the fields of each layer, in an order of its own
        return windows_of(
            self.label, tuple(input_shape[:-1]), options.kernel_size,
            options.strides, options.padding, options.dilation_rate,
        )  # fmt: skip


def not_strided_and_dilated(label: str, strides: Shape, dilation_rate: Shape) -> None:
    """Raises :class:`nnx.errors.OptionError` for strides and dilations that are both larger than 1."""
    if max(strides) > 1 and max(dilation_rate) > 1:
        raise OptionError(
            f"{label}: strides > 1 and dilation_rate > 1 cannot be combined, got strides={strides} and "
            f"dilation_rate={dilation_rate}. Use one of the two."
        )
