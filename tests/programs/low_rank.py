"""Principal components of columns that are weighted first: what the leading ones leave unexplained.

Source: C. Eckart, G. Young, "The approximation of one matrix by another of lower rank", Psychometrika 1
(1936) 211–218.
"""

import numpy as np


def unexplained(weights, table, rank=2):
    """Of the weighted table without its mean: the part that its best approximation leaves, in two ways."""
    centred = (table - table.mean(axis=0)) * np.abs(weights)
    u, s, vt = np.linalg.svd(centred, full_matrices=False)
    approximation = (u[:, :rank] * s[:rank]) @ vt[:rank]
    share = (s[rank:] ** 2).sum() / (s**2).sum()
    largest = np.mean((approximation - table) ** 4)
    return share + 0.1 * largest


def example():
    """The function, where it is differentiated, its data."""
    random = np.random.default_rng(15)
    table = random.normal(size=(12, 2)) @ random.normal(size=(2, 5)) + 0.4 * random.normal(size=(12, 5))
    return unexplained, (np.array([1.0, 0.8, -1.2, 0.6, 1.1]),), (table,)
