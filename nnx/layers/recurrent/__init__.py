"""Recurrent layers, and the functions of whole sequences that they run."""

from nnx.layers.recurrent.cells import GRUCell, LSTMCell, SimpleRNNCell, StackedRNNCells
from nnx.layers.recurrent.layers import GRU, LSTM, RNN, SimpleRNN
from nnx.layers.recurrent.sequences import gru, lstm, simple_rnn

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "GRUCell",
    "LSTMCell",
    "SimpleRNN",
    "SimpleRNNCell",
    "StackedRNNCells",
    "gru",
    "lstm",
    "simple_rnn",
]
