"""Room 3: layers. Each is a frozen description and a pure function.

In ``Shapes:`` lines n is the number of samples, ``...`` stands for any number of axes and a name for a
length, as in ``(n, ..., inputs) → (n, ..., units)``: inputs on the left, the output on the right.
"""

from nnx.layers.activation import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax
from nnx.layers.base import Layer, parts_of, register, registry
from nnx.layers.convolution import Conv1D, Conv2D, Conv3D
from nnx.layers.dense import Dense, Maxout, affine
from nnx.layers.dropout import Dropout, GaussianNoise
from nnx.layers.fusion import FUSIONS, fusion
from nnx.layers.merging import Add, Average, Concatenate, Maximum, Minimum, Multiply, Subtract
from nnx.layers.normalization import BatchNormalization
from nnx.layers.separable import DepthwiseConv1D, DepthwiseConv2D, SeparableConv1D, SeparableConv2D
from nnx.layers.shapes import Flatten, Permute, Rescaling, Reshape
from nnx.layers.spec import Context, Spec, Weight
from nnx.layers.symbols import Input, Symbol
from nnx.layers.transposed import Conv1DTranspose, Conv2DTranspose, Conv3DTranspose

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
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Dropout",
    "Flatten",
    "GaussianNoise",
    "Input",
    "Layer",
    "LeakyReLU",
    "Maximum",
    "Maxout",
    "Minimum",
    "Multiply",
    "PReLU",
    "Permute",
    "ReLU",
    "Rescaling",
    "Reshape",
    "SeparableConv1D",
    "SeparableConv2D",
    "Softmax",
    "Spec",
    "Subtract",
    "Symbol",
    "Weight",
    "affine",
    "fusion",
    "get",
    "parts_of",
    "register",
    "registry",
]
