"""An index that goes through views: the entries ``x.T.reshape(-1)[key]`` as one index into ``x``.

Reading and writing by it touches these entries alone, of the array as of its cotangent, where the views of
both share memory with them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from nnx.autodiff.selections import Selection


class Reshaped(NamedTuple):
    """The step from an array to one of another shape."""

    shape: tuple[int, ...]

    def of(self, xp: Any, x: Any) -> Any:
        """``x`` in that shape."""
        return xp.reshape(x, self.shape)

    def mapped(self, n: int) -> Reshaped:
        """The step where a first axis holds ``n`` such arrays."""
        return Reshaped((n, *self.shape))


class Place(NamedTuple):
    """The entries at ``key`` of the view that the ``steps`` make of an array."""

    steps: tuple[Selection | Reshaped, ...]
    key: Any = ...

    def view(self, xp: Any, x: Any) -> Any:
        """What the steps make of the plain or batched array ``x``."""
        for step in self.steps:
            x = step.of(xp, x)
        return x

    def of(self, xp: Any, x: Any) -> Any:
        """The entries of ``x`` that are meant."""
        x = self.view(xp, x)
        return x if self.key is ... else x[self.key]

    def mapped(self, n: int) -> Place:
        """The place where a first axis holds ``n`` such arrays."""
        key = self.key if type(self.key) is tuple else (self.key,)
        return Place(tuple(step.mapped(n) for step in self.steps), (slice(None), *key))
