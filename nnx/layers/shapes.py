"""Layers that move entries about: Flatten, Reshape, Permute; and Rescaling."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nnx.backend import namespace
from nnx.errors import OptionError, ShapeError
from nnx.layers.base import Layer, registry
from nnx.layers.spec import Spec
from nnx.layers.symbols import Shape
from nnx.options import Numbers, number, option

_TARGET = Numbers("positive integers and at most one -1", lambda n: n > 0 or n == -1)
_DIMS = Numbers("a permutation of 1, 2, ..., as (2, 1)")


@registry.register()
@dataclass(frozen=True)
class Flatten(Layer):
    """Each sample as one vector.

    Shapes: (n, a, b) → (n, a·b). Source: Keras' ``layers.Flatten``.

    >>> nnx.layers.Flatten().spec((2, 3)).output_shape
    (6,)
    """

    def spec(self, input_shape: Shape) -> Spec:  # type: ignore[override]
        return Spec((math.prod(input_shape),))

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        return namespace(x).reshape(x, (x.shape[0], math.prod(x.shape[1:])))


@registry.register()
@dataclass(frozen=True)
class Reshape(Layer):
    """Each sample in the shape ``target_shape``; one of its numbers may be −1, which is then computed.

    Raises :class:`nnx.errors.OptionError` for more than one −1, :class:`nnx.errors.ShapeError` for samples of
    another size.
    Shapes: (n, ...) → ``(n, *target_shape)``. Source: Keras' ``layers.Reshape``.

    >>> nnx.layers.Reshape((2, -1)).spec((6,)).output_shape
    (2, 3)
    """

    target_shape: Shape = option(_TARGET)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.target_shape.count(-1) > 1:
            raise OptionError(f"Reshape: target_shape must be {_TARGET.words}, got {self.target_shape!r}.")

    def spec(self, input_shape: Shape) -> Spec:  # type: ignore[override]
        total, known = math.prod(input_shape), math.prod(n for n in self.target_shape if n != -1)
        if total % known if -1 in self.target_shape else total != known:
            raise ShapeError(f"Reshape cannot make {self.target_shape} of samples of shape {input_shape}.")
        return Spec(tuple(total // known if n == -1 else n for n in self.target_shape))

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        return namespace(x).reshape(x, (x.shape[0], *self.spec(x.shape[1:]).output_shape))


@registry.register()
@dataclass(frozen=True)
class Permute(Layer):
    """Each sample with its axes in the order ``dims``, which counts from 1 as in Keras.

    Raises :class:`nnx.errors.OptionError` for ``dims`` that are no permutation,
    :class:`nnx.errors.ShapeError` for samples of another number of axes.
    Shapes: (n, a, b) → (n, b, a). Source: Keras' ``layers.Permute``.

    >>> nnx.layers.Permute((2, 1)).spec((3, 5)).output_shape
    (5, 3)
    """

    dims: Shape = option(_DIMS)

    def __post_init__(self) -> None:
        super().__post_init__()
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise OptionError(
                f"Permute: dims must be a permutation of 1 … {len(self.dims)}, got {self.dims}."
            )

    def spec(self, input_shape: Shape) -> Spec:  # type: ignore[override]
        if len(input_shape) != len(self.dims):
            raise ShapeError(
                f"Permute{self.dims} needs samples of {len(self.dims)} axes, got shape {input_shape}."
            )
        return Spec(tuple(input_shape[d - 1] for d in self.dims))

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        return namespace(x).permute_dims(x, (0, *self.dims))


@registry.register()
@dataclass(frozen=True)
class Rescaling(Layer):
    """``x · scale + offset``, for example ``Rescaling(1 / 255)`` for pixels.

    Shapes: (n, ...) → (n, ...). Source: Keras' ``layers.Rescaling``.

    >>> nnx.layers.Rescaling(0.5, offset=1.0).forward({}, np.asarray([[2.0]]))
    array([[2.]])
    """

    supports_masking: ClassVar[bool] = True

    scale: float = number()
    offset: float = number(0.0)

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        return x * self.scale + self.offset
