"""The marginal likelihood of Gaussian process regression, a function of the kernel's parameters.

Source: C. E. Rasmussen, C. K. I. Williams, *Gaussian Processes for Machine Learning*, MIT Press 2006,
algorithm 2.1.
"""

import numpy as np


def negative_log_marginal_likelihood(theta, x, y):
    """``theta``: the logarithms of signal, length scale and noise of a squared exponential kernel."""
    signal, length, noise = np.exp(theta)
    gap = (x[:, None] - x[None, :]) / length
    kernel = signal**2 * np.exp(-0.5 * gap**2) + noise**2 * np.eye(len(x))
    factor = np.linalg.cholesky(kernel)
    alpha = np.linalg.solve(factor.T, np.linalg.solve(factor, y))
    return 0.5 * np.dot(y, alpha) + np.sum(np.log(np.diag(factor))) + 0.5 * len(x) * np.log(2 * np.pi)


def example():
    """The function, where it is differentiated, its data."""
    random = np.random.default_rng(3)
    x = np.sort(random.uniform(0.0, 6.0, 25))
    y = np.sin(x) + 0.1 * random.normal(size=25)
    return negative_log_marginal_likelihood, (np.log(np.array([1.2, 0.9, 0.3])),), (x, y)
