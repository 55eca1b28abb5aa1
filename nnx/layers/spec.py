"""What a layer says of itself: its weights and the shape of its output; and what it is told of a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from nnx.backend import Stream, namespace, philox
from nnx.errors import DataError
from nnx.layers.symbols import Shape


@dataclass(frozen=True)
class Weight:
    """One array of numbers that a layer needs: its name, shape, and where its numbers come from."""

    name: str
    shape: Shape
    initializer: Any
    regularizer: Any = None
    constraint: Any = None
    trainable: bool = True

    def first(self, seed: int, number: int) -> Any:
        """What it starts from, a float64 array on the host: the ``number``-th random draw of the seed.

        Raises :class:`nnx.errors.DataError` for an initializer that gives NaN or infinite entries.
        """
        entries = self.initializer(self.shape, philox.generator(Stream(seed, philox.WEIGHTS, number)))
        xp = namespace(entries)
        if not xp.all(xp.isfinite(entries)):
            raise DataError(f"The initializer of '{self.name}' gave NaN or infinite entries.")
        return entries


@dataclass(frozen=True)
class Spec:
    """What a layer becomes for inputs of a known shape; shapes are those of one sample."""

    output_shape: Shape
    weights: tuple[Weight, ...] = ()


class Context(NamedTuple):
    """What random and stateful layers see of a step: whether it trains, and where its random numbers lie."""

    training: bool = False
    seed: int = 0
    step: int = 0
    index: int = 0  # type: ignore[assignment]  # a tuple has a method of that name

    def at(self, index: int, fixed: bool | None = None) -> Context:
        """The same step as the call number ``index`` of a network sees it, drawn with ``training=fixed``."""
        return Context(self.training if fixed is None else fixed, self.seed, self.step, index)

    def stream(self, purpose: int, seed: int | None = None) -> Stream:
        """The address of this step's random numbers for this layer, with a seed of its own if it has one."""
        return Stream(self.seed if seed is None else seed, purpose, self.index, self.step)
