"""Layers that put zeros around a sample, or cut cells off: ZeroPadding and Cropping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar

from nnx.backend import device_of, namespace
from nnx.errors import OptionError, ShapeError
from nnx.layers.base import Layer, registry
from nnx.layers.space import Pairs, channels_last, lengths_of
from nnx.layers.spec import Spec
from nnx.layers.symbols import Shape
from nnx.options import option


@dataclass(frozen=True)
class Edges:
    """The check that an option says how many cells there are at both ends of each of ``axes`` axes.

    One number serves all ends; one for each axis its two ends. Kept as a pair for each axis (as the pair
    alone where there is one axis).
    """

    axes: int

    def __call__(self, where: str, name: str, value: Any) -> Any:
        pairs = self._pairs(value)
        if pairs is None or len(pairs) != self.axes:
            raise OptionError(f"{where}: {name} must be {self}, got {value!r}.")
        return pairs[0] if self.axes == 1 else pairs

    def _pairs(self, value: Any) -> Pairs | None:
        if _is_count(value):
            return ((int(value), int(value)),) * self.axes
        if not _is_sequence(value):
            return None
        parts = [value] if self.axes == 1 else [(n, n) if _is_count(n) else n for n in value]
        if not all(_is_sequence(part) and len(part) == 2 and all(map(_is_count, part)) for part in parts):
            return None
        return tuple((int(first), int(last)) for first, last in parts)

    def __str__(self) -> str:
        if self.axes == 1:
            return "a whole number >= 0, or two (left, right)"
        return f"a whole number >= 0, or {self.axes} of them, or {self.axes} pairs of them, as ((1, 2), ...)"


def _is_count(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 0


def _is_sequence(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def zeros_around(x: Any, pairs: Pairs) -> Any:
    """``x``, (n, ...), with zeros at both ends of the axes from the second on."""
    xp = namespace(x)
    for axis, ends in enumerate(pairs, 1):
        if any(ends):
            shapes = [(*x.shape[:axis], n, *x.shape[axis + 1 :]) for n in ends]
            first, last = (xp.zeros(shape, dtype=x.dtype, device=device_of(x)) for shape in shapes)
            x = xp.concat([first, x, last], axis=axis)
    return x


@dataclass(frozen=True)
class ZeroPadding(Layer):
    """Base of the layers that put zeros around a sample."""

    axes: ClassVar[int]
    padding: Any

    def spec(self, input_shape: Shape) -> Spec:  # type: ignore[override]
        lengths = lengths_of(self.label, input_shape, self.axes)
        ends = zip(lengths, self.pairs, strict=True)
        return Spec((*(length + first + last for length, (first, last) in ends), input_shape[-1]))

    @property
    def pairs(self) -> Pairs:
        """How many zeros there are at both ends of each axis."""
        return (self.padding,) if self.axes == 1 else self.padding

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        return zeros_around(x, self.pairs)


@dataclass(frozen=True)
class Cropping(Layer):
    """Base of the layers that cut cells off."""

    axes: ClassVar[int]
    cropping: Any

    def spec(self, input_shape: Shape) -> Spec:  # type: ignore[override]
        lengths = lengths_of(self.label, input_shape, self.axes)
        left = tuple(n - first - last for n, (first, last) in zip(lengths, self._pairs, strict=True))
        if min(left) < 1:
            raise ShapeError(
                f"{self.label}(cropping={self.cropping}) leaves nothing of samples of shape {input_shape}."
            )
        return Spec((*left, input_shape[-1]))

    @property
    def _pairs(self) -> Pairs:
        return (self.cropping,) if self.axes == 1 else self.cropping

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        ends = zip(x.shape[1:], self._pairs, strict=False)
        return x[(slice(None), *(slice(first, n - last) for n, (first, last) in ends), ...)]


@registry.register()
@dataclass(frozen=True)
class ZeroPadding1D(ZeroPadding):
    """Each sample with ``padding`` steps of zeros before and after; a pair says how many of each.

    Raises :class:`nnx.errors.ShapeError` for samples of another number of axes.

    Shapes: (n, a, channels) → (n, a+2, channels). Source: Keras' ``layers.ZeroPadding1D``.

    >>> nnx.layers.ZeroPadding1D((1, 2))(np.ones((1, 2, 1)))[0, :, 0]
    array([0., 1., 1., 0., 0.])
    """

    axes: ClassVar[int] = 1
    padding: Any = option(Edges(1), 1)
    data_format: str | None = channels_last()


@registry.register()
@dataclass(frozen=True)
class ZeroPadding2D(ZeroPadding):
    """Each sample with ``padding`` pixels of zeros around.

    ``padding`` is one number, or (height, width), or ((top, bottom), (left, right)).
    Raises :class:`nnx.errors.ShapeError` for samples of another number of axes.

    Shapes: (n, a, b, channels) → (n, a+2, b+2, channels). Source: Keras' ``layers.ZeroPadding2D``.

    >>> nnx.layers.ZeroPadding2D(((0, 1), (2, 0)))(np.ones((1, 1, 1, 1)))[0, :, :, 0]
    array([[0., 0., 1.],
           [0., 0., 0.]])
    """

    axes: ClassVar[int] = 2
    padding: Any = option(Edges(2), (1, 1))
    data_format: str | None = channels_last()


@registry.register()
@dataclass(frozen=True)
class ZeroPadding3D(ZeroPadding):
    """Each sample with ``padding`` cells of zeros around.

    ``padding`` is one number, one for each axis (depth, height, width), or a pair for each.
    Raises :class:`nnx.errors.ShapeError` for samples of another number of axes.

    Shapes: (n, a, b, d, channels) → (n, a+2, b+2, d+2, channels). Source: Keras' ``layers.ZeroPadding3D``.

    >>> nnx.layers.ZeroPadding3D((0, 1, 2))(np.ones((1, 1, 1, 1, 1))).shape
    (1, 1, 3, 5, 1)
    """

    axes: ClassVar[int] = 3
    padding: Any = option(Edges(3), (1, 1, 1))
    data_format: str | None = channels_last()


@registry.register()
@dataclass(frozen=True)
class Cropping1D(Cropping):
    """Each sample without its first and last ``cropping`` steps; a pair says how many of each.

    Raises :class:`nnx.errors.ShapeError` for samples of another number of axes, and where nothing is left.

    Shapes: (n, 6, channels) → (n, 4, channels). Source: Keras' ``layers.Cropping1D``.

    >>> nnx.layers.Cropping1D((1, 2))(np.arange(5.0).reshape(1, 5, 1)).ravel()
    array([1., 2.])
    """

    axes: ClassVar[int] = 1
    cropping: Any = option(Edges(1), (1, 1))


@registry.register()
@dataclass(frozen=True)
class Cropping2D(Cropping):
    """Each sample without ``cropping`` pixels at its edges.

    ``cropping`` is one number, or (height, width), or ((top, bottom), (left, right)).
    Raises :class:`nnx.errors.ShapeError` for samples of another number of axes, and where nothing is left.

    Shapes: (n, a, b, channels) → (n, a, b, channels). Source: Keras' ``layers.Cropping2D``.

    >>> nnx.layers.Cropping2D(((1, 0), (0, 2)))(np.arange(12.0).reshape(1, 3, 4, 1))[0, :, :, 0]
    array([[4., 5.],
           [8., 9.]])
    """

    axes: ClassVar[int] = 2
    cropping: Any = option(Edges(2), ((0, 0), (0, 0)))
    data_format: str | None = channels_last()


@registry.register()
@dataclass(frozen=True)
class Cropping3D(Cropping):
    """Each sample without ``cropping`` cells at its edges.

    ``cropping`` is one number, one for each axis (depth, height, width), or a pair for each.
    Raises :class:`nnx.errors.ShapeError` for samples of another number of axes, and where nothing is left.

    Shapes: (n, 6, 4, 4, channels) → (n, 4, 2, 2, channels). Source: Keras' ``layers.Cropping3D``.

    >>> nnx.layers.Cropping3D((0, 1, 0))(np.ones((1, 2, 3, 4, 1))).shape
    (1, 2, 1, 4, 1)
    """

    axes: ClassVar[int] = 3
    cropping: Any = option(Edges(3), ((1, 1), (1, 1), (1, 1)))
    data_format: str | None = channels_last()
