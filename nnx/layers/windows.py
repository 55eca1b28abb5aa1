"""What layers over the axes of space share: options for each axis, windows, and pooling with derivatives."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nnx.autodiff import fused
from nnx.autodiff.array import raw
from nnx.backend import adapter_of
from nnx.backend.pooling import Window
from nnx.errors import OptionError, ShapeError
from nnx.layers.symbols import Shape
from nnx.options import Numbers, option

Array = Any
Windows = tuple[Window, ...]


# -- options --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ChannelsLast:
    """The check of ``data_format``: nnx has the channels last, and says so where they are asked for first."""

    def __call__(self, where: str, name: str, value: Any) -> None:
        if value == "channels_first":
            raise OptionError(
                f"{where}: {name}='channels_first' is not there: channels are the last axis. Move them, with "
                "numpy.moveaxis(x, 1, -1) or the layer Permute."
            )
        if value not in (None, "channels_last"):
            raise OptionError(f"{where}: {name} must be {self}, got {value!r}.")

    def __str__(self) -> str:
        return "'channels_last' or None"


def channels_last() -> Any:
    """A dataclass field for Keras' ``data_format``."""
    return option(ChannelsLast(), None)


POSITIVE = Numbers("a whole number >= 1, or one for each axis", lambda n: n >= 1)
POSITIVE_OR_NONE = Numbers(f"{POSITIVE.words}, or None", lambda n: n >= 1, optional=True)


def each_axis(where: str, name: str, values: Sequence[int], axes: int) -> Shape:
    """``values`` as one for each of the axes; OptionError where there are neither as many nor one."""
    if len(values) not in (1, axes):
        raise OptionError(f"{where}: {name} must be one number or {axes}, got {tuple(values)}.")
    return tuple(values) * (axes // len(values))


def lengths_of(where: str, input_shape: Shape, axes: int) -> Shape:
    """The lengths of the axes of space; ShapeError for samples of another number of axes."""
    if len(input_shape) != axes + 1:
        names = ("steps",) if axes == 1 else ("depth", "height", "width")[3 - axes :]
        raise ShapeError(
            f"{where} needs samples of {axes + 1} axes ({', '.join((*names, 'channels'))}), got samples of "
            f"shape {input_shape}."
        )
    return input_shape[:-1]


# -- windows --------------------------------------------------------------------------------------------


def windows_of(where: str, lengths: Shape, sizes: Shape, strides: Shape, padding: str) -> Windows:
    """The windows along each axis: inside it (``"valid"``), or ⌈length / stride⌉ of them (``"same"``).

    With "same" the cells outside are shared between both ends; an odd one comes at the end (as in Keras).
    Raises :class:`nnx.errors.ShapeError` for windows that do not fit inside.
    """
    found = []
    for length, size, stride in zip(lengths, sizes, strides, strict=True):
        if padding == "same":
            count = -(-length // stride)
            before = max((count - 1) * stride + size - length, 0) // 2
        elif size <= length:
            count, before = (length - size) // stride + 1, 0
        else:
            raise ShapeError(
                f"{where}: windows of {sizes} cells do not fit into samples of {lengths}. Make them smaller, "
                "or use padding='same'."
            )
        found.append(Window(length, size, stride, before, count))
    return tuple(found)


def shares(windows: Windows, xp: Any, like: Array) -> Any:
    """1 over the number of cells in each window: a number, or an array where some reach outside."""
    counts = []
    for w in windows:
        starts = [i * w.stride - w.before for i in range(w.count)]
        counts.append([min(start + w.size, w.length) - max(start, 0) for start in starts])
    if all(len(set(along)) == 1 for along in counts):
        return 1.0 / math.prod(along[0] for along in counts)
    share: Any = 1.0
    for axis, along in enumerate(counts, 1):
        shape = [1] * like.ndim
        shape[axis] = len(along)
        parts = xp.asarray([1.0 / n for n in along], dtype=like.dtype, device=like.device)
        share = xp.reshape(parts, tuple(shape)) * share
    return share


# -- pooling, with derivatives of every order -----------------------------------------------------------
#
# A maximum chooses entries of x. Which ones follows from x and y, held constant: so the tangent and the
# cotangent are linear, and each the other's transpose.


def _linear(transpose: Callable[..., Array]) -> Callable[[Callable[..., Array]], Callable[..., Array]]:
    """Decorator of a function that is linear in its first argument, with its transpose for the cotangents."""

    def wrap(function: Callable[..., Array]) -> Callable[..., Array]:
        def reverse(
            xp: Any, g: Array, needs: Any, y: Array, x: Array, *fixed: Array, windows: Windows
        ) -> Any:
            return (transpose(g, *fixed, windows=windows), *(None for _ in fixed))

        def forward(xp: Any, tangents: Any, y: Array, x: Array, *fixed: Array, windows: Windows) -> Array:
            return made(tangents[0], *fixed, windows=windows)

        made = fused(reverse=reverse, forward=forward, samples=True)(function)
        return made

    return wrap


@_linear(lambda g, x, y, *, windows: from_maxima(g, x, y, windows=windows))
def at_maxima(t: Array, x: Array, y: Array, *, windows: Windows) -> Array:
    """The entries of ``t`` where the windows of ``x`` have their maxima ``y``."""
    return adapter_of(t).at_maxima(t, x, y, windows)


@_linear(at_maxima)
def from_maxima(g: Array, x: Array, y: Array, *, windows: Windows) -> Array:
    """The entries of ``g`` added up where the windows of ``x`` have their maxima ``y``."""
    return adapter_of(g).from_maxima(g, x, y, windows)


def _max_pool_back(xp: Any, g: Array, needs: Any, y: Array, x: Array, *, windows: Windows) -> tuple[Array]:
    return (from_maxima(g, raw(x), raw(y), windows=windows),)


def _max_pool_forward(xp: Any, tangents: Any, y: Array, x: Array, *, windows: Windows) -> Array:
    return at_maxima(tangents[0], raw(x), raw(y), windows=windows)


@fused(reverse=_max_pool_back, forward=_max_pool_forward, samples=True)
def max_pool(x: Array, *, windows: Windows) -> Array:
    """The largest entry of each window; of several equal ones the first is differentiated."""
    return adapter_of(x).max_pool(x, windows)


@_linear(lambda g, *, windows: from_sums(g, windows=windows))
def sum_pool(x: Array, *, windows: Windows) -> Array:
    """The sum of the entries in each window."""
    return adapter_of(x).sum_pool(x, windows)


@_linear(sum_pool)
def from_sums(g: Array, *, windows: Windows) -> Array:
    """Each entry of ``g`` added to all cells of its window."""
    return adapter_of(g).from_sums(g, windows)
