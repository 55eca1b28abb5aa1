"""Room 3: layers. Each is a frozen description and a pure function.

In ``Shapes:`` lines n is the number of samples, ``...`` stands for any number of axes and a name for a
length, as in ``(n, ..., inputs) → (n, ..., units)``: inputs on the left, the output on the right.
"""

from typing import TYPE_CHECKING

from nnx import activations, initializers, later  # noqa: F401 (whole rooms first)
from nnx.layers.base import Layer, parts_of, register, registry
from nnx.layers.fusion import FUSIONS, fusion
from nnx.layers.spec import Context, Spec, Weight
from nnx.layers.symbols import Input, Symbol

if TYPE_CHECKING:  # the same names for those who read the source: type checkers and editors
    from nnx.layers.activation import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax
    from nnx.layers.augmentation import (
        RandomCrop,
        RandomFlip,
        RandomRotation,
        RandomTranslation,
        RandomZoom,
    )
    from nnx.layers.convolution import Conv1D, Conv2D, Conv3D
    from nnx.layers.dense import Dense, Maxout, affine
    from nnx.layers.dot import Dot
    from nnx.layers.dot_attention import AdditiveAttention, Attention
    from nnx.layers.dropout import Dropout, GaussianNoise
    from nnx.layers.dropout_kinds import (
        AlphaDropout,
        GaussianDropout,
        SpatialDropout1D,
        SpatialDropout2D,
        SpatialDropout3D,
    )
    from nnx.layers.embedding import Embedding
    from nnx.layers.global_pooling import (
        GlobalAveragePooling1D,
        GlobalAveragePooling2D,
        GlobalAveragePooling3D,
        GlobalMaxPooling1D,
        GlobalMaxPooling2D,
        GlobalMaxPooling3D,
    )
    from nnx.layers.identity import ActivityRegularization, Identity
    from nnx.layers.image_sizes import CenterCrop, Resizing
    from nnx.layers.masking import Masking
    from nnx.layers.merging import Add, Average, Concatenate, Maximum, Minimum, Multiply, Subtract
    from nnx.layers.multi_head import GroupQueryAttention, MultiHeadAttention
    from nnx.layers.normalization import BatchNormalization
    from nnx.layers.normalization_of_samples import (
        GroupNormalization,
        LayerNormalization,
        RMSNormalization,
        UnitNormalization,
    )
    from nnx.layers.own_function import Lambda
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
    from nnx.layers.recurrent import (
        GRU,
        LSTM,
        RNN,
        GRUCell,
        LSTMCell,
        SimpleRNN,
        SimpleRNNCell,
        StackedRNNCells,
        gru,
        lstm,
        simple_rnn,
    )
    from nnx.layers.separable import DepthwiseConv1D, DepthwiseConv2D, SeparableConv1D, SeparableConv2D
    from nnx.layers.shapes import Flatten, Permute, Rescaling, Reshape
    from nnx.layers.standardization import Normalization
    from nnx.layers.transposed import Conv1DTranspose, Conv2DTranspose, Conv3DTranspose
    from nnx.layers.upsampling import UpSampling1D, UpSampling2D, UpSampling3D
    from nnx.layers.wrappers import Bidirectional, RepeatVector, TimeDistributed
else:
    __getattr__, __dir__ = later.names(
        __name__,
        taken={
            "nnx.layers.activation": "ELU Activation LeakyReLU PReLU ReLU Softmax",
            "nnx.layers.augmentation": "RandomCrop RandomFlip RandomRotation RandomTranslation RandomZoom",
            "nnx.layers.convolution": "Conv1D Conv2D Conv3D",
            "nnx.layers.dense": "Dense Maxout affine",
            "nnx.layers.dot": "Dot",
            "nnx.layers.dot_attention": "AdditiveAttention Attention",
            "nnx.layers.dropout": "Dropout GaussianNoise",
            "nnx.layers.dropout_kinds": "AlphaDropout GaussianDropout SpatialDropout1D SpatialDropout2D "
            "SpatialDropout3D",
            "nnx.layers.embedding": "Embedding",
            "nnx.layers.global_pooling": "GlobalAveragePooling1D GlobalAveragePooling2D "
            "GlobalAveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D "
            "GlobalMaxPooling3D",
            "nnx.layers.identity": "ActivityRegularization Identity",
            "nnx.layers.image_sizes": "CenterCrop Resizing",
            "nnx.layers.masking": "Masking",
            "nnx.layers.merging": "Add Average Concatenate Maximum Minimum Multiply Subtract",
            "nnx.layers.multi_head": "GroupQueryAttention MultiHeadAttention",
            "nnx.layers.normalization": "BatchNormalization",
            "nnx.layers.normalization_of_samples": "GroupNormalization LayerNormalization RMSNormalization "
            "UnitNormalization",
            "nnx.layers.own_function": "Lambda",
            "nnx.layers.padding": "Cropping1D Cropping2D Cropping3D ZeroPadding1D ZeroPadding2D "
            "ZeroPadding3D",
            "nnx.layers.pooling": "AveragePooling1D AveragePooling2D AveragePooling3D MaxPooling1D "
            "MaxPooling2D MaxPooling3D",
            "nnx.layers.recurrent": "GRU LSTM RNN GRUCell LSTMCell SimpleRNN SimpleRNNCell StackedRNNCells "
            "gru lstm simple_rnn",
            "nnx.layers.separable": "DepthwiseConv1D DepthwiseConv2D SeparableConv1D SeparableConv2D",
            "nnx.layers.shapes": "Flatten Permute Rescaling Reshape",
            "nnx.layers.standardization": "Normalization",
            "nnx.layers.transposed": "Conv1DTranspose Conv2DTranspose Conv3DTranspose",
            "nnx.layers.upsampling": "UpSampling1D UpSampling2D UpSampling3D",
            "nnx.layers.wrappers": "Bidirectional RepeatVector TimeDistributed",
        },
        other=registry.attribute,  # Keras' second names, as MaxPool2D, and layers that were registered later
    )

get = registry.get

__all__ = [
    "ELU",
    "FUSIONS",
    "GRU",
    "LSTM",
    "RNN",
    "Activation",
    "ActivityRegularization",
    "Add",
    "AdditiveAttention",
    "AlphaDropout",
    "Attention",
    "Average",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "BatchNormalization",
    "Bidirectional",
    "CenterCrop",
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
    "Dot",
    "Dropout",
    "Embedding",
    "Flatten",
    "GRUCell",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "GroupNormalization",
    "GroupQueryAttention",
    "Identity",
    "Input",
    "LSTMCell",
    "Lambda",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "Masking",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "Maximum",
    "Maxout",
    "Minimum",
    "MultiHeadAttention",
    "Multiply",
    "Normalization",
    "PReLU",
    "Permute",
    "RMSNormalization",
    "RandomCrop",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "Resizing",
    "SeparableConv1D",
    "SeparableConv2D",
    "SimpleRNN",
    "SimpleRNNCell",
    "Softmax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "Spec",
    "StackedRNNCells",
    "Subtract",
    "Symbol",
    "TimeDistributed",
    "UnitNormalization",
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
    "gru",
    "lstm",
    "parts_of",
    "register",
    "registry",
    "simple_rnn",
]
