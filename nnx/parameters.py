"""All weights of a network as one vector, and the layout that names its pieces."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nnx.backend import namespace
from nnx.errors import ShapeError


@dataclass(frozen=True)
class Layout:
    """Names and shapes of the pieces that lie one after the other in a vector.

    ``names`` and ``shapes`` belong together, in the order of the vector.

    >>> layout = nnx.parameters.Layout(("kernel", "bias"), ((2, 3), (3,)))
    >>> layout.size, layout.slices
    (9, (slice(0, 6, None), slice(6, 9, None)))
    >>> kernel, bias = layout.views(np.arange(9.0))
    >>> bias
    array([6., 7., 8.])
    >>> layout.pack([kernel, bias]).shape, layout.pick({"bias": bias, "kernel": kernel})[1] is bias
    ((9,), True)
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    @cached_property
    def size(self) -> int:
        """The length of the vector."""
        return sum(math.prod(shape) for shape in self.shapes)

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """Where each piece lies."""
        out, start = [], 0
        for shape in self.shapes:
            stop = start + math.prod(shape)
            out.append(slice(start, stop))
            start = stop
        return tuple(out)

    def views(self, w: Any) -> list[Any]:
        """The pieces of ``w`` in their shapes. They share memory with ``w`` where the library can.

        Raises :class:`nnx.errors.ShapeError` for a vector of another length.
        """
        if tuple(w.shape) != (self.size,):
            raise ShapeError(f"Expected a vector of {self.size} numbers, got shape {tuple(w.shape)}.")
        xp = namespace(w)
        return [xp.reshape(w[part], shape) for part, shape in zip(self.slices, self.shapes, strict=True)]

    def pick(self, named: Mapping[str, Any]) -> list[Any]:
        """The pieces in order from a dict by name.

        Raises :class:`nnx.errors.ShapeError` for other names or shapes.
        """
        if named.keys() != set(self.names):
            raise ShapeError(
                f"The weights are called {', '.join(self.names)}; got those called "
                f"{', '.join(map(str, named)) or 'nothing'}."
            )
        pieces = [named[name] for name in self.names]
        for name, shape, piece in zip(self.names, self.shapes, pieces, strict=True):
            found = tuple(getattr(piece, "shape", ()))
            if found != shape:
                raise ShapeError(f"'{name}' has shape {shape}, got an array of shape {found}.")
        return pieces

    def pack(self, pieces: Sequence[Any]) -> Any:
        """A new vector of the given pieces; inverse of :meth:`views`.

        Raises :class:`nnx.errors.ShapeError` for pieces of other shapes.
        """
        for name, shape, piece in zip(self.names, self.shapes, pieces, strict=True):
            if tuple(piece.shape) != shape:
                raise ShapeError(f"'{name}' has shape {shape}, got an array of shape {tuple(piece.shape)}.")
        xp = namespace(*pieces)
        return xp.concat([xp.reshape(piece, (-1,)) for piece in pieces])
