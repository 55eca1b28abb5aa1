"""Room 3: layers. Each is a frozen description and a pure function."""

from nnx.layers.base import Context, Layer, Spec, Weight, register, registry
from nnx.layers.core import (
    Activation,
    Dropout,
    Flatten,
    GaussianNoise,
    Input,
    Permute,
    PReLU,
    Rescaling,
    Reshape,
)
from nnx.layers.dense import Dense, Maxout, affine

get = registry.get

__all__ = [
    "Activation",
    "Context",
    "Dense",
    "Dropout",
    "Flatten",
    "GaussianNoise",
    "Input",
    "Layer",
    "Maxout",
    "PReLU",
    "Permute",
    "Rescaling",
    "Reshape",
    "Spec",
    "Weight",
    "affine",
    "get",
    "register",
    "registry",
]
