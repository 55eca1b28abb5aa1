"""Logistic regression with a ridge penalty, fitted by maximum likelihood.

Source: D. R. Cox, "The regression analysis of binary sequences", J. R. Stat. Soc. B 20 (1958) 215–242.
"""

import numpy as np

CANNOT = {"autograd"}  # lacks the method dot


def loss(weights, bias, inputs, labels):
    """The mean negative log-likelihood of labels ±1, by log(1 + exp(−margin)), and the penalty."""
    margin = labels * (np.dot(inputs, weights) + bias)
    return np.logaddexp(0.0, -margin).mean() + 0.05 * weights.dot(weights)


def example():
    """The function, where it is differentiated, its data."""
    random = np.random.default_rng(1)
    inputs = random.normal(size=(60, 5))
    labels = np.where(inputs[:, 0] - 0.5 * inputs[:, 1] + 0.3 * random.normal(size=60) > 0, 1.0, -1.0)
    return loss, (random.normal(size=5), 0.2), (inputs, labels)
