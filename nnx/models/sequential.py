"""A stack of layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx.errors import NotBuilt, OptionError, ShapeError
from nnx.layers import Input, Layer
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
        if layer.name is not None and any(layer.name == other.name for other in self._layers):
            raise OptionError(f"There is a layer named '{layer.name}' in model '{self.name}' already.")
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

    def _rebuild(self, layers: list[Layer]) -> None:
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
