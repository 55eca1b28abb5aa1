"""Layers inside of layers: their weights by name, and their runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from nnx.errors import OptionError
from nnx.layers.base import Layer
from nnx.layers.spec import Context, Weight
from nnx.options import changed_fields, made_with

Array = Any


def inner_layer(where: str, name: str, value: Any) -> Any:
    """The check that an option is a layer."""
    if not isinstance(value, Layer):
        raise OptionError(f"{where}: {name} must be a layer, got {value!r}.")
    return value


def outer_weights(layer: Layer, name: str, weights: Sequence[Weight]) -> tuple[Weight, ...]:
    """The weights of the inner ``layer`` as the outer one has them: called ``"name/kernel"``, ..."""
    return tuple(
        replace(w, name=f"{name}/{w.name}", trainable=w.trainable and layer.trainable) for w in weights
    )


def part_of(p: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The weights of the inner layer called ``name``, by its own names."""
    start = f"{name}/"
    return {key.removeprefix(start): w for key, w in p.items() if key.startswith(start)}


def ran(
    layer: Layer, p: Mapping[str, Any], xs: Sequence[Array], context: Context, **said: Any
) -> tuple[Any, Mapping[str, Any]]:
    """``(output, changes)`` of an inner layer with weights ``p`` by its own names."""
    if not (layer.random or layer.stateful):
        return layer.forward(p, *xs, **said), {}
    y = layer.forward(p, *xs, context, **said)
    return layer.with_changes(y) if layer.stateful else (y, {})


def made_again(layer: Any, **options: Any) -> Any:
    """A new layer like this one, with other options."""
    return type(layer)(**(made_with(layer) | changed_fields(layer) | options))
