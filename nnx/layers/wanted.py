"""The option ``output_shape`` of some layers, which as an attribute is the shape that every layer tells."""

from __future__ import annotations

from typing import Any


class WantedShape:
    """A field ``output_shape``: what was asked for, and in a built model the shape of a batch of outputs.

    >>> layer = nnx.layers.Lambda(lambda x: x[:, :2], output_shape=(2,))
    >>> layer.output_shape
    (2,)
    >>> nnx.Sequential([nnx.Input((3,)), layer]).layers[0].output_shape
    (None, 2)
    """

    def __get__(self, layer: Any, kind: type) -> Any:
        if layer is None:
            return None  # the default of the dataclass' field
        shape = layer.home.output_shape_of(layer) if layer.home is not None else None
        return vars(layer).get("output_shape") if shape is None else (None, *shape)

    def __set__(self, layer: Any, value: Any) -> None:
        vars(layer)["output_shape"] = value


def wanted_shape(layer: Any) -> Any:
    """What was asked for as ``output_shape`` when the layer was made."""
    return vars(layer).get("output_shape")
