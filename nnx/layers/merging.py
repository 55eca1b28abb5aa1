"""Layers of several inputs: entry by entry, and one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, ClassVar

from nnx.backend import device_of, namespace
from nnx.errors import OptionError, ShapeError
from nnx.layers.base import Layer, registry
from nnx.layers.spec import Spec
from nnx.layers.symbols import Shape
from nnx.options import number


class Merge(Layer):
    """Base of the layers that join their inputs entry by entry; axes of length 1 are stretched."""

    supports_masking: ClassVar[bool] = True
    arity: ClassVar[int | None] = None

    def spec(self, *input_shapes: Shape) -> Spec:
        return Spec(_broadcast(self.label, input_shapes))

    def forward(self, p: Mapping[str, Any], *xs: Any) -> Any:
        return self.join(namespace(*xs), _same_rank(xs))

    def join(self, xp: Any, xs: list[Any]) -> Any:
        """The output for inputs of one rank."""
        raise NotImplementedError

    def gives_mask(self, masked: tuple[bool, ...]) -> int:
        return int(all(masked))

    def compute_mask(self, xs: Sequence[Any], masks: Sequence[Any]) -> Any:
        return reduce(lambda a, b: a | b, masks)


def _broadcast(label: str, shapes: tuple[Shape, ...]) -> Shape:
    """The shape of samples of these shapes together: shorter ones get axes of length 1 in front."""
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    joined = tuple(max(axis) if 0 not in axis else 0 for axis in zip(*padded, strict=True))
    if any(n not in (1, m) for shape in padded for n, m in zip(shape, joined, strict=True)):
        raise ShapeError(f"{label} cannot join samples of shapes {', '.join(map(str, shapes))}.")
    return joined


def _same_rank(xs: tuple[Any, ...]) -> list[Any]:
    rank = max(x.ndim for x in xs)
    return [
        x if x.ndim == rank else namespace(x).reshape(x, (x.shape[0], *(1,) * (rank - x.ndim), *x.shape[1:]))
        for x in xs
    ]


@registry.register()
@dataclass(frozen=True)
class Add(Merge):
    """The sum of its inputs, as of a residual connection: ``Add()([x, y])`` or ``x + y`` for symbols.

    Shapes: (n, ...), (n, ...) → (n, ...). Source: Keras' ``layers.Add``.

    >>> x, y = np.asarray([[1.0, 2.0]]), np.asarray([[3.0, 4.0]])
    >>> nnx.layers.Add()(x, y)
    array([[4., 6.]])
    """

    def join(self, xp: Any, xs: list[Any]) -> Any:
        return reduce(lambda a, b: a + b, xs)


@registry.register()
@dataclass(frozen=True)
class Subtract(Merge):
    """The first input minus the second.

    Shapes: (n, ...), (n, ...) → (n, ...). Source: Keras' ``layers.Subtract``.

    >>> nnx.layers.Subtract()(np.asarray([[1.0, 2.0]]), np.asarray([[3.0, 3.0]]))
    array([[-2., -1.]])
    """

    arity: ClassVar[int | None] = 2

    def join(self, xp: Any, xs: list[Any]) -> Any:
        return xs[0] - xs[1]


@registry.register()
@dataclass(frozen=True)
class Multiply(Merge):
    """The product of its inputs, entry by entry.

    Shapes: (n, ...), (n, ...) → (n, ...). Source: Keras' ``layers.Multiply``.

    >>> nnx.layers.Multiply()(np.asarray([[1.0, 2.0]]), np.asarray([[3.0, 4.0]]))
    array([[3., 8.]])
    """

    def join(self, xp: Any, xs: list[Any]) -> Any:
        return reduce(lambda a, b: a * b, xs)


@registry.register()
@dataclass(frozen=True)
class Average(Merge):
    """The mean of its inputs, entry by entry.

    Shapes: (n, ...), (n, ...) → (n, ...). Source: Keras' ``layers.Average``.

    >>> nnx.layers.Average()(np.asarray([[1.0, 2.0]]), np.asarray([[3.0, 4.0]]))
    array([[2., 3.]])
    """

    def join(self, xp: Any, xs: list[Any]) -> Any:
        return reduce(lambda a, b: a + b, xs) * (1.0 / len(xs))


@registry.register()
@dataclass(frozen=True)
class Maximum(Merge):
    """The largest of its inputs, entry by entry.

    Shapes: (n, ...), (n, ...) → (n, ...). Source: Keras' ``layers.Maximum``.

    >>> nnx.layers.Maximum()(np.asarray([[1.0, 5.0]]), np.asarray([[3.0, 4.0]]))
    array([[3., 5.]])
    """

    def join(self, xp: Any, xs: list[Any]) -> Any:
        return reduce(xp.maximum, xs)


@registry.register()
@dataclass(frozen=True)
class Minimum(Merge):
    """The smallest of its inputs, entry by entry.

    Shapes: (n, ...), (n, ...) → (n, ...). Source: Keras' ``layers.Minimum``.

    >>> nnx.layers.Minimum()(np.asarray([[1.0, 5.0]]), np.asarray([[3.0, 4.0]]))
    array([[1., 4.]])
    """

    def join(self, xp: Any, xs: list[Any]) -> Any:
        return reduce(xp.minimum, xs)


@registry.register()
@dataclass(frozen=True)
class Concatenate(Layer):
    """Its inputs one after the other along ``axis`` (−1: the last one; the batch's axis counts as 0).

    Raises :class:`nnx.errors.OptionError` for ``axis`` 0, :class:`nnx.errors.ShapeError` where other axes
    than ``axis`` differ.
    Shapes: (n, ..., p), (n, ..., q) → (n, ..., p + q). Source: Keras' ``layers.Concatenate``.

    >>> nnx.layers.Concatenate()(np.asarray([[1.0, 2.0]]), np.asarray([[3.0]]))
    array([[1., 2., 3.]])
    """

    supports_masking: ClassVar[bool] = True
    arity: ClassVar[int | None] = None
    axis: int = number(-1, whole=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.axis == 0:
            raise OptionError("Concatenate: axis 0 is that of the samples, which cannot be joined.")

    def spec(self, *input_shapes: Shape) -> Spec:
        rank = len(input_shapes[0]) + 1
        axis = self.axis % rank if -rank < self.axis < rank else 0
        first, at = input_shapes[0], axis - 1
        rest = {(len(s), *s[:at], *s[at + 1 :]) for s in input_shapes}
        if axis == 0 or len(rest) > 1:
            raise ShapeError(
                f"Concatenate cannot join samples of shapes {', '.join(map(str, input_shapes))} along axis "
                f"{self.axis} (the samples' axis counts as 0): the other axes must agree."
            )
        return Spec((*first[:at], sum(s[at] for s in input_shapes), *first[at + 1 :]))

    def forward(self, p: Mapping[str, Any], *xs: Any) -> Any:
        return namespace(*xs).concat(list(xs), axis=self.axis)

    def compute_mask(self, xs: Sequence[Any], masks: Sequence[Any]) -> Any:
        xp = namespace(*xs)
        every = [
            xp.ones(x.shape[:2], dtype=xp.bool, device=device_of(x)) if mask is None else mask
            for x, mask in zip(xs, masks, strict=True)
        ]
        if self.axis % xs[0].ndim == 1:
            return xp.concat(every, axis=1)
        return reduce(lambda a, b: a | b, every)
