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
from nnx.layers.global_pooling import (
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    GlobalMaxPooling3D,
)
from nnx.layers.merging import Add, Average, Concatenate, Maximum, Minimum, Multiply, Subtract
from nnx.layers.normalization import BatchNormalization
from nnx.layers.padding import (
    Cropping1D,
    Cropping2D,
    Cropping3D,
    ZeroPadding1D,
    ZeroPadding2D,
    ZeroPadding3D,
)
from nnx.layers.pooling import (
    AveragePooling1D,
    AveragePooling2D,
    AveragePooling3D,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
)
from nnx.layers.separable import DepthwiseConv1D, DepthwiseConv2D, SeparableConv1D, SeparableConv2D
from nnx.layers.shapes import Flatten, Permute, Rescaling, Reshape
from nnx.layers.spec import Context, Spec, Weight
from nnx.layers.symbols import Input, Symbol
from nnx.layers.transposed import Conv1DTranspose, Conv2DTranspose, Conv3DTranspose
from nnx.layers.upsampling import UpSampling1D, UpSampling2D, UpSampling3D

get = registry.get
#: Keras' second names, as MaxPool2D, and layers that were registered later
__getattr__ = registry.attribute

__all__ = [
    "ELU",
    "FUSIONS",
    "Activation",
    "Add",
    "Average",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "BatchNormalization",
    "Concatenate",
    "Context",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Dropout",
    "Flatten",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "Input",
    "Layer",
    "LeakyReLU",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
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
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "Weight",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
    "affine",
    "fusion",
    "get",
    "parts_of",
    "register",
    "registry",
]
