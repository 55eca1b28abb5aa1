"""Keras' files: ``.keras`` (a whole model), ``.weights.h5`` and legacy ``.h5`` (weights)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from nnx.errors import FileFormatError, NnxError, OptionError
from nnx.interop.keras import archive, graphs, hdf5, legacy, training, weights
from nnx.interop.keras.models import described
from nnx.interop.keras.paths import Place, places
from nnx.layers import Layer
from nnx.models import Model, Sequential
from nnx.models.files import put
from nnx.models.formats import source_of, target_of
from nnx.models.graph import drawn

#: the version of Keras' format; it opens in all of Keras 3
_VERSION = "3.12.0"


class WholeModel:
    """``.keras``: layers, weights, and how the model is trained."""

    def check(self, path: Any, weights_only: bool) -> None:
        hdf5.library()
        if weights_only:
            _only_whole(path)

    def save(self, model: Any, path: Any) -> None:
        network, target = model.network, target_of(path)
        rows = places(network)
        config = described(model)
        if any(call.training is False for call in network.calls):
            warnings.warn(
                "Layers that were called with training=False are trained again in Keras, which does not keep "
                "to it in fit.",
                stacklevel=3,
            )
        arrays = weights.arrays_of(rows, dict(model.own_weights().named()))
        if (compiled := _compile_config(model)) is not None:
            config["compile_config"] = compiled
            arrays |= training.state_arrays(model.trainer, network, rows)
        data = hdf5.written(arrays, _names(model, rows))
        put(target, archive.written(config, {"keras_version": _VERSION}, data))

    def save_weights(self, model: Any, path: Any) -> None:
        _only_whole(path)

    def load_weights(self, model: Any, path: Any, by_name: bool, skip_mismatch: bool) -> None:
        with archive.opened(source_of(path)) as file, hdf5.opened(file.weights(), str(path)) as root:
            _put(model, weights.found(root, places(model.network), model.label, by_name, skip_mismatch))

    def load(
        self, path: Any, compile: bool, custom_objects: Mapping[str, Any] | None, place: Mapping[str, Any]
    ) -> Model:
        hdf5.library()
        own = custom_objects or {}
        with archive.opened(source_of(path)) as file, _described_in(path):
            config = file.config()
            with hdf5.opened(file.weights(), str(path)) as root:
                model, rows = _model(config, own, root, place)
                if compile and training.compile_model(model, config.get("compile_config"), own):
                    training.restore(model, root, rows)
        return model


class WeightsAlone:
    """``.weights.h5``: the weights, by the classes of the layers and their numbers."""

    def check(self, path: Any, weights_only: bool) -> None:
        hdf5.library()
        if not weights_only:
            _only_weights(path)

    def save(self, model: Any, path: Any) -> None:
        _only_weights(path)

    def save_weights(self, model: Any, path: Any) -> None:
        rows = places(model.network)
        arrays = weights.arrays_of(rows, dict(model.own_weights().named()))
        put(target_of(path), hdf5.written(arrays, _names(model, rows)))

    def load_weights(self, model: Any, path: Any, by_name: bool, skip_mismatch: bool) -> None:
        with hdf5.opened(source_of(path), str(path)) as root:
            _put(model, weights.found(root, places(model.network), model.label, by_name, skip_mismatch))

    def load(
        self, path: Any, compile: bool, custom_objects: Mapping[str, Any] | None, place: Mapping[str, Any]
    ) -> Model:
        raise FileFormatError(
            f"{path} holds weights but no model: build the model and use model.load_weights."
        )


class Legacy(WeightsAlone):
    """``.h5``: of the files of ``model.save`` and ``save_weights`` in Keras 2 the weights, read alone."""

    def check(self, path: Any, weights_only: bool) -> None:
        _not_legacy(path)

    def save(self, model: Any, path: Any) -> None:
        _not_legacy(path)

    def save_weights(self, model: Any, path: Any) -> None:
        _not_legacy(path)

    def load_weights(self, model: Any, path: Any, by_name: bool, skip_mismatch: bool) -> None:
        with hdf5.opened(source_of(path), str(path)) as root:
            if root.folder("layers") is not None:  # a .weights.h5 file under another name
                found = weights.found(root, places(model.network), model.label, by_name, skip_mismatch)
            else:
                found = legacy.found(root, places(model.network), model.label, by_name, skip_mismatch)
            _put(model, found)

    def load(
        self, path: Any, compile: bool, custom_objects: Mapping[str, Any] | None, place: Mapping[str, Any]
    ) -> Model:
        raise OptionError(
            f"{path} is a legacy .h5 file, of which nnx reads the weights: build the model and use "
            "model.load_weights, or open it with Keras and save it as .keras."
        )


@contextmanager
def _described_in(path: Any) -> Iterator[None]:
    """Turns what a damaged description leads to into FileFormatError."""
    try:
        yield
    except NnxError as error:
        error.add_note(f"  in {path}")
        raise
    except (AttributeError, LookupError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise FileFormatError(f"{path}: its config.json is damaged ({error!r}).") from error


class _Nowhere:
    """The home of layers that are not in a model yet."""

    def admit(self, layer: Layer) -> Layer:
        return layer

    def tell_apart(self, layers: Sequence[Layer]) -> None:
        """Names of a file are left as they are."""


def _model(
    config: Mapping[str, Any], custom_objects: Mapping[str, Any], root: hdf5.Folder, place: Mapping[str, Any]
) -> tuple[Model, list[Place]]:
    """The model of a description with the weights of a file, and where each layer's lie there."""
    if config.get("class_name") not in graphs.MODELS:
        raise OptionError(
            f"The file holds a {config.get('class_name')}, a class of its own. nnx reads Sequential and "
            "functional models; it can take the weights: model.load_weights."
        )
    made = graphs.Made(custom_objects)
    graph = graphs.Graph(config, made)
    inputs, names = graph.inputs(), graph.names()
    if not inputs:
        raise FileFormatError(f"The file does not say the shape of the inputs of {graph.name}.")
    outputs = graph(inputs)
    network = drawn(inputs, outputs, _Nowhere(), graph.name)
    at = {id(layer): i for i, layer in enumerate(network.layers)}
    rows = [
        Place(layer, network.names[at[id(layer)]], network.specs[at[id(layer)]].weights, folder)
        for layer, folder in made.placed
        if id(layer) in at
    ]
    for row, arrays in zip(rows, weights.found(root, rows, graph.name), strict=True):
        if arrays:
            row.layer.brings(arrays, [weight.name for weight in row.weights])
    dtype = "float64" if _in_double(graph) else None
    chain = graph.kind == "Sequential" and network.is_chain
    model: Model
    if chain:
        stack: list[Any] = [*inputs, *(network.layers[call.layer] for call in network.calls)]
        model = Sequential(stack, name=graph.name, dtype=dtype, **place)
    else:
        starts, ends = (
            dict(zip(keys, values, strict=True)) if keys and len(values) > 1 else values
            for keys, values in zip(names, (inputs, outputs), strict=True)
        )
        model = Model(starts, ends, name=graph.name, dtype=dtype, **place)
    model.own_weights()
    return model, rows


def _in_double(graph: graphs.Graph) -> bool:
    """Whether the layers of a file compute in float64."""
    for one in graph.config["layers"]:
        dtype = one["config"].get("dtype")
        if isinstance(dtype, Mapping):
            dtype = dtype.get("config", {}).get("name")
        if dtype == "float64" and one["class_name"] != "InputLayer":
            return True
    return False


def _put(model: Any, found: weights.Found) -> None:
    """Puts what was found into the model; layers that keep theirs get them again."""
    own, network = model.own_weights(), model.network
    rows = [
        own.arrays_of(layer) if arrays is None else arrays
        for layer, arrays in zip(network.layers, found, strict=True)
    ]
    own.set([array for row in rows for array in row])


def _names(model: Any, rows: list[Place]) -> dict[str, str]:
    """The names of the layers by their groups: Keras has a group for each, also without weights."""
    return {"vars": model.name, **{f"{place.folder}/vars": place.name for place in rows}}


def _compile_config(model: Any) -> dict[str, Any] | None:
    """How the model is trained; None, with a warning, where Keras does not have its parts."""
    try:
        return training.compile_config(model)
    except OptionError as error:
        warnings.warn(f"The file holds the model without loss, metrics and optimizer: {error}", stacklevel=4)
        return None


def _only_whole(path: Any) -> None:
    raise OptionError(
        f"A .keras file holds a whole model: save weights to a name that ends in .weights.h5, not {path}."
    )


def _only_weights(path: Any) -> None:
    raise OptionError(
        f"A .weights.h5 file holds no layers: save the model to a name that ends in .keras, not {path}."
    )


def _not_legacy(path: Any) -> None:
    raise OptionError(
        f"nnx does not write legacy .h5 files such as {path}: save a model to a name that ends in .keras, "
        "weights to one that ends in .weights.h5."
    )
