"""A layer as it stands in a model: the frozen description together with its weights there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from nnx.backend import Backend, adapter_of, to_numpy
from nnx.errors import DataError, OptionError, ShapeError
from nnx.models.data import as_array
from nnx.models.network import Slot, unique_names

if TYPE_CHECKING:
    from nnx.layers import Layer
    from nnx.models.holder import Holder


class BoundLayer:
    """One layer of a model; attributes of the layer itself (``units``, ``rate``, ...) are here too.

    So are its weights by their names (``kernel``, ``bias``): copies, as NumPy arrays that are read only.
    Both can be assigned to. A weight must keep its shape; a layer with another attribute (``trainable``,
    ``activation``, ...) takes the layer's place in the model, with its weights, and the optimizer's state
    starts anew.

    >>> model = nnx.Sequential([nnx.layers.Dense(3, input_shape=(4,)), nnx.layers.Dense(1)])
    >>> model.layers[0].trainable = False
    >>> model.layers[1].bias = [0.5]
    >>> model.weights_vector.shape, model.layers[1].bias
    ((4,), array([0.5], dtype=float32))
    """

    def __init__(self, model: Holder, index: int) -> None:
        vars(self).update(_model=model, index=index)

    @property
    def layer(self) -> Layer:
        """The description of the layer."""
        return self._model._layer_list()[self.index]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # nothing is passed on before there is a model, in a copy for example
            raise AttributeError(name)
        if hasattr(self.layer, name) or (i := self._weight(name)) is None:
            return getattr(self.layer, name)
        array = self.get_weights()[i]
        array.flags.writeable = False
        return array

    def __setattr__(self, name: str, value: Any) -> None:
        if name in (allowed := [f.name for f in fields(self.layer) if f.init]):
            self._model._exchange(self.index, replace(self.layer, **{name: value}))
        elif (i := self._weight(name)) is not None:
            arrays = self.get_weights()
            arrays[i] = value
            self.set_weights(arrays)
        else:
            raise AttributeError(
                f"'{name}' of layer '{self.name}' cannot be set. What can: {', '.join(allowed)}."
            )

    def _weight(self, name: str) -> int | None:
        """The number of the weight of that name among the layer's, if it has such a one."""
        slots = self._model.network.slots[self.index] if self._model.built else ()
        return next((i for i, slot in enumerate(slots) if slot.name == name), None)

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
        weights, places = arrays_of(weights), self._places()
        if len(weights) != len(places):
            raise ShapeError(f"Layer '{self.name}' has {len(places)} weight arrays, got {len(weights)}.")
        out = []
        for given, (slot, _, shape) in zip(weights, places, strict=True):
            array = weight(given, self._model.backend, f"The new '{slot.name}' of layer '{self.name}'")
            if tuple(array.shape) != shape:
                raise ShapeError(
                    f"'{slot.name}' of layer '{self.name}' has shape {shape}, got {tuple(array.shape)}."
                )
            out.append(self._model.backend.xp.reshape(array, (-1,)))
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


def arrays_of(weights: Any) -> list[Any]:
    """The arrays of a list of them."""
    try:
        return list(weights)
    except TypeError as error:
        raise OptionError(f"set_weights takes a list of arrays, got {weights!r}.") from error


def weight(given: Any, backend: Backend, what: str) -> Any:
    """An array of numbers for the weights, in the library, data type and device of the model."""
    array = as_array(given, what)
    own = adapter_of(array) is backend.adapter
    array = backend.asarray(array if own else to_numpy(array), dtype=backend.dtype)
    if not to_numpy(backend.xp.all(backend.xp.isfinite(array))):
        raise DataError(f"{what} has NaN or infinite numbers, or too large ones for {backend.dtype}.")
    return array
