"""Recurrent cells: one step of a recurrent layer as a layer of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nnx.errors import OptionError, ShapeError
from nnx.layers.base import Layer, registry
from nnx.layers.inner import outer_weights, part_of
from nnx.layers.recurrent.steps import NO_NOISE, GruSteps, LstmSteps, SimpleSteps, Steps
from nnx.layers.spec import Context, Spec, Weight
from nnx.layers.symbols import Shape
from nnx.options import option

Array = Any


class CallsWithStates(Layer):
    """How cells are called: ``output, states = cell(x, states)``."""

    arity: ClassVar[int | None] = None

    def __call__(self, *xs: Any, **options: Any) -> Any:
        """``(output, states)`` of one step for inputs and a list of states."""
        flat: list[Any] = []
        for x in xs:
            flat.extend(x if isinstance(x, list | tuple) else [x])
        y, *states = super().__call__(*flat, **options)
        return y, states


@dataclass(frozen=True)
class OneStep(Steps, CallsWithStates):
    """Base of the cells that nnx has."""

    def spec(self, *input_shapes: Shape) -> Spec:
        shape, *states = input_shapes
        own = tuple((size,) for size in self.state_size)
        if tuple(map(tuple, states)) != own:
            raise ShapeError(f"{self.label} takes inputs and states of shapes {own}, got states {states}.")
        return Spec((self.units,), self.step_weights(shape), more=own)

    def forward(self, p: Mapping[str, Any], *xs: Any) -> Any:
        noise = NO_NOISE
        if self.random:
            *xs, context = xs  # type: ignore[assignment]
            noise = self.noise(context, xs[0])
        return self.step(p, xs[0], xs[1:], noise)


@registry.register()
@dataclass(frozen=True)
class SimpleRNNCell(SimpleSteps, OneStep):
    """One step of :class:`SimpleRNN`: ``y, [h] = cell(x, [h])`` with y = h′ = activation(x·K + h·R + b).

    Shapes: (n, features), (n, units) → (n, units). Source: Keras' ``SimpleRNNCell``.

    >>> y, states = nnx.layers.SimpleRNNCell(3)(np.ones((2, 4)), [np.zeros((2, 3))])
    >>> y.shape, len(states)
    ((2, 3), 1)
    """


@registry.register()
@dataclass(frozen=True)
class LSTMCell(LstmSteps, OneStep):
    """One step of :class:`LSTM`: ``y, [h, c] = cell(x, [h, c])`` with y = h.

    Shapes: (n, features), (n, units), (n, units) → (n, units). Source: Keras' ``LSTMCell``.

    >>> y, states = nnx.layers.LSTMCell(3)(np.ones((2, 4)), [np.zeros((2, 3)), np.zeros((2, 3))])
    >>> y.shape, len(states)
    ((2, 3), 2)
    """


@registry.register()
@dataclass(frozen=True)
class GRUCell(GruSteps, OneStep):
    """One step of :class:`GRU`: ``y, [h] = cell(x, [h])`` with y = h.

    Shapes: (n, features), (n, units) → (n, units). Source: Keras' ``GRUCell``.

    >>> y, states = nnx.layers.GRUCell(3)(np.ones((2, 4)), [np.zeros((2, 3))])
    >>> y.shape, len(states)
    ((2, 3), 1)
    """


def _cells(where: str, name: str, value: Any) -> tuple[Any, ...]:
    """The check that an option is a list of cells."""
    cells = tuple(value) if isinstance(value, list | tuple) else ()
    if not cells:
        raise OptionError(f"{where}: {name} must be a list of cells, got {value!r}.")
    return tuple(cell(where, f"{name}[{k}]", one) for k, one in enumerate(cells))


def cell(where: str, name: str, value: Any) -> Any:
    """The check that an option is a cell: a layer with ``state_size``; a list of them is stacked."""
    if isinstance(value, list | tuple):
        return StackedRNNCells(tuple(value))
    if not isinstance(value, Layer) or getattr(value, "state_size", None) is None:
        raise OptionError(
            f"{where}: {name} must be a layer with state_size, the length of its state or a tuple of "
            f"several, got {value!r}."
        )
    return value


def state_sizes(one: Any) -> tuple[int, ...]:
    """The lengths of a cell's states."""
    size = one.state_size
    return (size,) if isinstance(size, int) else tuple(size)


def output_size(one: Any) -> int:
    """The length of what a cell gives: its ``output_size``, else that of its first state."""
    return getattr(one, "output_size", None) or state_sizes(one)[0]


def run_cell(
    one: Any, p: Mapping[str, Any], x: Array, states: Any, context: Context | None
) -> tuple[Array, ...]:
    """``(output, new states...)`` of a cell that gives those."""
    given = (context or Context(),) if one.random else ()
    return one.forward(p, x, *states, *given)


@registry.register()
@dataclass(frozen=True)
class StackedRNNCells(CallsWithStates):
    """Cells one on top of the other: each takes what the one below gives.

    Its states are those of all cells in order, its output that of the last. Weights are called
    ``"cells_0/kernel"`` and so on.
    Shapes: (n, features), (n, units) → (n, units). Source: Keras' ``StackedRNNCells``.

    >>> stacked = nnx.layers.StackedRNNCells([nnx.layers.GRUCell(3), nnx.layers.LSTMCell(2)])
    >>> nnx.layers.RNN(stacked)(np.ones((1, 5, 4))).shape, stacked.state_size
    ((1, 2), (3, 2, 2))
    """

    cells: Any = option(_cells)  # a list of them comes as a tuple

    @property
    def random(self) -> bool:  # type: ignore[override]
        """Whether one of the cells draws random numbers."""
        return any(one.random for one in self.cells)

    @property
    def state_size(self) -> tuple[int, ...]:
        """The lengths of all states."""
        return tuple(size for one in self.cells for size in state_sizes(one))

    @property
    def output_size(self) -> int:
        """The length of what the last cell gives."""
        return output_size(self.cells[-1])

    def spec(self, *input_shapes: Shape) -> Spec:
        shape, *states = input_shapes
        weights: list[Weight] = []
        for k, one in enumerate(self.cells):
            count = len(state_sizes(one))
            own, states = states[:count], states[count:]
            spec = one.spec(shape, *own)
            weights += outer_weights(one, f"cells_{k}", spec.weights)
            shape = spec.output_shape
        return Spec(shape, tuple(weights), more=tuple((size,) for size in self.state_size))

    def forward(self, p: Mapping[str, Any], *xs: Any) -> Any:
        context = None
        if self.random:
            *xs, context = xs  # type: ignore[assignment]
        y, *states = xs
        new: list[Any] = []
        for k, one in enumerate(self.cells):
            count = len(state_sizes(one))
            own, states = states[:count], states[count:]
            at = None if context is None else context.inside(k)
            y, *after = run_cell(one, part_of(p, f"cells_{k}"), y, own, at)
            new += after
        return y, *new
