"""Which layers a network has, who reads whom, and what follows for shapes, names and vectors of weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple

from nnx.errors import OptionError, ShapeError, located
from nnx.layers import Layer, Spec, Weight
from nnx.parameters import Layout
from nnx.registry import snake_case, unique_name

Shape = tuple[int, ...]


class Slot(NamedTuple):
    """Where one weight of a layer lies: its description, and its number among the trained or the others."""

    weight: Weight
    trained: bool
    number: int

    @property
    def name(self) -> str:
        """The weight's name in its layer."""
        return self.weight.name


class Call(NamedTuple):
    """One use of a layer: its number, and the values that it reads (inputs first, then what calls gave)."""

    layer: int
    reads: tuple[int, ...]
    #: False where it computes as in prediction, also while the model is trained
    training: bool | None = None
    #: what else the call said, by name
    options: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Network:
    """Layers and their calls, for samples of known shapes. In a chain each call reads the last one.

    Value i is input i; then come what the calls give, in order: one value each, or several in a row. A layer
    that is called twice has its weights once.
    """

    layers: tuple[Layer, ...]
    inputs: tuple[Shape, ...]
    calls: tuple[Call, ...]
    outputs: tuple[int, ...]
    model: str = "Sequential"
    #: the names of the inputs, for dicts of data
    input_names: tuple[str, ...] = ("input",)
    #: how the outputs are given: the only one as it is (object), as a list, or as a dict
    form: type = object
    #: the keys of such a dict
    keys: tuple[str, ...] = ()

    @classmethod
    def chain(cls, layers: Sequence[Layer], shape: Shape, model: str = "Sequential") -> Network:
        """Layers one after the other; one that stands there twice is shared."""
        places: dict[int, int] = {}
        own: list[Layer] = []
        for layer in layers:
            if id(layer) not in places:
                places[id(layer)] = len(own)
                own.append(layer)
        calls = tuple(Call(places[id(layer)], (i,)) for i, layer in enumerate(layers))
        return cls(tuple(own), (shape,), calls, (len(calls),), model)

    @property
    def is_chain(self) -> bool:
        """Whether each call reads the last one and nothing else."""
        n = len(self.calls)
        chained = all(call.reads == (k,) for k, call in enumerate(self.calls))
        return len(self.inputs) == 1 and chained and self.outputs == (n,) and len(self.shapes) == n + 1

    # -- shapes -----------------------------------------------------------------------------------

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """The shape of every value: inputs, then calls."""
        return (*self.inputs, *(shape for spec in self._specs for shape in spec.output_shapes))

    @cached_property
    def made_by(self) -> tuple[int | None, ...]:
        """For every value the number of the call that gives it; None for inputs."""
        calls = (k for k, spec in enumerate(self._specs) for _ in spec.output_shapes)
        return (*(None for _ in self.inputs), *calls)

    def gives(self, k: int) -> int:
        """How many values call k gives."""
        return len(self._specs[k].output_shapes)

    @cached_property
    def _specs(self) -> tuple[Spec, ...]:
        """What the layer of each call becomes."""
        found: list[Spec] = []
        shapes = list(self.inputs)
        for k, (i, reads, _, options) in enumerate(self.calls):
            with located(lambda k=k: self.place(k)):  # type: ignore[misc]
                found.append(self.layers[i].spec_for([shapes[r] for r in reads], options))
            shapes.extend(found[-1].output_shapes)
        return tuple(found)

    @cached_property
    def specs(self) -> tuple[Spec, ...]:
        """What each layer becomes; all calls of a shared layer need the same weights."""
        of_layers: dict[int, Spec] = {}
        for k, (i, *_) in enumerate(self.calls):
            spec = self._specs[k]
            first = of_layers.setdefault(i, spec)
            if [w.shape for w in spec.weights] != [w.shape for w in first.weights]:
                raise ShapeError(
                    f"{self.layers[i].label} '{self.names[i]}' is called on samples of other shapes, for "
                    f"which its weights would have other shapes, {self.place(k)}."
                )
        return tuple(of_layers[i] for i in range(len(self.layers)))

    def checked(self) -> Network:
        """Itself, where every layer fits its inputs and no name is there twice; else an error."""
        _ = self.names, self.specs
        return self

    @property
    def output_shape(self) -> Shape:
        """The shape of one sample's output (of the first, where there are several)."""
        return self.shapes[self.outputs[0]]

    @cached_property
    def output_shapes(self) -> tuple[Shape, ...]:
        """The shape of one sample of each output."""
        return tuple(self.shapes[v] for v in self.outputs)

    def answer(self, outputs: Sequence[Any]) -> Any:
        """What is one for each output, as the model gives it: alone, as a list, or as a dict."""
        if self.form is dict:
            return dict(zip(self.keys, outputs, strict=True))
        return list(outputs) if self.form is list else outputs[0]

    # -- names ------------------------------------------------------------------------------------

    @cached_property
    def names(self) -> tuple[str, ...]:
        """A name for each layer: its own, else its class's in lower case, with a number if that is taken.

        Raises :class:`nnx.errors.OptionError` where two layers were given the same name.
        """
        given = [vars(layer).get("name") for layer in self.layers]
        counts = Counter(name for name in given if name is not None)
        if twice := [name for name, n in counts.items() if n > 1]:
            raise OptionError(f"There is a layer named '{twice[0]}' in {self.model} already.")
        names, used = [], Counter[str]()
        for layer, name in zip(self.layers, given, strict=True):
            if name is None:
                stem = snake_case(layer.label)
                number = used[stem]
                name = f"{stem}_{number}" if number else stem
                while name in counts:
                    number += 1
                    name = f"{stem}_{number}"
                used[stem] = number + 1
                counts[name] += 1
            names.append(name)
        return tuple(names)

    @cached_property
    def output_names(self) -> tuple[str, ...]:
        """What the outputs are called: the keys of a dict, else the names of the layers that give them."""
        if self.keys:
            return self.keys
        found: list[str] = []
        for v in self.outputs:
            k = self.made_by[v]
            name = self.input_names[v] if k is None else self.names[self.calls[k].layer]
            found.append(unique_name(name, found))
        return tuple(found)

    def place(self, k: int) -> str:
        """Where call k is, for messages."""
        i = self.calls[k].layer
        return f"in layer {i + 1} ({self.layers[i].label} '{self.names[i]}') of {self.model}"

    # -- weights ----------------------------------------------------------------------------------

    @cached_property
    def slots(self) -> tuple[tuple[Slot, ...], ...]:
        """For each layer, where its weights lie."""
        counts = {True: 0, False: 0}
        table = []
        for layer, spec in zip(self.layers, self.specs, strict=True):
            row = []
            for weight in spec.weights:
                trained = layer.trainable and weight.trainable
                row.append(Slot(weight, trained, counts[trained]))
                counts[trained] += 1
            table.append(tuple(row))
        return tuple(table)

    @cached_property
    def trained(self) -> tuple[Weight, ...]:
        """The weights that are trained, in order."""
        return tuple(slot.weight for row in self.slots for slot in row if slot.trained)

    @cached_property
    def constrained(self) -> tuple[tuple[slice, Weight], ...]:
        """The place and the description of each trained weight that has a constraint."""
        pairs = zip(self.layout.slices, self.trained, strict=True)
        return tuple((part, weight) for part, weight in pairs if weight.constraint is not None)

    @cached_property
    def layout(self) -> Layout:
        """Names and shapes of the trained weights in their vector."""
        return self._layout(True)

    @cached_property
    def state_layout(self) -> Layout:
        """Names and shapes of the other weights (frozen ones, running statistics) in theirs."""
        return self._layout(False)

    def _layout(self, trained: bool) -> Layout:
        pairs = [
            (f"{name}/{slot.name}", slot.weight.shape)
            for name, row in zip(self.names, self.slots, strict=True)
            for slot in row
            if slot.trained is trained
        ]
        return Layout(tuple(name for name, _ in pairs), tuple(shape for _, shape in pairs))
