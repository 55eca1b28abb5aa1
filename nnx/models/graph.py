"""From symbols to a network: who reads whom; models that were called on symbols are inlined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from nnx.errors import OptionError
from nnx.layers import Layer, Symbol
from nnx.models.network import Call, Network


class Home(Protocol):
    """Where the layers of a network live."""

    def admit(self, layer: Layer) -> Layer:
        """The layer, or the copy that stands for it there."""

    def tell_apart(self, layers: Sequence[Layer]) -> None:
        """Gives layers names of their own, where copies have those of others."""


@dataclass
class _Drawing:
    """A network that is being drawn: its layers by identity, its calls, and the number of each symbol."""

    admit: Callable[[Layer], Layer]
    #: how many values there are
    values: int
    numbers: dict[int, int] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)
    places: dict[int, int] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)

    def place(self, layer: Layer) -> int:
        """The number of the layer, which is admitted where it is new."""
        own = self.admit(layer)
        if id(own) not in self.places:
            self.places[id(own)] = len(self.layers)
            self.layers.append(own)
        return self.places[id(own)]

    def number(self, symbol: Symbol) -> int:
        """The number of the value that a symbol stands for."""
        return self.numbers[id(symbol.call)] + symbol.output


def drawn(
    inputs: Sequence[Symbol],
    outputs: Sequence[Symbol],
    home: Home,
    model: str,
    names: Sequence[str] | None = None,
    form: type = object,
    out: Sequence[str] = (),
) -> Network:
    """The network that makes ``outputs`` of ``inputs``, of layers that live in ``home``.

    ``names`` are those of the inputs, where a dict says them; ``form`` says how the outputs are given (see
    :class:`Network`), ``out`` are the keys of a dict of them.

    Raises :class:`nnx.errors.OptionError` where an output needs an input that is not among ``inputs``.
    """
    drawing = _Drawing(home.admit, len(inputs))
    for i, symbol in enumerate(inputs):
        if not isinstance(symbol, Symbol) or symbol.layer is not None:
            raise OptionError(
                f"The inputs of a model are symbols that nnx.Input(shape) gave, got {_said(symbol)} as input "
                f"{i}."
            )
        if id(symbol) in drawing.numbers:
            raise OptionError(f"Input {i} of the model is there twice.")
        drawing.numbers[id(symbol)] = i
    for symbol in _in_order(outputs):
        if id(symbol) in drawing.numbers:
            continue
        if symbol.layer is None:
            name = "" if symbol.name is None else f" '{symbol.name}'"
            raise OptionError(
                f"The output needs an input{name} of shape {symbol.shape} that is not among the model's."
            )
        reads = tuple(map(drawing.number, symbol.inputs))
        call = Call(drawing.place(symbol.layer), reads, symbol.training, symbol.options)
        drawing.calls.append(call)
        drawing.numbers[id(symbol)] = drawing.values
        drawing.values += symbol.count
    if not drawing.calls:
        raise OptionError("The output of the model is one of its inputs: there is no layer in between.")
    ends = tuple(map(drawing.number, outputs))
    shapes = tuple(symbol.shape for symbol in inputs)
    keys = names_of(inputs) if names is None else tuple(names)
    layers, calls = tuple(drawing.layers), tuple(drawing.calls)
    network = _as_in_keras(Network(layers, shapes, calls, ends, model, keys, form, tuple(out)))
    home.tell_apart(network.layers)
    return network.checked()


def names_of(inputs: Sequence[Symbol]) -> tuple[str, ...]:
    """The name of each input: its own, else ``input``, or ``input_0``, ``input_1``, ... of several."""
    usual = ("input",) if len(inputs) == 1 else tuple(f"input_{i}" for i in range(len(inputs)))
    names = tuple(symbol.name or other for symbol, other in zip(inputs, usual, strict=True))
    if len(set(names)) < len(names):
        raise OptionError(f"The inputs of a model need different names, got {', '.join(names)}.")
    return names


def _in_order(outputs: Sequence[Any]) -> list[Symbol]:
    """The symbol of every call that the outputs need, each after those that it is made of."""
    # no recursion: chains are long
    order: list[Symbol] = []
    done: set[int] = set()
    stack = [(symbol, False) for symbol in reversed(outputs)]
    while stack:
        symbol, ready = stack.pop()
        if not isinstance(symbol, Symbol):
            raise OptionError(
                f"The output of a model is a symbol, what a layer gives for one; got {_said(symbol)}."
            )
        symbol = symbol.call
        if id(symbol) in done:
            continue
        if ready:
            done.add(id(symbol))
            order.append(symbol)
            continue
        stack.append((symbol, True))
        stack.extend((x, False) for x in reversed(symbol.inputs))
    return order


def _as_in_keras(network: Network) -> Network:
    """The network with its layers in the order in which Keras lists them, and so their weights.

    That is by the longest way from a layer to the output, longest first; among equals in the order in which
    one meets them on the way back from the output.
    """
    depths, of_layers, made_by = [0] * len(network.calls), dict[int, int](), network.made_by
    for k in reversed(range(len(network.calls))):
        i, reads, *_ = network.calls[k]
        depths[k] = of_layers[i] = max(depths[k], of_layers.get(i, 0))
        for r in reads:
            if (before := made_by[r]) is not None:
                depths[before] = max(depths[before], depths[k] + 1)
    met: dict[int, int] = {}
    seen: set[int] = set()
    stack = list(reversed(network.outputs))
    while stack:
        made = made_by[stack.pop()]
        if made is None or made in seen:
            continue
        seen.add(made)
        i, reads, *_ = network.calls[made]
        met.setdefault(i, len(met))
        stack.extend(reversed(reads))
    order = sorted(range(len(network.layers)), key=lambda i: (-of_layers[i], met[i]))
    new = {i: place for place, i in enumerate(order)}
    calls = tuple(call._replace(layer=new[call.layer]) for call in network.calls)
    return replace(network, layers=tuple(network.layers[i] for i in order), calls=calls)


def _said(thing: Any) -> str:
    """What was given in place of a symbol, in short: an array would fill the screen."""
    kind = f"the class {thing.__name__}" if isinstance(thing, type) else f"a {type(thing).__name__}"
    return repr(thing) if isinstance(thing, Symbol) else kind


def values_on(network: Network, xs: Sequence[Symbol], training: bool | None = None) -> list[Symbol]:
    """The symbols of all values of a network on other symbols: its layers are called on them."""
    values = list(xs)
    for i, reads, fixed, options in network.calls:
        how = training if fixed is None else fixed
        made = network.layers[i].draw([values[r] for r in reads], how, options)
        values.extend(made if isinstance(made, list) else [made])
    return values


def inlined(network: Network, xs: Sequence[Symbol], training: bool | None = None) -> Any:
    """The symbols of a network's outputs on other symbols, as the model gives its outputs."""
    values = values_on(network, xs, training)
    return network.answer([values[v] for v in network.outputs])
