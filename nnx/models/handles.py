"""A layer as it stands in a model: the frozen description together with its weights there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nnx.backend import to_numpy
from nnx.errors import DataError, ShapeError
from nnx.models.network import Slot, unique_names

if TYPE_CHECKING:
    from nnx.layers import Layer
    from nnx.models.holder import Holder


class BoundLayer:
    """One layer of a model; attributes of the layer itself (``units``, ``rate``, ...) are here too."""

    def __init__(self, model: Holder, index: int) -> None:
        self._model = model
        self.index = index
        self.layer: Layer = model._layer_list()[index]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.layer, name)

    def __repr__(self) -> str:
        return f"<{self.name} of {self._model.name}: {self.layer!r}>"

    @property
    def name(self) -> str:
        """The layer's name, unique in the model."""
        return unique_names(self._model._layer_list())[self.index]

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """The shape of a batch of this layer's outputs."""
        return (None, *self._model.network.specs[self.index].output_shape)

    def count_params(self) -> int:
        """The number of the layer's weights."""
        return sum(math.prod(w.shape) for w in self._model.network.specs[self.index].weights)

    def get_weights(self) -> list[Any]:
        """Copies of the layer's weights as NumPy arrays (for Dense: kernel and bias)."""
        return [
            to_numpy(self._vector(slot)[part]).reshape(shape).copy() for slot, part, shape in self._places()
        ]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Puts arrays in place of the weights; nothing is changed if number or shapes do not fit."""
        self.put(self.checked(weights))

    def checked(self, weights: Sequence[Any]) -> list[Any]:
        """The arrays in the model's library, after their number, shapes and values have been looked at."""
        places = self._places()
        if len(weights) != len(places):
            raise ShapeError(f"Layer '{self.name}' has {len(places)} weight arrays, got {len(weights)}.")
        backend = self._model.backend
        out = []
        for array, (slot, _, shape) in zip(weights, places, strict=True):
            given = tuple(getattr(array, "shape", ()))
            if given != shape:
                raise ShapeError(f"'{slot.name}' of layer '{self.name}' has shape {shape}, got {given}.")
            moved = backend.asarray(to_numpy(array), dtype=backend.dtype)
            if not to_numpy(backend.xp.all(backend.xp.isfinite(moved))):
                raise DataError(f"The new '{slot.name}' of layer '{self.name}' has NaN or infinite numbers.")
            out.append(backend.xp.reshape(moved, (-1,)))
        return out

    def put(self, arrays: Sequence[Any]) -> None:
        """Writes arrays that :meth:`checked` has returned."""
        for array, (slot, part, _) in zip(arrays, self._places(), strict=True):
            self._vector(slot)[part] = array

    def _vector(self, slot: Slot) -> Any:
        return self._model._w if slot.trained else self._model._fixed

    def _places(self) -> list[tuple[Slot, slice, tuple[int, ...]]]:
        network = self._model.network
        places = []
        for slot in network.slots[self.index]:
            layout = network.layout if slot.trained else network.fixed_layout
            places.append((slot, layout.slices[slot.number], layout.shapes[slot.number]))
        return places
