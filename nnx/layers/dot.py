"""Products of samples along an axis of each."""

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
from nnx.options import Numbers, flag, option

_ONE_OR_TWO = Numbers("an axis, or one of each input (0 is that of the samples, and cannot be one)")
#: below this length entries along the axis count as 0 for ``normalize``, as in Keras
_SHORTEST = 1e-7


def _axes(where: str, name: str, value: Any) -> Any:
    """The check that an option is an axis, or a pair of them, one of each input; never 0."""
    axes = _ONE_OR_TWO(where, name, value)
    if axes is None or len(axes) not in (1, 2) or 0 in axes:
        raise OptionError(f"{where}: {name} must be {_ONE_OR_TWO.words}, got {value!r}.")
    return axes if isinstance(value, tuple | list) and len(axes) == 2 else axes[0]


@registry.register()
@dataclass(frozen=True)
class Dot(Layer):
    """The sum over products of two inputs' entries along ``axes``, one axis of both or one of each.

    Axes count that of the samples as 0. What is left of the first sample's axes comes first, then that of the
    second; where nothing is left, the output is one number for each sample. With ``normalize`` entries along
    the axis are divided by their length first: the products of single vectors are then the cosines of their
    angles. Raises :class:`nnx.errors.ShapeError` where the two axes have different lengths.
    With ``axes=(2, 1)`` it is the product of matrices:

    Shapes: (n, p, k), (n, k, q) → (n, p, q). Source: Keras' ``layers.Dot``.

    >>> x, y = np.asarray([[1.0, 2.0]]), np.asarray([[3.0, 4.0]])
    >>> nnx.layers.Dot(axes=1)(x, y)
    array([[11.]])
    >>> nnx.layers.Dot(axes=(2, 1)).spec((4, 3), (3, 5)).output_shape
    (4, 5)
    """

    arity: ClassVar[int | None] = 2

    axes: int | tuple[int, int] = option(_axes)
    normalize: bool = flag(False)

    def spec(self, *input_shapes: Shape) -> Spec:
        at = self._places(input_shapes)
        first, second = input_shapes
        if first[at[0] - 1] != second[at[1] - 1]:
            raise ShapeError(
                f"Dot(axes={self.axes}) needs axes of one length, but samples of shapes {first} and {second} "
                f"have {first[at[0] - 1]} and {second[at[1] - 1]} there (the samples' axis counts as 0)."
            )
        rest = [(*s[: i - 1], *s[i:]) for s, i in zip(input_shapes, at, strict=True)]
        return Spec(tuple(rest[0] + rest[1]) or (1,))

    def _places(self, shapes: Any) -> list[int]:
        """The axis of each input, counted from 0, that of the samples."""
        axes = self.axes if isinstance(self.axes, tuple) else (self.axes, self.axes)
        places = []
        for axis, shape in zip(axes, shapes, strict=True):
            rank = len(shape) + 1
            places.append(axis + rank if axis < 0 else axis)
            if not 0 < places[-1] < rank:
                raise ShapeError(
                    f"Dot(axes={self.axes}): samples of shape {tuple(shape)} have the axes 1 to {rank - 1} "
                    "(0 is that of the samples)."
                )
        return places

    def forward(self, p: Mapping[str, Any], *xs: Any) -> Any:
        xp, n = namespace(*xs), xs[0].shape[0]
        places = self._places([x.shape[1:] for x in xs])
        rows = []
        for x, axis in zip(xs, places, strict=True):
            others = tuple(i for i in range(x.ndim) if i not in (0, axis))
            last = x if axis == x.ndim - 1 else xp.permute_dims(x, (0, *others, axis))
            flat = xp.reshape(last, (n, math.prod(last.shape[1:-1]), last.shape[-1]))
            rows.append(_unit(xp, flat) if self.normalize else flat)
        products = rows[0] @ xp.matrix_transpose(rows[1])
        return xp.reshape(products, (n, *self.spec(*(x.shape[1:] for x in xs)).output_shape))


def _unit(xp: Any, x: Any) -> Any:
    squares = xp.sum(x * x, axis=-1, keepdims=True)
    return x / xp.sqrt(xp.maximum(squares, xp.full_like(squares, _SHORTEST**2)))
