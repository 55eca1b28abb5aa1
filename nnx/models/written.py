"""Models out of configurations: of dicts, of JSON, and of other models."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from nnx.errors import FileFormatError, OptionError
from nnx.layers import Input, Layer, Symbol
from nnx.models.graph import inlined
from nnx.models.model import Model
from nnx.models.sequential import Sequential

_KINDS: dict[str, type[Model]] = {"Model": Model, "Sequential": Sequential}


def model_from_config(
    config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None, **place: Any
) -> Model:
    """A model of new weights with the layers that ``model.get_config()`` described."""
    if "calls" in config:
        return Model.from_config(config, custom_objects, **place)
    return Sequential.from_config(config, custom_objects, **place)


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None, **place: Any) -> Model:
    """A model with the layers that ``model.to_json()`` wrote, and new weights.

    ``custom_objects`` maps names to layers, ... of one's own that are not registered; ``place`` are the
    options ``backend``, ``device``, ``dtype`` and ``seed``. Raises :class:`nnx.errors.FileFormatError` for
    what is no such text.

    Source: Keras' ``models.model_from_json``.

    >>> x = nnx.Input((3,))
    >>> text = nnx.Model(x, nnx.layers.Dense(2)(x)).to_json()
    >>> nnx.models.model_from_json(text).output_shape
    (None, 2)
    """
    try:
        written = json.loads(json_string)
        kind, config = written["class_name"], written["config"]
        made = _KINDS[kind]
    except (TypeError, ValueError, KeyError) as error:
        raise FileFormatError(
            f"model_from_json takes what model.to_json() of nnx wrote ({error!r}): the JSON of another "
            "library is no model here."
        ) from error
    return made.from_config(config, custom_objects, **place)


def clone_model(
    model: Model,
    input_tensors: Any = None,
    clone_function: Callable[[Layer], Layer] | None = None,
) -> Model:
    """A model of the same layers with new random weights, not compiled.

    ``input_tensors``: symbols of :func:`nnx.Input` that it starts from (one, or a list), not new ones;
    ``clone_function`` makes the new layer out of each one (without it: of its configuration); a layer that it
    gives back as it is comes with a copy of its weights. A class of your own becomes a plain ``nnx.Model``.

    Raises :class:`nnx.errors.OptionError` for inputs that are none, or not as many, and for what is no layer.
    Source: Keras' ``models.clone_model``.

    >>> model = nnx.Sequential([nnx.layers.Dense(2, input_shape=(3,))])
    >>> nnx.models.clone_model(model).count_params()
    8
    >>> def wider(layer):
    ...     return nnx.layers.Dense(2 * layer.units)
    >>> nnx.models.clone_model(model, nnx.Input((5,)), wider).count_params()
    24
    """
    backend = model.backend
    place = {"backend": backend.name, "device": backend.device, "dtype": backend.dtype}
    if input_tensors is None and clone_function is None:
        return model_from_config(model.get_config(), **place)
    made = {id(layer): _cloned(layer, clone_function) for layer in model.layers}
    network = model.network if model.built or not isinstance(model, Sequential) else None
    shapes = () if network is None else zip(network.inputs, network.input_names, strict=True)
    inputs = [Input(*one) for one in shapes] if input_tensors is None else _inputs(input_tensors)
    if isinstance(model, Sequential):
        layers: list[Any] = [*inputs, *(made[id(layer)] for layer in model.layers)]
        return Sequential(layers, name=model.name, **place)
    network = replace(model.network, layers=tuple(made[id(layer)] for layer in model.network.layers))
    if len(inputs) != len(network.inputs):
        raise OptionError(f"clone_model: {model.label} has {len(network.inputs)} inputs, got {len(inputs)}.")
    return Model(inputs, inlined(network, inputs), name=model.name, **place)


def _inputs(given: Any) -> list[Symbol]:
    symbols = list(given) if isinstance(given, list | tuple) else [given]
    for symbol in symbols:
        if not isinstance(symbol, Symbol) or symbol.layer is not None:
            raise OptionError(f"clone_model: input_tensors must be what nnx.Input gives, got {symbol!r}.")
    return symbols


def _cloned(layer: Layer, clone_function: Callable[[Layer], Layer] | None) -> Layer:
    made = clone_function(layer) if clone_function is not None else layer.from_config(layer.get_config())
    if not isinstance(made, Layer):
        raise OptionError(f"clone_function must return a layer, got {made!r} for {layer.described}.")
    return made
