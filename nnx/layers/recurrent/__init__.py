"""Recurrent layers, and the functions of whole sequences that they run."""

from nnx.layers.recurrent.sequences import gru, lstm, simple_rnn

__all__ = ["gru", "lstm", "simple_rnn"]
