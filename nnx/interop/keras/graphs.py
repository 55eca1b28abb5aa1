"""Models out of ``config.json``: layers, who reads whom, and where the weights lie in the HDF5 file.

A model inside a model is inlined; its weights lie below a folder of its own, where numbers start anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any

from nnx.errors import FileFormatError, OptionError, located
from nnx.interop.keras import calls
from nnx.interop.keras.calls import History
from nnx.interop.keras.objects import deserialized
from nnx.interop.keras.paths import numbered
from nnx.layers import Input, Layer, Symbol
from nnx.registry import unique_name

MODELS = ("Sequential", "Functional", "Model")
_NOTHING: Mapping[str, Any] = {}
#: deeper than this no model is put into a model
_DEEPEST = 20


@dataclass
class Made:
    """What has been made of a file: names that are taken, layers with their folders, in Keras' order."""

    custom_objects: Mapping[str, Any]
    names: set[str] = field(default_factory=set)
    #: (layer, its folder below the file's root)
    placed: list[tuple[Layer, str]] = field(default_factory=list)


class Graph:
    """A model of a file: called on symbols it gives symbols."""

    def __init__(self, config: Mapping[str, Any], made: Made, folder: str = "", depth: int = 0) -> None:
        if depth > _DEEPEST:
            raise FileFormatError("The file holds models inside models without end.")
        self.kind, inner = config["class_name"], config.get("config")
        if not isinstance(inner, Mapping) or not isinstance(inner.get("layers"), list):
            raise FileFormatError(f"The file describes no {self.kind}.")
        self.config, self.made = inner, made
        self.name = str(inner.get("name", self.kind))
        entries = [_entry(one) for one in inner["layers"]]
        #: what stands under a name: a layer, a model, the shape of an input, the name of an operation
        self.members: dict[str, Any] = {}
        self.nodes: dict[tuple[str, int], Mapping[str, Any]] = {}
        used: Counter[str] = Counter()
        for one in entries:
            name = str(one.get("name") or one["config"].get("name"))
            if name in self.members:
                raise FileFormatError(f"The file has two layers called '{name}' in {self.name}.")
            for k, node in enumerate(_nodes(one)):
                self.nodes[name, k] = calls.by_name(one["class_name"], node)
            self.members[name] = self._member(one, name, folder, used, depth)

    def _member(self, one: Mapping[str, Any], name: str, folder: str, used: Counter[str], depth: int) -> Any:
        class_name, config = one["class_name"], one["config"]
        if class_name == "InputLayer":
            return Input(_sample(config, name), name)
        if str(one.get("module")).startswith("keras.src.ops"):
            return class_name
        below = f"{folder}layers/{numbered(class_name, used)}"
        if class_name in MODELS and "layers" in config:
            return Graph(one, self.made, f"{below}/", depth + 1)
        with located(lambda: f"in layer '{name}' of {self.name}"):
            layer = deserialized(
                _named(one, unique_name(name, self.made.names)), "layer", self.made.custom_objects
            )
        if not isinstance(layer, Layer):
            raise FileFormatError(f"The file's {class_name} '{name}' is no layer.")
        self.made.names.add(str(layer.name))
        self.made.placed.append((layer, below))
        return layer

    # -- calling ----------------------------------------------------------------------------------

    def inputs(self) -> list[Symbol]:
        """The symbols of its inputs."""
        if self.kind == "Sequential":
            found = [member for member in self.members.values() if isinstance(member, Symbol)]
            if not found and (shape := self.config.get("build_input_shape")):
                return [Input(_lengths(shape, self.name))]
            return found
        ends = (self._input(*end) for end in _ends(self.config.get("input_layers")))
        return list(ends)

    def names(self) -> tuple[list[str], list[str]]:
        """The names of the inputs and of the outputs where dicts say them, else nothing."""
        ends = (self.config.get("input_layers"), self.config.get("output_layers"))
        starts, stops = (list(end) if isinstance(end, Mapping) else [] for end in ends)
        return starts, stops

    def _input(self, name: str, *place: int) -> Symbol:
        member = self.members.get(name)
        if not isinstance(member, Symbol):
            raise FileFormatError(f"The file has no input '{name}' in {self.name}.")
        return member

    def __call__(self, xs: Sequence[Symbol]) -> list[Symbol]:
        """The symbols of its outputs on symbols."""
        if self.kind == "Sequential":
            return self._chain(xs)
        own = self.inputs()
        if len(own) != len(xs):
            raise FileFormatError(f"The file calls {self.name} on {len(xs)} inputs; it has {len(own)}.")
        values: dict[History, Symbol] = {
            (name, 0, 0): x for (name, *_), x in zip(_ends(self.config.get("input_layers")), xs, strict=True)
        }
        for name, k in self._order():
            if (name, k, 0) not in values:
                outputs = self._called(name, self.nodes[name, k], values)
                values |= {(name, k, j): y for j, y in enumerate(outputs)}
        return [self._value(end, values) for end in self._stops()]

    def _stops(self) -> list[History]:
        """Where the outputs come from; of functional models inside, Keras counts the calls here from 1."""

        def inside(name: str) -> bool:
            member = self.members.get(name)
            return isinstance(member, Graph) and member.kind != "Sequential"

        return [(name, k - inside(name), j) for name, k, j in _ends(self.config.get("output_layers"))]

    def _order(self) -> list[tuple[str, int]]:
        """The calls that the outputs need, each after those that it reads."""
        reads: dict[tuple[str, int], list[tuple[str, int]]] = {}
        pending = [stop[:2] for stop in self._stops()]
        while pending:
            call = pending.pop()
            if call in self.nodes and call not in reads:
                self._check_masks(*call)
                read = (history[:2] for history in calls.histories(self.nodes[call]))
                reads[call] = [one for one in read if one in self.nodes]
                pending += reads[call]
        try:
            return list(TopologicalSorter(reads).static_order())
        except CycleError as error:
            raise FileFormatError(f"The layers of {self.name} read each other in a circle.") from error

    def _check_masks(self, name: str, k: int) -> None:
        """Raises OptionError for a mask that is not made by the layers before."""
        for source, *_ in calls.masks(self.nodes[name, k]):
            if not isinstance(self.members.get(source), str):
                raise OptionError(
                    f"'{name}' in {self.name} is called with '{source}' as its mask. In nnx masks flow from "
                    "Masking and Embedding by themselves."
                )

    def _called(self, name: str, node: Mapping[str, Any], values: Mapping[History, Symbol]) -> list[Symbol]:
        member = self.members[name]
        with located(lambda: f"in the call of '{name}' in {self.name}"):
            label = member if isinstance(member, str) else type(member).__name__
            known = getattr(member, "call_options", ())
            given = calls.given(label, node, lambda h: self._value(h, values), known)
            if isinstance(member, str):
                return [calls.operation(member, given.inputs)]
            return _applied(member, given.inputs, given.options)

    def _value(self, history: History, values: Mapping[History, Symbol]) -> Symbol:
        if history not in values:
            raise FileFormatError(f"The file has no output {list(history)} in {self.name}.")
        return values[history]

    def _chain(self, xs: Sequence[Symbol]) -> list[Symbol]:
        ys = list(xs)
        for name, member in self.members.items():
            if not isinstance(member, Symbol):
                with located(lambda name=name: f"in layer '{name}' of {self.name}"):  # type: ignore[misc]
                    ys = _applied(member, ys)
        return ys


def _applied(member: Layer | Graph, xs: Sequence[Any], options: Mapping[str, Any] = _NOTHING) -> list[Symbol]:
    if isinstance(member, Graph):
        return member(xs)
    if member.arity not in (None, len(xs)):
        raise FileFormatError(f"The file calls {type(member).__name__} on {len(xs)} inputs.")
    made = member.draw(xs, options=options)
    return made if isinstance(made, list) else [made]


# -- the entries of config.json -------------------------------------------------------------------


def _entry(one: Any) -> Mapping[str, Any]:
    """The description of a layer, checked as far as it is used here."""
    if not (
        isinstance(one, Mapping)
        and isinstance(one.get("class_name"), str)
        and isinstance(one.get("config"), Mapping)
    ):
        raise FileFormatError("The file's list of layers holds something else.")
    return one


def _nodes(one: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    nodes = one.get("inbound_nodes") or []
    if not isinstance(nodes, list) or not all(isinstance(node, Mapping) for node in nodes):
        raise FileFormatError(
            f"The file says in Keras 2's way what {one['class_name']} is called on. Open it with Keras 3 and "
            "save it again as .keras."
        )
    return nodes


def _named(one: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {**one, "config": {**one["config"], "name": name}}


def _sample(config: Mapping[str, Any], name: str) -> tuple[int, ...]:
    return _lengths(config.get("batch_shape") or config.get("batch_input_shape"), name)


def _lengths(shape: Any, name: str) -> tuple[int, ...]:
    """The shape of a sample out of that of a batch."""
    if not isinstance(shape, list) or not shape:
        raise FileFormatError(f"The file does not say the shape of '{name}'.")
    if any(n is None for n in shape[1:]):
        raise OptionError(
            f"The input '{name}' has the shape {tuple(shape)} in the file. nnx needs to know all lengths but "
            "the number of samples: save the model with an Input of a fixed shape."
        )
    return tuple(shape[1:])


def _ends(entry: Any) -> list[History]:
    """Inputs or outputs of a model: one ``[name, 0, 0]``, or a list or dict of them."""
    if isinstance(entry, Mapping):
        entry = list(entry.values())
    if isinstance(entry, list) and entry and isinstance(entry[0], str):
        entry = [entry]
    if not isinstance(entry, list) or not entry:
        raise FileFormatError(f"The file names no inputs or outputs: {entry!r}.")
    return [calls.history(one) for one in entry]
