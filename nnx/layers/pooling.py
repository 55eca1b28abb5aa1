"""Pooling over windows: MaxPooling and AveragePooling over one, two and three axes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nnx.layers.base import Layer, registry
from nnx.layers.space import POSITIVE, POSITIVE_OR_NONE, channels_last, each_axis, lengths_of
from nnx.layers.spec import Spec
from nnx.layers.symbols import Shape
from nnx.layers.windows import Windows, max_pool, mean_pool, windows_of
from nnx.options import one_of, option


@dataclass(frozen=True)
class Pooling(Layer):
    """Base of the layers that make one number of each window of each channel."""

    axes: ClassVar[int]

    pool_size: Shape = option(POSITIVE)
    strides: Shape = option(POSITIVE_OR_NONE, None)
    padding: str = one_of("valid", "same", default="valid")
    data_format: str | None = channels_last()

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("pool_size", each_axis(self.label, "pool_size", self.pool_size, self.axes))
        strides = self.pool_size if self.strides is None else self.strides
        self._set("strides", each_axis(self.label, "strides", strides, self.axes))

    def spec(self, input_shape: Shape) -> Spec:  # type: ignore[override]
        return Spec((*(w.count for w in self._windows(input_shape)), input_shape[-1]))

    def _windows(self, input_shape: Shape) -> Windows:
        """The windows over samples of a shape."""
        lengths = lengths_of(self.label, input_shape, self.axes)
        return windows_of(self.label, lengths, self.pool_size, self.strides, self.padding)


@dataclass(frozen=True)
class MaxPooling(Pooling):
    """The largest number of each window."""

    pool_size: Shape = option(POSITIVE, 2)

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        return max_pool(x, windows=self._windows(x.shape[1:]))


@dataclass(frozen=True)
class AveragePooling(Pooling):
    """The mean of each window's numbers."""

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        return mean_pool(x, windows=self._windows(x.shape[1:]))


@registry.register("MaxPool1D")
@dataclass(frozen=True)
class MaxPooling1D(MaxPooling):
    """The largest number of each window of ``pool_size`` steps, channel by channel.

    The windows move by ``strides`` steps (None: by ``pool_size``). With ``padding="valid"`` they stay inside;
    with "same" there are ⌈steps / strides⌉ of them, and cells outside do not count. NaN where a window holds
    one; of several equal maxima the first is differentiated.
    Raises :class:`nnx.errors.ShapeError` for samples of another number of axes, and for windows that are
    longer than the sample.

    Shapes: (n, 6, channels) → (n, 3, channels). Source: Keras' ``layers.MaxPooling1D``.

    >>> x = np.asarray([1.0, 5.0, 2.0, 3.0, 4.0]).reshape(1, 5, 1)
    >>> nnx.layers.MaxPooling1D(3, strides=2)(x).ravel()
    array([5., 4.])
    >>> nnx.layers.MaxPooling1D(2, padding="same")(x).ravel()
    array([5., 3., 4.])
    """

    axes: ClassVar[int] = 1


@registry.register("MaxPool2D")
@dataclass(frozen=True)
class MaxPooling2D(MaxPooling):
    """The largest number of each window of ``pool_size`` pixels (height, width), channel by channel.

    The windows move by ``strides`` (None: by ``pool_size``; one number serves both axes). With
    ``padding="valid"`` they stay inside; with "same" there are ⌈length / stride⌉ along each axis, and cells
    outside do not count. NaN where a window holds one; of several equal maxima the first, row after row, is
    differentiated.
    Raises :class:`nnx.errors.ShapeError` for samples of another number of axes, and for windows that are
    longer than the sample.

    Shapes: (n, 6, 4, channels) → (n, 3, 2, channels). Source: Keras' ``layers.MaxPooling2D``.

    >>> x = np.arange(12.0).reshape(1, 3, 4, 1)
    >>> nnx.layers.MaxPooling2D()(x)[0, :, :, 0]
    array([[5., 7.]])
    >>> nnx.layers.MaxPooling2D((3, 2), strides=1)(x)[0, :, :, 0]
    array([[ 9., 10., 11.]])
    """

    axes: ClassVar[int] = 2


@registry.register("MaxPool3D")
@dataclass(frozen=True)
class MaxPooling3D(MaxPooling):
    """The largest number of each window of ``pool_size`` cells (depth, height, width), channel by channel.

    Options, errors and the choice among equal maxima are those of :class:`MaxPooling2D`.
    Raises :class:`nnx.errors.ShapeError` for samples of another number of axes, and for windows that are
    longer than the sample.

    Shapes: (n, 6, 4, 2, channels) → (n, 3, 2, 1, channels). Source: Keras' ``layers.MaxPooling3D``.

    >>> nnx.layers.MaxPooling3D()(np.arange(16.0).reshape(1, 2, 4, 2, 1)).ravel()
    array([11., 15.])
    """

    axes: ClassVar[int] = 3


@registry.register("AvgPool1D")
@dataclass(frozen=True)
class AveragePooling1D(AveragePooling):
    """The mean of each window of ``pool_size`` steps, channel by channel.

    The windows move by ``strides`` steps (None: by ``pool_size``). With ``padding="valid"`` they stay inside;
    with "same" there are ⌈steps / strides⌉ of them, and the mean is that of the cells inside.
    Raises :class:`nnx.errors.ShapeError` for samples of another number of axes, and for windows that are
    longer than the sample.

    Shapes: (n, 6, channels) → (n, 3, channels).
    Source: Keras' ``layers.AveragePooling1D`` (on JAX and TensorFlow; on PyTorch it repeats and counts the
    edge where "same" pads unevenly).

    >>> x = np.asarray([1.0, 5.0, 2.0, 3.0, 4.0]).reshape(1, 5, 1)
    >>> nnx.layers.AveragePooling1D(2)(x).ravel()
    array([3. , 2.5])
    >>> nnx.layers.AveragePooling1D(2, padding="same")(x).ravel()
    array([3. , 2.5, 4. ])
    """

    axes: ClassVar[int] = 1


@registry.register("AvgPool2D")
@dataclass(frozen=True)
class AveragePooling2D(AveragePooling):
    """The mean of each window of ``pool_size`` pixels (height, width), channel by channel.

    The windows move by ``strides`` (None: by ``pool_size``; one number serves both axes). With
    ``padding="valid"`` they stay inside; with "same" there are ⌈length / stride⌉ along each axis, and the
    mean is that of the cells inside.
    Raises :class:`nnx.errors.ShapeError` for samples of another number of axes, and for windows that are
    longer than the sample.

    Shapes: (n, 6, 4, channels) → (n, 3, 2, channels).
    Source: Keras' ``layers.AveragePooling2D`` (on JAX and TensorFlow; on PyTorch it repeats and counts the
    edge where "same" pads unevenly).

    >>> nnx.layers.AveragePooling2D(2)(np.arange(12.0).reshape(1, 3, 4, 1))[0, :, :, 0]
    array([[2.5, 4.5]])
    """

    axes: ClassVar[int] = 2


@registry.register("AvgPool3D")
@dataclass(frozen=True)
class AveragePooling3D(AveragePooling):
    """The mean of each window of ``pool_size`` cells (depth, height, width), channel by channel.

    Options and errors are those of :class:`AveragePooling2D`.
    Raises :class:`nnx.errors.ShapeError` for samples of another number of axes, and for windows that are
    longer than the sample.

    Shapes: (n, 6, 4, 2, channels) → (n, 3, 2, 1, channels). Source: Keras' ``layers.AveragePooling3D``.

    >>> nnx.layers.AveragePooling3D(2)(np.arange(16.0).reshape(1, 2, 4, 2, 1)).ravel()
    array([5.5, 9.5])
    """

    axes: ClassVar[int] = 3
