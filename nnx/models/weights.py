"""The weights of a network: the vector that is trained, the vector of all others, and where they live."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import Any

from nnx.backend import Backend, adapter_of, make_backend, to_numpy
from nnx.errors import DataError, OptionError, ShapeError
from nnx.jitting import Replayed
from nnx.layers import Context, Layer
from nnx.models.compiling import compiled
from nnx.models.entrance import as_array
from nnx.models.network import Network, Slot
from nnx.models.predicting import predicting
from nnx.models.program import Params, Program
from nnx.models.users_own import users_own

Array = Any


class Weights:
    """Two vectors in the library, data type and device of a model, and the network that names their pieces.

    Training writes into them in place (see :class:`nnx.models.trainer.Trainer`); who reads pieces gets views
    or copies.
    """

    def __init__(self, network: Network, backend: Backend, seed: int, before: Weights | None = None) -> None:
        """Of each layer the weights that it has (in ``before``, or brought along), else new random ones."""
        self.network, self.backend = network, backend
        self.program: Program = compiled(network)
        self._index = {id(layer): i for i, layer in enumerate(network.layers)}
        self.brought = {id(layer): layer.brought for layer in network.layers if layer.brought is not None}
        #: for each layer its weights: name, which of the two vectors, and number there
        self._reach = [[(s.name, int(s.trained), s.number) for s in row] for row in network.slots]
        layouts = {True: network.layout, False: network.state_layout}
        vectors = {trained: self._on_host(layout.size) for trained, layout in layouts.items()}
        number = 0
        for layer, row in zip(network.layers, network.slots, strict=True):
            known = self._known(layer, before)
            for i, slot in enumerate(row):
                piece = vectors[slot.trained][layouts[slot.trained].slices[slot.number]]
                if known is None:
                    slot.weight.fill(piece, seed, number)
                else:
                    piece[...] = known[i].reshape(-1)
                number += 1
        self.trained, self.state = (self._own(vectors.pop(trained)) for trained in (True, False))

    @cached_property
    def predicting(self) -> Program:
        """The program for prediction alone."""
        return predicting(self.program)

    @cached_property
    def _predicted(self) -> Replayed:
        program = self.predicting

        def predicted(trained: Array, state: Array, *xs: Array) -> tuple[list[Array], Mapping[int, Any]]:
            ran = program.run(self.params_of(trained, state), xs, Context())
            return ran.outputs, ran.changes

        own = users_own((program.network.layers, program.steps))
        return Replayed(predicted, held=(self.trained, self.state), reason=own)

    def predict(self, xs: Sequence[Array]) -> list[Array]:
        """The outputs for a batch; what layers change in prediction too is kept."""
        outputs, changes = self._predicted(*xs)
        self.keep(changes)
        self.predicting.check_outputs(outputs, xs[0].shape[0])
        return list(outputs)

    def computing(self) -> AbstractContextManager[Any]:
        """What to compute a batch in: whose threads take the cores is settled once for all of its layers.

        Threads of BLAS wait in a loop after each product, and would take the cores from the next layer.
        """
        return self.backend.adapter.held() if self.program.spreads else nullcontext()

    def _known(self, layer: Layer, before: Weights | None) -> list[Array] | None:
        if layer.brought is None and before is not None and before.has(layer):
            return before.arrays_of(layer)
        return layer.brought

    def _on_host(self, size: int) -> Array:
        host = make_backend("numpy")
        return host.xp.empty(size, dtype=host.adapter.dtype(self.backend.dtype), device=host.device)

    def _own(self, vector: Array) -> Array:
        """A vector of the host in the model's library; it is written to in place from now on."""
        if adapter_of(vector) is self.backend.adapter:
            return vector
        return self.backend.xp.asarray(self.backend.asarray(vector), copy=True)

    # -- pieces -----------------------------------------------------------------------------------

    def params(self, trained: Sequence[Array], state: Sequence[Array]) -> Params:
        """For each layer its weights by name, out of the pieces of the two vectors."""
        both = state, trained
        return tuple({name: both[kind][number] for name, kind, number in row} for row in self._reach)

    def params_of(self, trained: Array, state: Array) -> Params:
        """For each layer its weights by name, as views of two vectors."""
        if trained is self.trained and state is self.state:
            return self.own_params
        network = self.network
        return self.params(network.layout.views(trained), network.state_layout.views(state))

    @cached_property
    def own_params(self) -> Params:
        """The weights of each layer by name, as views of the own vectors: made once, for these stay."""
        network = self.network
        return self.params(network.layout.views(self.trained), network.state_layout.views(self.state))

    def copy_of(self) -> tuple[Array, Array]:
        """Copies of both vectors."""
        xp = self.backend.xp
        return xp.asarray(self.trained, copy=True), xp.asarray(self.state, copy=True)

    def check_changes(self, changes: Mapping[int, Mapping[str, Array]]) -> None:
        """Raises OptionError for what a stateful layer may not return, by the number of the layer."""
        for i, new in changes.items():
            label, own = self.network.layers[i].label, self._state_slots(i)
            for name, value in new.items():
                if name not in own:
                    raise OptionError(
                        f"{label} returned a change of '{name}', but only weights that are not trained can "
                        f"be changed so; it has {list(own) or 'none'}."
                    )
                if tuple(value.shape) != own[name].weight.shape:
                    raise ShapeError(
                        f"{label} returned a change of '{name}' of shape {tuple(value.shape)}; its shape is "
                        f"{own[name].weight.shape}."
                    )

    def commit(self, changes: Mapping[int, Mapping[str, Array]]) -> None:
        """Writes what stateful layers returned, by the number of the layer, into the state vector."""
        if not changes:
            return
        xp, layout = self.backend.xp, self.network.state_layout
        for i, new in changes.items():
            own = self._state_slots(i)
            for name, value in new.items():
                self.state[layout.slices[own[name].number]] = xp.reshape(value, (-1,))

    def keep(self, changes: Mapping[int, Mapping[str, Array]]) -> None:
        """As :meth:`commit`, for what layers change in prediction; checked before."""
        if changes:
            self.check_changes(changes)
            self.commit(changes)

    def _state_slots(self, i: int) -> dict[str, Slot]:
        return {slot.name: slot for slot in self.network.slots[i] if not slot.weight.trainable}

    def constrain(self) -> None:
        """Applies the constraints of the layers to the trained weights."""
        for part, weight in self.network.constrained:
            xp = self.backend.xp
            piece = weight.constraint(xp.reshape(self.trained[part], weight.shape))
            self.trained[part] = xp.reshape(piece, (-1,))

    # -- layer by layer, on the host --------------------------------------------------------------

    def has(self, layer: Layer) -> bool:
        """Whether the layer is one of the network's."""
        return id(layer) in self._index

    def slots_of(self, layer: Layer) -> tuple[Slot, ...]:
        """Where the weights of a layer lie."""
        return self.network.slots[self._index[id(layer)]]

    def output_shape_of(self, layer: Layer) -> tuple[int, ...]:
        """The shape of one sample's output of a layer."""
        return self.network.specs[self._index[id(layer)]].output_shape

    def arrays_of(self, layer: Layer) -> list[Array]:
        """Copies of the layer's weights as NumPy arrays."""
        return [
            to_numpy(vector[part]).reshape(slot.weight.shape).copy()
            for slot, vector, part in self._places(self.slots_of(layer))
        ]

    def get(self) -> list[Array]:
        """Copies of all weights, layer by layer."""
        return [array for layer in self.network.layers for array in self.arrays_of(layer)]

    def set(self, arrays: Any, layer: Layer | None = None) -> None:
        """Puts arrays in place of all weights (or of one layer's); nothing is changed if one does not fit."""
        rows = self.network.slots if layer is None else (self.slots_of(layer),)
        names = self.network.names if layer is None else (self.network.names[self._index[id(layer)]],)
        owner = self.network.model if layer is None else f"Layer '{names[0]}'"
        slots = [(slot, name) for row, name in zip(rows, names, strict=True) for slot in row]
        given = _arrays(arrays)
        if len(given) != len(slots):
            raise ShapeError(f"{owner} has {len(slots)} weight arrays, got {len(given)}.")
        checked = []
        for array, (slot, name) in zip(given, slots, strict=True):
            array = self.checked(array, f"The new '{slot.name}' of layer '{name}'")
            if tuple(array.shape) != slot.weight.shape:
                shape = slot.weight.shape
                raise ShapeError(
                    f"'{slot.name}' of layer '{name}' has shape {shape}, got {tuple(array.shape)}."
                )
            checked.append(self.backend.xp.reshape(array, (-1,)))
        places = self._places(slot for slot, _ in slots)
        for array, (_, vector, part) in zip(checked, places, strict=True):
            vector[part] = array

    def set_named(self, named: Mapping[str, Any]) -> None:
        """Puts arrays in place of the trained weights, by the names of the layout."""
        layout = self.network.layout
        pairs = zip(layout.names, layout.pick(named), strict=True)
        self.trained[...] = layout.pack([self.checked(piece, f"The new '{name}'") for name, piece in pairs])

    def named(self) -> list[tuple[str, Array]]:
        """Every weight by its layer's name and its own, as a NumPy array."""
        rows = zip(self.network.names, self.network.layers, strict=True)
        return [
            (f"{name}/{slot.name}", array)
            for name, layer in rows
            for slot, array in zip(self.slots_of(layer), self.arrays_of(layer), strict=True)
        ]

    def checked(self, given: Any, what: str) -> Array:
        """An array of numbers for the weights, in the library, data type and device of the model."""
        backend, array = self.backend, as_array(given, what)
        own = adapter_of(array) is backend.adapter
        array = backend.asarray(array if own else to_numpy(array), dtype=backend.dtype)
        if not to_numpy(backend.xp.all(backend.xp.isfinite(array))):
            raise DataError(f"{what} has NaN or infinite entries, or too large ones for {backend.dtype}.")
        return array

    def _places(self, slots: Any) -> Iterator[tuple[Slot, Array, slice]]:
        layouts = {True: self.network.layout, False: self.network.state_layout}
        for slot in slots:
            vector = self.trained if slot.trained else self.state
            yield slot, vector, layouts[slot.trained].slices[slot.number]


def _arrays(weights: Any) -> list[Any]:
    try:
        return list(weights)
    except TypeError as error:
        raise OptionError(f"set_weights takes a list of arrays, got {weights!r}.") from error
