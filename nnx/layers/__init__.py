"""Room 3: layers. Each is a frozen description and a pure function.

In ``Shapes:`` lines n is the number of samples, ``...`` stands for any number of axes and a name for a
length, as in ``(n, ..., inputs) → (n, ..., units)``: inputs on the left, the output on the right.
"""

from nnx.layers.activation import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax
from nnx.layers.base import Layer, parts_of, register, registry
from nnx.layers.dense import Dense, Maxout, affine
from nnx.layers.dropout import Dropout, GaussianNoise
from nnx.layers.embedding import Embedding
from nnx.layers.fusion import FUSIONS, fusion
from nnx.layers.masking import Masking
from nnx.layers.merging import Add, Average, Concatenate, Maximum, Minimum, Multiply, Subtract
from nnx.layers.normalization import BatchNormalization
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
from nnx.layers.shapes import Flatten, Permute, Rescaling, Reshape
from nnx.layers.spec import Context, Spec, Weight
from nnx.layers.symbols import Input, Symbol
from nnx.layers.wrappers import Bidirectional, RepeatVector, TimeDistributed

get = registry.get

__all__ = [
    "ELU",
    "FUSIONS",
    "GRU",
    "LSTM",
    "RNN",
    "Activation",
    "Add",
    "Average",
    "BatchNormalization",
    "Bidirectional",
    "Concatenate",
    "Context",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "GRUCell",
    "GaussianNoise",
    "Input",
    "LSTMCell",
    "Layer",
    "LeakyReLU",
    "Masking",
    "Maximum",
    "Maxout",
    "Minimum",
    "Multiply",
    "PReLU",
    "Permute",
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "SimpleRNN",
    "SimpleRNNCell",
    "Softmax",
    "Spec",
    "StackedRNNCells",
    "Subtract",
    "Symbol",
    "TimeDistributed",
    "Weight",
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
