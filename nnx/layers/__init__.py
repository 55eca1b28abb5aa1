"""Room 3: layers. Each is a frozen description and a pure function.

In ``Shapes:`` lines n is the number of samples, ``...`` stands for any number of axes and a name for a
length, as in ``(n, ..., inputs) → (n, ..., units)``: inputs on the left, the output on the right.
"""

from nnx.layers.activation import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax
from nnx.layers.base import Layer, parts_of, register, registry
from nnx.layers.dense import Dense, Maxout, affine
from nnx.layers.dropout import Dropout, GaussianNoise
from nnx.layers.fusion import FUSIONS, fusion
from nnx.layers.merging import Add, Average, Concatenate, Maximum, Minimum, Multiply, Subtract
from nnx.layers.normalization import BatchNormalization
from nnx.layers.normalization_of_samples import (
    GroupNormalization,
    LayerNormalization,
    RMSNormalization,
    UnitNormalization,
)
from nnx.layers.shapes import Flatten, Permute, Rescaling, Reshape
from nnx.layers.spec import Context, Spec, Weight
from nnx.layers.symbols import Input, Symbol

get = registry.get

__all__ = [
    "ELU",
    "FUSIONS",
    "Activation",
    "Add",
    "Average",
    "BatchNormalization",
    "Concatenate",
    "Context",
    "Dense",
    "Dropout",
    "Flatten",
    "GaussianNoise",
    "GroupNormalization",
    "Input",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "Maximum",
    "Maxout",
    "Minimum",
    "Multiply",
    "PReLU",
    "Permute",
    "RMSNormalization",
    "ReLU",
    "Rescaling",
    "Reshape",
    "Softmax",
    "Spec",
    "Subtract",
    "Symbol",
    "UnitNormalization",
    "Weight",
    "affine",
    "fusion",
    "get",
    "parts_of",
    "register",
    "registry",
]
