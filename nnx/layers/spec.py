"""What a layer says of itself: its weights and the shape of its output; and what it is told of a step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from nnx.backend import Stream, philox
from nnx.initializers.base import fill, host
from nnx.layers.symbols import Shape


@dataclass(frozen=True)
class Weight:
    """One weight array of a layer: its name, its shape and how it is initialized.

    ``shape`` is that of the array; ``initializer(shape, random)`` gives its first entries, ``regularizer``
    its penalty, ``constraint`` what every step makes of it; ``trainable`` says whether training moves it.

    >>> weight = nnx.layers.Weight("bias", (2,), nnx.initializers.get("zeros"))
    >>> weight.first(seed=0, number=0)
    array([0., 0.])
    """

    name: str
    shape: Shape
    initializer: Any
    regularizer: Any = None
    constraint: Any = None
    trainable: bool = True

    def first(self, seed: int, number: int) -> Any:
        """Its initial entries, a float64 array on the host: draw ``number`` ≥ 0 of the ``seed`` ≥ 0.

        Raises as :meth:`fill` does.
        """
        xp = host()
        entries = xp.empty(math.prod(self.shape), dtype=xp.float64)
        self.fill(entries, seed, number)
        return xp.reshape(entries, self.shape)

    def fill(self, out: Any, seed: int, number: int) -> None:
        """Writes its initial entries into the vector ``out`` on the host, rounded to its data type.

        Raises :class:`nnx.errors.DataError` for an initializer that gives NaN or infinite entries, and
        :class:`nnx.errors.ShapeError` for one that gives another shape. Seed and number are those of
        :meth:`first`.
        """
        random = philox.generator(Stream(seed, philox.WEIGHTS, number))
        fill(out, self.initializer, self.shape, random, self.name)


@dataclass(frozen=True)
class Spec:
    """The weights and the output shape of a layer for inputs of a known shape, that of one sample.

    ``output_shape`` has no batch axis; ``weights`` are the layer's, in order. ``more`` are the shapes of
    further outputs: with them ``forward`` returns a tuple of arrays, and the layer gives a list of symbols.

    >>> nnx.layers.Dense(3).spec((4,)).output_shape
    (3,)
    >>> [weight.shape for weight in nnx.layers.Dense(3).spec((4,)).weights]
    [(4, 3), (3,)]
    >>> nnx.layers.Spec((3,), more=((2,),)).output_shapes
    ((3,), (2,))
    """

    output_shape: Shape
    weights: tuple[Weight, ...] = ()
    more: tuple[Shape, ...] = ()

    @property
    def output_shapes(self) -> tuple[Shape, ...]:
        """The shapes of all outputs."""
        return (self.output_shape, *self.more)


class Context(NamedTuple):
    """What random and stateful layers see of a step: whether it trains, and where its random numbers lie.

    ``seed`` is the model's, ``step`` the number of the training step and ``index`` that of the call in the
    network, each a whole number ≥ 0.

    >>> context = nnx.layers.Context(training=True, seed=1, step=5)
    >>> context.at(2).index, context.at(2).stream(purpose=2)
    (2, Stream(seed=1, purpose=2, index=2, step=5))
    """

    training: bool = False
    seed: int = 0
    step: int = 0
    index: int = 0  # type: ignore[assignment]  # a tuple has a method of that name

    def at(self, index: int, fixed: bool | None = None) -> Context:
        """The same step as the call number ``index`` of a network sees it, drawn with ``training=fixed``.

        ``index`` is a whole number ≥ 0.
        """
        return Context(self.training if fixed is None else fixed, self.seed, self.step, index)

    def inside(self, number: int) -> Context:
        """The same step as inner layer ``number`` ≥ 0 of a layer sees it, with random numbers of its own."""
        return self._replace(index=self.index + ((number + 1) << 20))

    def stream(self, purpose: int, seed: int | None = None) -> Stream:
        """The address of this step's random numbers for this layer, with a seed of its own if it has one.

        ``purpose`` and ``seed`` are whole numbers ≥ 0, see :class:`nnx.backend.Stream`.
        """
        return Stream(self.seed if seed is None else seed, purpose, self.index, self.step)
