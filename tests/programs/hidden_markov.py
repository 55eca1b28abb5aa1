"""The forward pass of a hidden Markov model, with the scaling that keeps it from underflowing.

Source: L. R. Rabiner, "A tutorial on hidden Markov models and selected applications in speech recognition",
Proc. IEEE 77 (1989) 257–286, section V.A.
"""

import numpy as np


def softmax(logits):
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def negative_log_likelihood(start, transition, emission, symbols):
    """The three arrays are logits of probabilities; ``symbols`` are integers."""
    start, transition, emission = softmax(start), softmax(transition), softmax(emission)
    alpha = start * emission[:, symbols[0]]
    total = 0.0
    for symbol in symbols[1:]:
        scale = alpha.sum()
        total += np.log(scale)
        alpha /= scale
        alpha = (alpha @ transition) * emission[:, symbol]
    return -(total + np.log(alpha.sum()))


def example():
    """The function, where it is differentiated, its data."""
    random = np.random.default_rng(5)
    logits = (random.normal(size=3), random.normal(size=(3, 3)), random.normal(size=(3, 4)))
    return negative_log_likelihood, logits, (random.integers(0, 4, 20),)
