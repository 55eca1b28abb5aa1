"""Independent component analysis by maximum likelihood (Infomax): the unmixing matrix.

Source: A. J. Bell, T. J. Sejnowski, "An information-maximization approach to blind separation and blind
deconvolution", Neural Computation 7 (1995) 1129–1159.
"""

import numpy as np


def negative_log_likelihood(unmixing, signals):
    """Per sample, for sources of density 1 / (π cosh s); ``signals`` has one row for each sensor."""
    sources = unmixing @ signals
    _, log_det = np.linalg.slogdet(unmixing)
    return np.log(np.pi * np.cosh(sources)).sum(axis=0).mean() - log_det


def example():
    """The function, where it is differentiated, its data."""
    random = np.random.default_rng(6)
    t = np.linspace(0.0, 8.0, 80)
    sources = np.vstack([np.sin(2 * t), np.sign(np.sin(3 * t)), random.laplace(size=80)])
    mixing = np.array([[1.0, 1.0, 1.0], [0.5, 2.0, 1.0], [1.5, 1.0, 2.0]])
    return negative_log_likelihood, (np.eye(3) + 0.2 * random.normal(size=(3, 3)),), (mixing @ sources,)
