"""Models between symbols: said by inputs and outputs, or by a method ``call`` of a class."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

from nnx.errors import NotBuilt, OptionError, ShapeError
from nnx.layers import Input, Layer, Symbol
from nnx.models.entrance import several
from nnx.models.graph import drawn
from nnx.models.network import Network
from nnx.models.structure import Structure
from nnx.registry import from_config, to_config

Shape = tuple[int, ...]


class Drawn(Structure):
    """A structure whose network is drawn with symbols."""

    def __init__(self, inputs: Any = None, outputs: Any = None, **options: Any) -> None:
        super().__init__(**options)
        #: the network as it was drawn; None before it is
        self._graph: Network | None = None
        #: how ``call`` takes the inputs: one, as a list, or as a dict
        self._takes: type = object
        self._keys: tuple[str, ...] = ("input",)
        if (inputs is None) != (outputs is None):
            raise OptionError(f"{type(self).__name__} needs inputs and outputs, or a method call.")
        if inputs is not None:
            self._draw(inputs, outputs)

    def _draw(self, inputs: Any, outputs: Any) -> None:
        if isinstance(inputs, Mapping):
            inputs = [replace(symbol, name=name) for name, symbol in inputs.items()]
        symbols = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
        ends = list(outputs) if isinstance(outputs, list | tuple) else [outputs]
        if len(ends) != 1:
            raise OptionError(
                f"A model has one output here, got {len(ends)}. Join them, for example with "
                "nnx.layers.Concatenate, or make a model for each: they may share layers by their weights."
            )
        self._graph = drawn(symbols, ends, self._residents.admit, self.label)
        self._keys = self._graph.input_names

    # -- what a structure says --------------------------------------------------------------------

    @property
    def layers(self) -> list[Layer]:
        if self._graph is not None:
            return list(self._graph.layers)
        own = (value for value in vars(self).values() if isinstance(value, Layer))
        return [self._residents.admit(layer) for layer in own]

    @property
    def input_names(self) -> tuple[str, ...]:
        return self._keys

    def _input_names_for(self, x: Any) -> tuple[str, ...]:
        """The names of the inputs for such data: the model's, or what the data say before it is drawn."""
        if self._graph is not None or type(self).call is Drawn.call:
            return self.input_names
        self._takes, self._keys = object, ("input",)
        if isinstance(x, Mapping):
            self._takes, self._keys = dict, tuple(map(str, x))
        elif several(x):
            self._keys = tuple(f"input_{i}" for i in range(len(x)))
        return self._keys

    def call(self, x: Any) -> Any:
        """The output for an input (or a list or dict of several): for classes of one's own, in layers."""
        raise NotBuilt(
            f"{type(self).__name__} has no layers: make it of inputs and outputs, nnx.Model(inputs, "
            "outputs), take nnx.Sequential, or derive a class with a method call(self, x)."
        )

    def _known_shapes(self) -> tuple[Shape, ...] | None:
        return None if self._graph is None else self._graph.inputs

    def _fix_shapes(self, shapes: tuple[Shape, ...] | None) -> None:
        if shapes is None:
            self._graph = None
        elif self._graph is None:
            self._graph = self._network_for(shapes)
            self._keys = self._graph.input_names

    def _network_for(self, shapes: tuple[Shape, ...]) -> Network:
        if self._graph is not None:
            if shapes != self._graph.inputs:
                raise ShapeError(
                    f"{self.label} was made for samples of {list(self._graph.inputs)}, got {list(shapes)}."
                )
            return replace(self._graph)  # what followed from the layers is found anew
        names = self._keys if len(self._keys) == len(shapes) else [f"input_{i}" for i in range(len(shapes))]
        symbols = [Input(shape, name) for shape, name in zip(shapes, names, strict=True)]
        taken: Any = symbols[0]
        if self._takes is dict:
            taken = dict(zip(names, symbols, strict=True))
        elif len(symbols) > 1:
            taken = symbols
        # a model that is called on data passes training; here the program says it
        extra = {"training": None} if "training" in inspect.signature(self.call).parameters else {}
        output = self.call(taken, **extra)
        if not isinstance(output, Symbol):
            raise OptionError(
                f"{type(self).__name__}.call must return what its layers give, got {type(output).__name__}: "
                "it is called once, on symbols, to find out which layers read which."
            )
        return drawn(symbols, [output], self._residents.admit, self.label)

    # -- configuration ----------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """What the model is made of: layers and calls, no weights."""
        network = self.network
        return {
            "name": self.name,
            "layers": [to_config(layer) for layer in network.layers],
            "inputs": [list(shape) for shape in network.inputs],
            "input_names": list(self.input_names),
            "calls": [[call.layer, list(call.reads)] for call in network.calls],
            "outputs": list(network.outputs),
        }

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None, **place: Any
    ) -> Self:
        """A model with the layers and calls that :meth:`get_config` gave, and new weights.

        ``place`` are the options ``backend``, ``device``, ``dtype`` and ``seed``.
        """
        layers = [from_config(layer, custom_objects) for layer in config["layers"]]
        symbols = [
            Input(shape, name) for shape, name in zip(config["inputs"], config["input_names"], strict=True)
        ]
        values = list(symbols)
        for i, reads in config["calls"]:
            values.append(layers[i](*(values[r] for r in reads)))
        ends = [values[i] for i in config["outputs"]]
        return cls(symbols, ends, name=config["name"], **place)
