"""The widths of a kernel density estimate by the likelihood of each point under all the others.

The points are eruptions of Old Faithful: how long, and how long until the next, both in minutes. Source:
R. P. W. Duin, "On the choice of smoothing parameters for Parzen estimators of probability density
functions", IEEE Trans. Computers 25 (1976) 1175–1179.
"""

import numpy as np

CANNOT = {"autograd", "jax"}  # it writes into arrays


def negative_log_likelihood(log_widths, points):
    """The mean over the points; a width for each coordinate."""
    n, d = points.shape
    scaled = points / np.exp(log_widths)
    squared = ((scaled[:, None, :] - scaled[None, :, :]) ** 2).sum(-1)
    kernel = np.exp(-0.5 * squared)
    np.fill_diagonal(kernel, 0.0)
    density = kernel.sum(axis=1) / (n - 1) / (np.prod(np.exp(log_widths)) * (2 * np.pi) ** (d / 2))
    return -np.log(density).mean()


def example():
    """The function, where it is differentiated, its data."""
    lasting = [3.6, 1.8, 3.333, 2.283, 4.533, 2.883, 4.7, 3.6, 1.95, 4.35, 1.833, 3.917]
    waiting = [79.0, 54.0, 74.0, 62.0, 85.0, 55.0, 88.0, 85.0, 51.0, 85.0, 54.0, 84.0]
    return negative_log_likelihood, (np.log(np.array([0.5, 6.0])),), (np.array([lasting, waiting]).T,)
