"""Optimizers of first order: elementwise rules that turn a gradient into a step."""
