"""A stack of layers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from nnx.backend import to_numpy
from nnx.errors import NotBuilt, OptionError, ShapeError, UnknownName
from nnx.layers import Input, Layer
from nnx.models.handles import BoundLayer
from nnx.models.model import Model
from nnx.models.network import Network, unique_names


class Sequential(Model):
    """A model that applies its layers one after the other.

    >>> model = nnx.Sequential()
    >>> model.add(nnx.layers.Dense(512, activation="relu", input_shape=(784,)))
    >>> model.add(nnx.layers.Dropout(0.2))
    >>> model.add(nnx.layers.Dense(10, activation="softmax"))
    >>> model.count_params()
    407050
    """

    def __init__(
        self,
        layers: Sequence[Layer] | None = None,
        name: str | None = None,
        *,
        backend: Any = None,
        device: Any = None,
        dtype: str | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(name=name, backend=backend, device=device, dtype=dtype, seed=seed)
        self._layers: list[Layer] = []
        self._declared: tuple[int, ...] | None = None
        for layer in [layers] if isinstance(layers, Layer) else layers or ():
            self.add(layer)

    def add(self, layer: Any) -> None:
        """Puts a layer on top. The weights of the layers below stay as they are."""
        layer = getattr(layer, "layer", layer)
        if not isinstance(layer, Layer):
            raise OptionError(
                f"add needs a layer (such as nnx.layers.Dense(10)), got {layer!r}"
                f"{': did you forget the parentheses?' if isinstance(layer, type) else '.'}"
            )
        if isinstance(layer, Input):
            if self._layers or self._declared is not None:
                raise OptionError("Input must be the first thing of a model.")
            self._declared = layer.shape
            return
        self._rebuild([*self._layers, layer])

    def pop(self) -> Layer:
        """Takes the last layer off and returns it."""
        if not self._layers:
            raise OptionError(f"Model '{self.name}' has no layer to pop.")
        *below, top = self._layers
        self._rebuild(below)
        return top

    def get_layer(self, name: str | None = None, index: int | None = None) -> BoundLayer:
        """The layer of that name or number; :class:`nnx.errors.UnknownName` if there is none."""
        layers = self.layers
        names = [layer.name for layer in layers]
        if index is None and name in names:
            index = names.index(name)
        if not isinstance(index, int) or not -len(names) <= index < len(names):
            asked = f"named {name!r}" if index is None else f"number {index!r}"
            raise UnknownName(f"Model '{self.name}' has no layer {asked}. It has: {', '.join(names)}.")
        return layers[index]

    @property
    def trainable(self) -> bool:
        """Whether any layer is trained; assigning sets it for all of them, and the optimizer starts anew."""
        return any(layer.trainable for layer in self._layers)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._rebuild([replace(layer, trainable=value) for layer in self._layers])

    def _exchange(self, index: int, layer: Layer) -> None:
        """Puts ``layer`` in the place of another one, whose weights it takes over."""
        layers = [*self._layers[:index], layer, *self._layers[index + 1 :]]
        if self._network is not None:
            network = self._network_of(layers, self._network.input_shape)
            if _shapes(network) != _shapes(self._network):
                raise OptionError(
                    f"Layer '{network.names[index]}' would have other weights then: make a new model."
                )
        self._rebuild(layers)

    def _rebuild(self, layers: list[Layer]) -> None:
        names = Counter(layer.name for layer in layers if layer.name is not None)
        if twice := [name for name, times in names.items() if times > 1]:
            raise OptionError(f"There is a layer named '{twice[0]}' in model '{self.name}' already.")
        shape = self._network.input_shape if self._network else self._declared
        if shape is None and layers:
            shape = layers[0].input_shape
        network = self._network_of(layers, shape) if shape is not None and layers else None
        kept = [bound.get_weights() for bound in self.layers] if self.built else []
        self._layers = layers
        if network is None:
            self._network = None
            self._forget_training()
            return
        self._adopt(network)
        for bound, weights in zip(self.layers, kept, strict=False):
            bound.set_weights(weights)

    def __getstate__(self) -> dict[str, Any]:
        """What copy and pickle take: weights, the optimizer's memory, and nothing that follows from them."""
        state = vars(self) | {"_network": None, "_kept_problem": None, "_gradient": None, "_state": None}
        built = None
        if self._network is not None:
            memory = None if self._state is None else (_on_host(self._state.vectors()), self._state.numbers())
            built = self._network.input_shape, self.get_weights(), memory
        return state | {"_w": None, "_fixed": None, "_built": built}

    def __setstate__(self, state: dict[str, Any]) -> None:
        built = state.pop("_built")
        vars(self).update(state)
        if built is not None:
            input_shape, weights, memory = built
            self._adopt(self._network_of(self._layers, input_shape))
            self.set_weights(weights)
            if memory is not None:
                self._state = self.optimizer.restore(self._problem(), self._w, *memory)

    def _layer_list(self) -> list[Layer]:
        return self._layers

    def _make_network(self, input_shape: tuple[int, ...]) -> Network:
        if not self._layers:
            raise NotBuilt(f"Model '{self.name}' has no layers: add some first.")
        if self._declared is not None and self._declared != input_shape:
            raise ShapeError(
                f"Model '{self.name}' was declared for samples of {self._declared}, got {input_shape}."
            )
        return self._network_of(self._layers, input_shape)

    def _network_of(self, layers: Sequence[Layer], input_shape: tuple[int, ...]) -> Network:
        label = "Sequential" if self.name == "sequential" else f"Sequential '{self.name}'"
        network = Network(tuple(layers), unique_names(layers), input_shape, label)
        network.specs  # noqa: B018 (a layer that does not fit is found here, before anything is changed)
        return network


def _shapes(network: Network) -> list[list[tuple[str, tuple[int, ...]]]]:
    return [[(weight.name, weight.shape) for weight in spec.weights] for spec in network.specs]


def _on_host(vectors: Mapping[str, Any]) -> dict[str, Any]:
    return {name: to_numpy(vector) for name, vector in vectors.items()}
