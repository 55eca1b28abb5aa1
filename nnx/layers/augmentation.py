"""Layers that change images at random in training: flips, crops, translations, rotations, zooms.

Each image is changed by itself. The random numbers follow from the layer's ``seed``, or the model's, and the
step, as the masks of Dropout do, so they are the same on every array library. Places are in float64.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

from nnx.backend import adapter_of, device_of, namespace
from nnx.backend.philox import NOISE
from nnx.errors import OptionError
from nnx.layers.base import Layer, registry
from nnx.layers.image_sizes import NewSize, largest_window
from nnx.layers.resampling import FILL_MODE, INTERPOLATION, Sampling, resized
from nnx.layers.space import channels_last, lengths_of
from nnx.layers.spec import Context, Spec
from nnx.layers.symbols import Shape
from nnx.options import Number, Seed, number, one_of, option

Range = tuple[float, float]


@dataclass(frozen=True)
class Factor:
    """The check of a factor, a number f for −f … f, or a pair (lower, upper); kept as the pair.

    Each number is within ``bounds``; with ``open_below`` the lowest is left out.
    """

    bounds: Range = (-1.0, 1.0)
    open_below: bool = False
    optional: bool = False

    def __call__(self, where: str, name: str, value: Any) -> Range | None:
        if value is None and self.optional:
            return None
        pair = (-abs(value), abs(value)) if _is_number(value) else value
        least, most = self.bounds
        within = Number(above=least, most=most) if self.open_below else Number(least=least, most=most)
        if not isinstance(pair, tuple | list) or len(pair) != 2 or not all(map(within.allows, pair)):
            raise OptionError(f"{where}: {name} must be {self}, got {value!r}.")
        lower, upper = sorted(map(float, pair))
        return lower, upper

    def __str__(self) -> str:
        sign = ">" if self.open_below else ">="
        text = (
            f"a number {sign} {self.bounds[0]:g} and <= {self.bounds[1]:g}, or a pair (lower, upper) of them"
        )
        return text + (", or None" if self.optional else "")


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def drawn(x: Any, context: Context, seed: int | None, count: int) -> Any:
    """``count`` uniform numbers in [0, 1) for each sample of ``x``, (n, count), in float64."""
    adapter = adapter_of(x)
    stream = context.stream(NOISE, seed)
    return adapter.uniform(stream, (x.shape[0], count), adapter.dtype("float64"), device_of(x))


def between(u: Any, factor: Range) -> Any:
    """Uniform numbers between the bounds of ``factor`` out of those between 0 and 1, as (n, 1, 1)."""
    return (factor[0] + u * (factor[1] - factor[0]))[:, None, None]


def pixels_of(x: Any, like: Any) -> tuple[Any, Any]:
    """The rows (1, height, 1) and columns (1, 1, width) of the images ``x``, as arrays as ``like``."""
    xp = namespace(like)
    rows, columns = (xp.arange(n, dtype=like.dtype, device=device_of(like)) for n in x.shape[1:3])
    return rows[None, :, None], columns[None, None, :]


class RandomImages(Layer):
    """Base of the layers that change images in training only."""

    random: ClassVar[bool] = True

    def spec(self, input_shape: Shape) -> Spec:  # type: ignore[override]
        lengths_of(self.label, input_shape, 2)
        return Spec(input_shape)


@registry.register()
@dataclass(frozen=True)
class RandomFlip(RandomImages):
    """In training, each image is turned left to right, or top to bottom, with probability ½.

    ``mode`` is "horizontal", "vertical" or "horizontal_and_vertical", where each of the two turns has its own
    coin (in Keras 3 one coin does both).
    Raises :class:`nnx.errors.ShapeError` for samples that are no images.

    Shapes: (n, a, b, channels) → (n, a, b, channels). Source: Keras' ``layers.RandomFlip``.

    >>> x = np.asarray([[[[1.0], [2.0]]]] * 4)
    >>> nnx.layers.RandomFlip("horizontal", seed=0)(x, training=True)[:, 0, :, 0]
    array([[2., 1.],
           [1., 2.],
           [2., 1.],
           [2., 1.]])
    """

    mode: str = one_of("horizontal", "vertical", "horizontal_and_vertical", default="horizontal_and_vertical")
    seed: int | None = option(Seed(), None)
    data_format: str | None = channels_last()

    def forward(self, p: Mapping[str, Any], x: Any, context: Context) -> Any:
        if not context.training:
            return x
        xp = namespace(x)
        coins = drawn(x, context, self.seed, 2)[:, :, None, None, None] < 0.5
        for k, (axis, name) in enumerate(((2, "horizontal"), (1, "vertical"))):
            if name in self.mode:
                x = xp.where(coins[:, k, ...], xp.flip(x, axis=axis), x)
        return x


@registry.register()
@dataclass(frozen=True)
class RandomCrop(NewSize):
    """In training, ``height`` × ``width`` pixels from a random place of each image.

    In prediction, and of images that are smaller along an axis, the largest part in the middle with those
    proportions is resized (bilinear).
    Raises :class:`nnx.errors.ShapeError` for samples that are no images.

    Shapes: (n, 6, 8, channels) → (n, 4, 6, channels). Source: Keras' ``layers.RandomCrop``, whose place is
    one for the whole batch.

    >>> nnx.layers.RandomCrop(1, 2, seed=0)(np.arange(5.0).reshape(1, 1, 5, 1), training=True).ravel()
    array([1., 2.])
    """

    random: ClassVar[bool] = True
    seed: int | None = option(Seed(), None)
    data_format: str | None = channels_last()

    def forward(self, p: Mapping[str, Any], x: Any, context: Context) -> Any:
        spare = x.shape[1] - self.height, x.shape[2] - self.width
        if not context.training or min(spare) < 0:
            return resized(largest_window(x, self.size), self.size, "bilinear")
        u = drawn(x, context, self.seed, 2)
        xp = namespace(u)
        rows, columns = (
            xp.floor(u[:, k] * (spare[k] + 1.0))[:, None]
            + xp.arange(self.size[k], dtype=u.dtype, device=device_of(u))[None, :]
            for k in (0, 1)
        )
        return Sampling("nearest", "nearest")(x, rows[:, :, None], columns[:, None, :])


class RandomPlaces(RandomImages):
    """Base of the layers that see an image at other places, some of which lie outside."""

    # fields of the derived classes, each at its place among theirs
    fill_mode: Any
    interpolation: Any
    fill_value: Any
    seed: Any

    def forward(self, p: Mapping[str, Any], x: Any, context: Context) -> Any:
        if not context.training:
            return x
        u = drawn(x, context, self.seed, 2)
        rows, columns = self._places(u, x.shape[1], x.shape[2], *pixels_of(x, u))
        return Sampling(self.interpolation, self.fill_mode, self.fill_value)(x, rows, columns)

    def _places(self, u: Any, height: int, width: int, rows: Any, columns: Any) -> tuple[Any, Any]:
        """Where in an image each pixel of the result lies: its rows and columns, by uniform numbers ``u``."""
        raise NotImplementedError


@registry.register()
@dataclass(frozen=True)
class RandomTranslation(RandomPlaces):
    """In training, each image is moved down and to the right by random parts of its height and width.

    Of ``height_factor`` (and ``width_factor``) a number f stands for −f … f, a pair for its lower and upper
    bound. What comes in from outside says ``fill_mode``: "reflect" (d c b a | a b c d | d c b a), "wrap"
    (a b c d | a b c d), "nearest" (a a a | a b c d | d d d) or "constant" (the number ``fill_value``).
    Raises :class:`nnx.errors.ShapeError` for samples that are no images.

    Shapes: (n, a, b, channels) → (n, a, b, channels). Source: Keras' ``layers.RandomTranslation``.

    >>> x = np.asarray([[[[1.0], [2.0], [3.0], [4.0]]]])
    >>> nnx.layers.RandomTranslation(0.0, (0.25, 0.25), "constant")(x, training=True)[0, 0, :, 0]
    array([0., 1., 2., 3.])
    """

    height_factor: Any = option(Factor())
    width_factor: Any = option(Factor())
    fill_mode: str = option(FILL_MODE, "reflect")
    interpolation: str = option(INTERPOLATION, "bilinear")
    seed: int | None = option(Seed(), None)
    fill_value: float = number(0.0)
    data_format: str | None = channels_last()

    def _places(self, u: Any, height: int, width: int, rows: Any, columns: Any) -> tuple[Any, Any]:
        down, right = between(u[:, 0], self.height_factor), between(u[:, 1], self.width_factor)
        return rows - down * height, columns - right * width


@registry.register()
@dataclass(frozen=True)
class RandomRotation(RandomPlaces):
    """In training, each image is turned about its middle by a random part of a whole turn.

    Of ``factor`` a number f stands for −f … f, a pair for its lower and upper bound, in turns; positive ones
    are counter-clockwise. ``fill_mode`` is that of :class:`RandomTranslation`.
    Raises :class:`nnx.errors.ShapeError` for samples that are no images.

    Shapes: (n, a, b, channels) → (n, a, b, channels). Source: Keras' ``layers.RandomRotation``.

    >>> x = np.asarray([[[[1.0], [2.0]], [[3.0], [4.0]]]])
    >>> np.round(nnx.layers.RandomRotation((0.25, 0.25))(x, training=True)[0, :, :, 0], 12)
    array([[2., 4.],
           [1., 3.]])
    """

    factor: Any = option(Factor())
    fill_mode: str = option(FILL_MODE, "reflect")
    interpolation: str = option(INTERPOLATION, "bilinear")
    seed: int | None = option(Seed(), None)
    fill_value: float = number(0.0)
    data_format: str | None = channels_last()

    def _places(self, u: Any, height: int, width: int, rows: Any, columns: Any) -> tuple[Any, Any]:
        xp = namespace(u)
        angle = between(u[:, 0], self.factor) * (2.0 * math.pi)
        cosine, sine = xp.cos(angle), xp.sin(angle)
        down, right = rows - (height - 1) / 2, columns - (width - 1) / 2
        return (
            sine * right + cosine * down + (height - 1) / 2,
            cosine * right - sine * down + (width - 1) / 2,
        )


@registry.register()
@dataclass(frozen=True)
class RandomZoom(RandomPlaces):
    """In training, each image is seen from a random distance: 1 + z times as much of it along each axis.

    Of ``height_factor`` (and ``width_factor``; None: the same z for both) a number f stands for z from −f to
    f, a pair for its lower and upper bound. Positive z zooms out, negative z in. ``fill_mode`` is that of
    :class:`RandomTranslation`.
    Raises :class:`nnx.errors.ShapeError` for samples that are no images.

    Shapes: (n, a, b, channels) → (n, a, b, channels). Source: Keras' ``layers.RandomZoom``.

    >>> x = np.asarray([[[[1.0], [2.0], [3.0]]]])
    >>> nnx.layers.RandomZoom((-0.5, -0.5))(x, training=True)[0, 0, :, 0]
    array([1.5, 2. , 2.5])
    """

    height_factor: Any = option(Factor(open_below=True))
    width_factor: Any = option(Factor(open_below=True, optional=True), None)
    fill_mode: str = option(FILL_MODE, "reflect")
    interpolation: str = option(INTERPOLATION, "bilinear")
    seed: int | None = option(Seed(), None)
    fill_value: float = number(0.0)
    data_format: str | None = channels_last()

    def _places(self, u: Any, height: int, width: int, rows: Any, columns: Any) -> tuple[Any, Any]:
        down = 1.0 + between(u[:, 0], self.height_factor)
        across = down if self.width_factor is None else 1.0 + between(u[:, 1], self.width_factor)
        middle = (height - 1) / 2, (width - 1) / 2
        return (rows - middle[0]) * down + middle[0], (columns - middle[1]) * across + middle[1]
