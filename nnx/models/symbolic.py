"""A model between symbols: what goes in, what comes out, and what each of its layers reads and gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nnx.layers import Input, Layer, Symbol
from nnx.models.graph import values_on
from nnx.models.network import Network
from nnx.models.weighted import Weighted


@dataclass(frozen=True, eq=False)
class _Redrawn:
    """A network's values as symbols that its own layers give."""

    network: Network
    values: Sequence[Symbol]

    def of_layer(self, layer: Layer) -> tuple[list[Symbol], list[Symbol]]:
        """What a layer reads, and what it gives, where it is called first."""
        network, made = self.network, len(self.network.inputs)
        for k, call in enumerate(network.calls):
            if network.layers[call.layer] is layer:
                break
            made += network.gives(k)
        reads, gives = network.calls[k].reads, range(made, made + network.gives(k))
        return [self.values[r] for r in reads], [self.values[v] for v in gives]


class Symbolic(Weighted):
    """A structure that shows itself in symbols: to take a part of it, or to put more layers on it.

    Another model that is made of them gets copies of the layers, with copies of the weights.
    """

    #: the symbols of the inputs that it was made with
    _given_inputs: Sequence[Symbol] | None = None
    _symbols: _Redrawn | None = None

    def _redrawn(self) -> _Redrawn:
        network = self.network
        if self._symbols is None or self._symbols.network is not network:
            inputs = self._given_inputs
            if inputs is None:
                inputs = list(map(Input, network.inputs, network.input_names))
            self._symbols = _Redrawn(network, values_on(network, inputs))
        return self._symbols

    @property
    def inputs(self) -> list[Symbol]:
        """The symbols of the inputs; :class:`nnx.errors.NotBuilt` before the input shape is known."""
        return list(self._redrawn().values[: len(self.network.inputs)])

    @property
    def outputs(self) -> list[Symbol]:
        """The symbols of the outputs; :class:`nnx.errors.NotBuilt` before the input shape is known."""
        symbols = self._redrawn().values
        return [symbols[v] for v in self.network.outputs]

    @property
    def input(self) -> Any:
        """The symbol of the input (a list of them for several).

        >>> base = nnx.Sequential([nnx.Input((3,)), nnx.layers.Dense(4, name="h"), nnx.layers.Dense(1)])
        >>> features = nnx.Model(base.input, base.get_layer("h").output)
        >>> features.output_shape
        (None, 4)
        >>> bool((features.get_weights()[0] == base.get_weights()[0]).all())  # a copy
        True
        """
        inputs = self.inputs
        return inputs[0] if len(inputs) == 1 else inputs

    @property
    def output(self) -> Any:
        """The symbol of the output (a list or dict of them for several).

        >>> base = nnx.Sequential([nnx.layers.Dense(4, "tanh", input_shape=(3,))])
        >>> nnx.Model(base.input, nnx.layers.Dense(2)(base.output)).output_shape
        (None, 2)
        """
        return self.network.answer(self.outputs)

    def _symbols_of(self, layer: Layer) -> tuple[list[Any], list[Any]] | None:
        return None if self._known_shapes() is None else self._redrawn().of_layer(layer)
