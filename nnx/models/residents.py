"""The layers of a model as objects: who lives there, under which name, with which weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from nnx.layers import Layer, Weight
from nnx.models.weights import Weights
from nnx.registry import unique_name

Shape = tuple[int, ...]


class Residents:
    """The home of a model's layers (see :class:`nnx.layers.placed.Home`): it finds their weights for them.

    ``weights`` gives the model's weights, made where they can be (None: the input shape is not known), and
    ``holding`` those in which a layer's lie, which need not be of the model as it is now; ``names`` gives the
    layers with their names; ``exchange`` makes a change of a layer and lets the model follow; ``symbols``
    gives what a layer reads and gives in the model; ``title`` is the model's name.
    """

    def __init__(
        self,
        weights: Callable[[], Weights | None],
        holding: Callable[[Layer], Weights | None],
        names: Callable[[], dict[int, str]],
        exchange: Callable[[Layer, Callable[[], None], str], None],
        symbols: Callable[[Layer], tuple[list[Any], list[Any]] | None],
        title: Callable[[], str],
    ) -> None:
        self._weights, self._holding = weights, holding
        self._names, self._exchange = names, exchange
        self._symbols, self._title = symbols, title
        self._copies: WeakKeyDictionary[Layer, Layer] = WeakKeyDictionary()
        #: for each copy the name of the model that it comes from
        self._origins: WeakKeyDictionary[Layer, str] = WeakKeyDictionary()

    def admit(self, layer: Layer) -> Layer:
        """The layer itself, which lives here from now on; a copy with its weights if it lives elsewhere."""
        if layer.home is None:
            layer.moves_in(self)
        elif layer.home is not self:
            if layer not in self._copies:
                self._copies[layer] = copy = layer.duplicate()
                self._origins[copy] = layer.home.title
                copy.moves_in(self)
            return self._copies[layer]
        return layer

    def tell_apart(self, layers: Sequence[Layer]) -> None:
        """Gives copies whose name another layer has already the name of the model that they come from.

        It stands in front: ``encoder_dense``. A layer that was put in itself keeps its name, and so does the
        first of several copies.
        """
        named = [layer for layer in layers if vars(layer).get("name") is not None]
        taken = {str(layer.name) for layer in named if layer not in self._origins}
        for copy in named:
            if copy in self._origins:
                if copy.name in taken:
                    vars(copy)["name"] = unique_name(f"{self._origins[copy]}_{copy.name}", taken)
                taken.add(str(copy.name))

    @property
    def title(self) -> str:
        """The name of the model."""
        return self._title()

    # -- the home of a layer ----------------------------------------------------------------------

    def arrays_of(self, layer: Layer) -> list[Any]:
        weights = self._holding(layer)
        return [] if weights is None else weights.arrays_of(layer)

    def put(self, layer: Layer, arrays: Sequence[Any]) -> None:
        weights = self._holding(layer)
        if weights is None:
            layer.not_built()
        else:
            weights.set(arrays, layer)

    def weights_of(self, layer: Layer) -> tuple[Weight, ...]:
        weights = self._holding(layer)
        return () if weights is None else tuple(slot.weight for slot in weights.slots_of(layer))

    def names_of(self, layer: Layer) -> tuple[str, ...]:
        return tuple(weight.name for weight in self.weights_of(layer))

    def output_shape_of(self, layer: Layer) -> Shape | None:
        weights = self._weights()
        return None if weights is None else weights.output_shape_of(layer)

    def name_of(self, layer: Layer) -> str | None:
        return self._names().get(id(layer))

    def symbols_of(self, layer: Layer) -> tuple[list[Any], list[Any]] | None:
        return self._symbols(layer)

    def exchange(self, layer: Layer, change: Callable[[], None], attribute: str) -> None:
        self._exchange(layer, change, attribute)
