"""The pure part of a model: layers on samples of a known shape, as functions of flat vectors of weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

from nnx import activations
from nnx.backend import Stream, namespace, philox
from nnx.errors import DataError, ShapeError, located
from nnx.layers import Context, Dropout, Layer, Spec, Weight
from nnx.parameters import Layout
from nnx.registry import Choice, snake_case, unique_name


@dataclass(frozen=True)
class Slot:
    """Where one layer's weight lies: its name there, and its number among the trained or the fixed ones."""

    name: str
    trained: bool
    number: int


@dataclass(frozen=True)
class Network:
    """Layers, one after the other, for samples of shape ``input_shape``."""

    layers: tuple[Layer, ...]
    names: tuple[str, ...]
    input_shape: tuple[int, ...]
    model: str = "Sequential"

    @cached_property
    def specs(self) -> tuple[Spec, ...]:
        """What each layer becomes, from its input's shape."""
        specs: list[Spec] = []
        shape = self.input_shape
        for i, layer in enumerate(self.layers):
            with located(lambda i=i: self.place(i)):  # type: ignore[misc]
                if layer.input_shape is not None and tuple(layer.input_shape) != shape:
                    raise ShapeError(
                        f"{layer.label} was declared with input_shape={layer.input_shape}, but it receives "
                        f"samples of shape {shape}."
                    )
                specs.append(layer.spec(shape))
            shape = specs[-1].output_shape
        return tuple(specs)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of one sample's output."""
        return self.specs[-1].output_shape if self.specs else self.input_shape

    @cached_property
    def slots(self) -> tuple[tuple[Slot, ...], ...]:
        """For each layer, where its weights lie."""
        counts = {True: 0, False: 0}
        table = []
        for layer, spec in zip(self.layers, self.specs, strict=True):
            row = []
            for weight in spec.weights:
                trained = layer.trainable and weight.trainable
                row.append(Slot(weight.name, trained, counts[trained]))
                counts[trained] += 1
            table.append(tuple(row))
        return tuple(table)

    @cached_property
    def trained(self) -> tuple[Weight, ...]:
        """The weights that are trained, in order."""
        return tuple(w for w, slot in self._weights() if slot.trained)

    @cached_property
    def constrained(self) -> tuple[tuple[slice, Weight], ...]:
        """The place and the weight of each trained weight that has a constraint."""
        pairs = zip(self.layout.slices, self.trained, strict=True)
        return tuple((part, weight) for part, weight in pairs if weight.constraint is not None)

    @cached_property
    def fixed(self) -> tuple[Weight, ...]:
        """The weights that are not trained, in order."""
        return tuple(w for w, slot in self._weights() if not slot.trained)

    @cached_property
    def layout(self) -> Layout:
        """Names and shapes of the trained weights in their vector."""
        return self._layout(True)

    @cached_property
    def fixed_layout(self) -> Layout:
        """Names and shapes of the other weights in theirs."""
        return self._layout(False)

    def _weights(self) -> list[tuple[Weight, Slot]]:
        return [
            pair
            for spec, slots in zip(self.specs, self.slots, strict=True)
            for pair in zip(spec.weights, slots, strict=True)
        ]

    def _layout(self, trained: bool) -> Layout:
        names, shapes = [], []
        for i, spec in enumerate(self.specs):
            for weight, slot in zip(spec.weights, self.slots[i], strict=True):
                if slot.trained is trained:
                    names.append(f"{self.names[i]}/{weight.name}")
                    shapes.append(weight.shape)
        return Layout(tuple(names), tuple(shapes))

    def initial(self, seed: int) -> tuple[list[Any], list[Any]]:
        """New numbers for the trained and the fixed weights: float64 arrays on the host."""
        trained: list[Any] = []
        fixed: list[Any] = []
        for n, (weight, slot) in enumerate(self._weights()):
            random = philox.generator(Stream(seed, philox.WEIGHTS, n))
            numbers = weight.initializer(weight.shape, random)
            xp = namespace(numbers)
            if not xp.all(xp.isfinite(numbers)):
                raise DataError(f"The initializer of '{weight.name}' gave NaN or infinite numbers.")
            (trained if slot.trained else fixed).append(numbers)
        return trained, fixed

    def apply(
        self, trained: Sequence[Any], fixed: Sequence[Any], x: Any, context: Context, linear: bool = False
    ) -> Any:
        """The output for a batch ``x``; with ``linear``, without the last layer's activation."""
        last = len(self.layers) - 1
        i = 0
        try:
            for i, layer in enumerate(self.layers):
                (names, a, b), (others, c, d) = self._reach[i]
                p = dict(zip(names, trained[a:b], strict=True))
                if others:
                    p.update(zip(others, fixed[c:d], strict=True))
                if (linear and i == last) or (context.training and self._rectified[i + 1]):
                    x = layer.preactivation(p, x)  # type: ignore[attr-defined]
                elif context.training and self._rectified[i]:
                    x = layer.rectified(x, context.at(i))  # type: ignore[attr-defined]
                elif layer.random:
                    x = layer.forward(p, x, context.at(i))  # type: ignore[call-arg]
                else:
                    x = layer.forward(p, x)
        except Exception as error:
            error.add_note(f"  {self.place(i)}")
            raise
        return x

    def outputs(self, trained: Sequence[Any], fixed: Sequence[Any], x: Any) -> Any:
        """The output for a batch ``x`` in prediction, of the shape that the layers' specs promise."""
        y = self.apply(trained, fixed, x, Context())
        if tuple(y.shape) != (x.shape[0], *self.output_shape):
            raise ShapeError(
                f"{self.model} gave outputs of shape {tuple(y.shape)} for {x.shape[0]} samples, but by its "
                f"layers' specs it is {self.output_shape} for each: does every forward fit its spec?"
            )
        return y

    def per_sample(
        self, trained: Sequence[Any], fixed: Sequence[Any], x: Any, context: Context
    ) -> tuple[Any, Callable[[Any], Callable[[slice], list[Any]]]]:
        """``(output, back)``: with the gradient g by the output, ``back(g)(part)`` lists for a slice of the
        samples each one's gradient by each weight, of shape (n, *shape).

        One pass forward, and one back for each number of a sample's output, make the Jacobian; only a part of
        it need be there at a time. Right for layers that do not mix samples.
        """  # noqa: D205
        ways = []
        for i, layer in enumerate(self.layers):
            (names, a, b), (others, c, d) = self._reach[i]
            p = dict(zip(names, trained[a:b], strict=True)) | dict(zip(others, fixed[c:d], strict=True))
            x, way = layer.per_sample(p, names, x, context.at(i))
            ways.append((names, way))

        def back(g: Any) -> Callable[[slice], list[Any]]:
            found = []
            for names, way in reversed(ways):
                g, gradients = way(g)
                if names:
                    found.append((names, gradients))

            def rows(part: slice) -> list[Any]:
                made = ((names, gradients(part)) for names, gradients in reversed(found))
                return [own[name] for names, own in made for name in names]

            return rows

        return x, back

    @cached_property
    def _reach(self) -> tuple[tuple[tuple[tuple[str, ...], int, int], ...], ...]:
        """For each layer the names of its trained weights and where they lie, and of its fixed ones."""

        def part(row: tuple[Slot, ...], trained: bool) -> tuple[tuple[str, ...], int, int]:
            own = [slot for slot in row if slot.trained is trained]
            return tuple(s.name for s in own), own[0].number if own else 0, own[-1].number + 1 if own else 0

        return tuple((part(row, True), part(row, False)) for row in self.slots)

    @cached_property
    def _rectified(self) -> tuple[bool, ...]:
        """For each layer (and one more) whether it is dropout on a relu, which it then computes as well."""
        table = [False]
        for below, layer in pairwise(self.layers):
            activation: Any = getattr(below, "activation", None)
            relu = (
                hasattr(below, "preactivation") and getattr(activation, "function", None) is activations.relu
            )
            table.append(relu and not activation.options and isinstance(layer, Dropout) and layer.rate > 0.0)
        return (*table, False)

    @property
    def head(self) -> Choice[Any] | None:
        """The last layer's activation, if it has one that can be taken off."""
        last = self.layers[-1] if self.layers else None
        return getattr(last, "activation", None) if hasattr(last, "preactivation") else None

    def place(self, i: int) -> str:
        """Where layer i is, for messages."""
        return f"in layer {i + 1} ({self.layers[i].label} '{self.names[i]}') of {self.model}"


def unique_names(layers: Sequence[Layer]) -> tuple[str, ...]:
    """A name for each layer: its own, else its class's in lower case with a number if it is not the first."""
    taken: set[str] = {layer.name for layer in layers if layer.name is not None}
    names = []
    for layer in layers:
        name = layer.name
        if name is None:
            name = unique_name(snake_case(layer.label), taken)
            taken.add(name)
        names.append(name)
    return tuple(names)
