"""Pooling over all of space: GlobalMaxPooling and GlobalAveragePooling over one, two and three axes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nnx.autodiff.array import raw
from nnx.backend import namespace
from nnx.layers.base import Layer, registry
from nnx.layers.space import channels_last, lengths_of
from nnx.layers.spec import Spec
from nnx.layers.symbols import Shape
from nnx.options import flag


@dataclass(frozen=True)
class GlobalPooling(Layer):
    """Base of the layers that make one number of each channel."""

    axes: ClassVar[int]

    data_format: str | None = channels_last()
    keepdims: bool = flag(False)

    def spec(self, input_shape: Shape) -> Spec:  # type: ignore[override]
        lengths_of(self.label, input_shape, self.axes)
        return Spec(self._with_axes(input_shape[-1]))

    def _with_axes(self, channels: int) -> Shape:
        return (*(1,) * (self.axes if self.keepdims else 0), channels)

    def _cells(self, x: Any) -> Any:
        """``x`` as (n, cells, channels)."""
        return namespace(x).reshape(x, (x.shape[0], math.prod(x.shape[1:-1]), x.shape[-1]))

    def _result(self, y: Any) -> Any:
        return namespace(y).reshape(y, (y.shape[0], *self._with_axes(y.shape[-1])))


@dataclass(frozen=True)
class GlobalMaxPooling(GlobalPooling):
    """The largest number of each channel."""

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        cells = self._cells(x)
        xp = namespace(cells)
        plain = raw(cells)
        first = namespace(plain).argmax(plain, axis=1, keepdims=True)
        return self._result(xp.take_along_axis(cells, first, axis=1))


@dataclass(frozen=True)
class GlobalAveragePooling(GlobalPooling):
    """The mean of each channel."""

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        return self._result(namespace(x).mean(self._cells(x), axis=1))


@registry.register("GlobalMaxPool1D")
@dataclass(frozen=True)
class GlobalMaxPooling1D(GlobalMaxPooling):
    """The largest number of each channel over all steps, with ``keepdims`` in an axis of length 1.

    NaN where a channel holds one; of several equal maxima the first is differentiated.
    Raises :class:`nnx.errors.ShapeError` for samples of another number of axes.

    Shapes: (n, a, channels) → (n, channels). Source: Keras' ``layers.GlobalMaxPooling1D``.

    >>> nnx.layers.GlobalMaxPooling1D()(np.asarray([[[1.0, 5.0], [4.0, 2.0]]]))
    array([[4., 5.]])
    """

    axes: ClassVar[int] = 1


@registry.register("GlobalMaxPool2D")
@dataclass(frozen=True)
class GlobalMaxPooling2D(GlobalMaxPooling):
    """The largest number of each channel over all pixels, with ``keepdims`` in two axes of length 1.

    NaN where a channel holds one; of several equal maxima the first, row after row, is differentiated.
    Raises :class:`nnx.errors.ShapeError` for samples of another number of axes.

    Shapes: (n, a, b, channels) → (n, channels). Source: Keras' ``layers.GlobalMaxPooling2D``.

    >>> nnx.layers.GlobalMaxPooling2D()(np.arange(12.0).reshape(1, 3, 2, 2))
    array([[10., 11.]])
    """

    axes: ClassVar[int] = 2


@registry.register("GlobalMaxPool3D")
@dataclass(frozen=True)
class GlobalMaxPooling3D(GlobalMaxPooling):
    """The largest number of each channel over all cells, with ``keepdims`` in three axes of length 1.

    NaN where a channel holds one; of several equal maxima the first is differentiated.
    Raises :class:`nnx.errors.ShapeError` for samples of another number of axes.

    Shapes: (n, a, b, d, channels) → (n, channels). Source: Keras' ``layers.GlobalMaxPooling3D``.

    >>> nnx.layers.GlobalMaxPooling3D(keepdims=True)(np.arange(12.0).reshape(1, 3, 2, 1, 2)).shape
    (1, 1, 1, 1, 2)
    """

    axes: ClassVar[int] = 3


@registry.register("GlobalAvgPool1D")
@dataclass(frozen=True)
class GlobalAveragePooling1D(GlobalAveragePooling):
    """The mean of each channel over all steps, with ``keepdims`` in an axis of length 1.

    With a mask of shape (n, a), which follows from layers in front or is ``mask=``, over those steps where it
    is True; 0 where there is none (Keras: NaN).
    Raises :class:`nnx.errors.ShapeError` for samples of another number of axes.

    Shapes: (n, a, channels) → (n, channels). Source: Keras' ``layers.GlobalAveragePooling1D``.

    >>> x = np.asarray([[[1.0, 5.0], [4.0, 3.0]]])
    >>> nnx.layers.GlobalAveragePooling1D()(x)
    array([[2.5, 4. ]])
    >>> nnx.layers.GlobalAveragePooling1D().forward({}, x, mask=np.asarray([[True, False]]))
    array([[1., 5.]])
    """

    axes: ClassVar[int] = 1
    takes_mask: ClassVar[bool] = True

    def forward(self, p: Mapping[str, Any], x: Any, mask: Any = None) -> Any:
        if mask is None:
            return super().forward(p, x)
        xp = namespace(x)
        inside = mask[:, :, None]
        total = xp.sum(xp.where(inside, x, xp.zeros_like(x)), axis=1)
        steps = namespace(mask).astype(mask, x.dtype)
        return self._result(total / xp.maximum(xp.sum(steps, axis=1, keepdims=True), 1.0))


@registry.register("GlobalAvgPool2D")
@dataclass(frozen=True)
class GlobalAveragePooling2D(GlobalAveragePooling):
    """The mean of each channel over all pixels, with ``keepdims`` in two axes of length 1.

    Raises :class:`nnx.errors.ShapeError` for samples of another number of axes.

    Shapes: (n, a, b, channels) → (n, channels). Source: Keras' ``layers.GlobalAveragePooling2D``.

    >>> nnx.layers.GlobalAveragePooling2D()(np.arange(12.0).reshape(1, 3, 2, 2))
    array([[5., 6.]])
    """

    axes: ClassVar[int] = 2


@registry.register("GlobalAvgPool3D")
@dataclass(frozen=True)
class GlobalAveragePooling3D(GlobalAveragePooling):
    """The mean of each channel over all cells, with ``keepdims`` in three axes of length 1.

    Raises :class:`nnx.errors.ShapeError` for samples of another number of axes.

    Shapes: (n, a, b, d, channels) → (n, channels). Source: Keras' ``layers.GlobalAveragePooling3D``.

    >>> nnx.layers.GlobalAveragePooling3D(keepdims=True)(np.arange(12.0).reshape(1, 3, 2, 1, 2)).shape
    (1, 1, 1, 1, 2)
    """

    axes: ClassVar[int] = 3
