"""What layers over the axes of space share: options for each axis, and where windows lie along one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nnx.errors import OptionError, ShapeError
from nnx.layers.symbols import Shape
from nnx.options import Numbers, option


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
    if len(input_shape) == axes + 1:
        return tuple(input_shape[:-1])
    names = ("steps",) if axes == 1 else ("depth", "height", "width")[3 - axes :]
    missing = " If the channels' axis is missing, add it: x[..., None] has one channel."
    raise ShapeError(
        f"{where} needs samples of {axes + 1} axes ({', '.join((*names, 'channels'))}), got samples of "
        f"shape {input_shape}.{missing if len(input_shape) == axes else ''}"
    )


#: how many cells outside there are at both ends of each axis
Pairs = tuple[tuple[int, int], ...]
#: where windows lie along an axis: a name, or the numbers of cells outside at both ends
Padding = str | tuple[int, int]


def windows_along(length: int, reach: int, stride: int, padding: Padding) -> tuple[int, int] | None:
    """``(before, count)``: how many cells the first window begins outside, and how many windows there are.

    ``reach`` is a window's span, ``stride`` its step, both ≥ 1. They lie inside (``padding`` "valid", None
    where not even one does); with "same" there are ⌈length / stride⌉ of them and the cells outside are shared
    between both ends, an odd one at the end (as in Keras); with "causal" all are in front. Two numbers say
    how many cells outside there are at both ends, among which the windows lie.
    """
    if not isinstance(padding, str):
        before, after = padding
        whole = before + length + after
        return (before, (whole - reach) // stride + 1) if reach <= whole else None
    if padding == "valid":
        return (0, (length - reach) // stride + 1) if reach <= length else None
    count = -(-length // stride)
    return (reach - 1 if padding == "causal" else max((count - 1) * stride + reach - length, 0) // 2), count
