"""Models as Keras' ``config.json`` describes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from nnx.errors import OptionError
from nnx.interop.keras.calls import FURTHER, INPUTS
from nnx.interop.keras.objects import serialized
from nnx.layers import Layer
from nnx.models.network import Network
from nnx.models.sequential import Sequential

#: layers that take their inputs as one list
_LISTS = {
    "Add", "AdditiveAttention", "Attention", "Average", "Concatenate", "CustomScaleLayer", "Dot", "Maximum",
    "Minimum", "Multiply", "Subtract",
}  # fmt: skip


def described(model: Any) -> dict[str, Any]:
    """The description of a built model, a ``Sequential`` where it is one and else a ``Functional``.

    Raises :class:`nnx.errors.OptionError` for layers and options that Keras does not have.
    """
    network, dtype = model.network, model.backend.dtype
    chain = (
        isinstance(model, Sequential)
        and len(network.layers) == len(network.calls)
        and not any(call.options for call in network.calls)
    )
    if chain:
        (shape,) = network.inputs
        own = [_layer(layer, name, dtype) for layer, name in zip(network.layers, network.names, strict=True)]
        config = {
            "name": model.name,
            "trainable": True,
            "dtype": dtype,
            "layers": [_input(shape, network.input_names[0], dtype), *own],
            "build_input_shape": [None, *shape],
        }
        return {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": None}
    return {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": _Functional(network, model.name, dtype).config(),
        "registered_name": "Functional",
    }


def names_of_outputs(network: Any) -> list[str]:
    """The names of several outputs where Keras' file holds them in a dict; else nothing, and they are a list.

    Keras sorts a dict by its keys, and so finds the layers in another order: such ones are written as a list,
    in which the outputs are called as their layers.
    """
    names = list(getattr(network, "output_names", ()))
    return names if len(names) > 1 and names == sorted(names) else []


def _layer(layer: Layer, name: str, dtype: str) -> dict[str, Any]:
    """A layer as Keras describes it; one without weights says nothing of training."""
    found: dict[str, Any] = serialized(layer, name=name, dtype=dtype)
    if not layer.weight_names:
        found["config"].pop("trainable", None)
    return found


def _input(shape: tuple[int, ...], name: str, dtype: str) -> dict[str, Any]:
    config = {"batch_shape": [None, *shape], "dtype": dtype, "sparse": False, "ragged": False, "name": name}
    return {"module": "keras.layers", "class_name": "InputLayer", "config": config, "registered_name": None}


def _by_cells(cells: Sequence[Any], states: list[Any]) -> list[list[Any]]:
    """The states of cells one on top of the other, a list for each."""
    sizes = [cell.state_size for cell in cells]
    counts = [1 if isinstance(size, int) else len(size) for size in sizes]
    starts = [sum(counts[:k]) for k in range(len(counts))]
    return [states[start : start + count] for start, count in zip(starts, counts, strict=True)]


class _Functional:
    """The description of a network between symbols: each call of a layer is a node of that layer."""

    def __init__(self, network: Network, name: str, dtype: str) -> None:
        self.network, self.name, self.dtype = network, name, dtype
        #: for each value the layer that gives it, the number of that layer's call, and of the output
        self.sources: list[list[Any]] = [[name, 0, 0] for name in network.input_names]
        used: Counter[int] = Counter()
        for k, call in enumerate(network.calls):
            name = network.names[call.layer]
            self.sources += [[name, used[call.layer], j] for j in range(network.gives(k))]
            used[call.layer] += 1
        self.allow = self._allow()

    def config(self) -> dict[str, Any]:
        """What stands under ``config``."""
        network, dtype = self.network, self.dtype
        inputs = [
            {**_input(shape, name, self._dtype(i)), "name": name, "inbound_nodes": []}
            for i, (shape, name) in enumerate(zip(network.inputs, network.input_names, strict=True))
        ]
        layers = [
            {**_layer(layer, name, dtype), "name": name, "inbound_nodes": self._nodes(i)}
            for i, (layer, name) in enumerate(zip(network.layers, network.names, strict=True))
        ]
        ends: Any = [self.sources[i] for i in network.outputs]
        if names := names_of_outputs(network):
            ends = dict(zip(names, ends, strict=True))
        starts = self.sources[: len(inputs)]
        return {
            "name": self.name,
            "trainable": True,
            "layers": inputs + layers,
            "input_layers": starts if len(starts) > 1 else starts[0],
            "output_layers": ends if len(ends) > 1 else ends[0],
        }

    def _nodes(self, i: int) -> list[Mapping[str, Any]]:
        """The calls of a layer."""
        layer = self.network.layers[i]
        label = type(layer).__name__
        nodes: list[Mapping[str, Any]] = []
        for call in self.network.calls:
            if call.layer != i:
                continue
            args: list[Any] = [self._tensor(value) for value in call.reads]
            named: dict[str, Any] = {**call.options}
            if label in _LISTS:
                args = [args]
            elif label in INPUTS:
                further = named.pop("further", FURTHER[:1])
                named |= dict(zip(further, args[2:], strict=False))
                args = args[:2]
            elif len(args) > 1:
                args, states = args[:1], args[1:]
                if hasattr(layer, "cells"):
                    named["states"] = _by_cells(layer.cells, states)
                else:
                    named["states" if label.endswith("Cell") else "initial_state"] = states
            nodes.append({"args": args, "kwargs": named})
        return nodes

    def _allow(self) -> set[int]:
        """The values that say who may attend to whom: bools in Keras, which only an input can be.

        Raises :class:`nnx.errors.OptionError` where one is anything else besides.
        """
        read: dict[bool, set[int]] = {True: set(), False: set(self.network.outputs)}
        for call in self.network.calls:
            names = ("query", "value", *call.options.get("further", ()))
            for value, name in zip_longest(call.reads, names[: len(call.reads)]):
                read[name == "attention_mask"].add(value)
        if wrong := [v for v in read[True] if v >= len(self.network.inputs) or v in read[False]]:
            raise OptionError(
                "Keras takes an attention_mask of bools, so for a file of Keras' it must be an input that is "
                f"read as nothing else; here it is what '{self.sources[wrong[0]][0]}' gives."
            )
        return read[True]

    def _dtype(self, value: int) -> str:
        return "bool" if value in self.allow else self.dtype

    def _tensor(self, value: int) -> dict[str, Any]:
        shape = [None, *self.network.shapes[value]]
        config = {"shape": shape, "dtype": self._dtype(value), "keras_history": self.sources[value]}
        return {"class_name": "__keras_tensor__", "config": config}
