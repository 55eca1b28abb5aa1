"""Regression of counts that scatter more than Poisson's: the negative binomial likelihood by gammaln.

Source: J. M. Hilbe, *Negative Binomial Regression*, 2nd edition, Cambridge 2011, chapter 8.
"""

import numpy as np
from scipy.special import gammaln, xlogy

CANNOT = {"autograd"}  # lacks xlogy


def poisson(coefficients, design, counts):
    """The negative log-likelihood of Poisson regression with the logarithm as link."""
    rate = np.exp(design @ coefficients)
    return np.sum(rate - xlogy(counts, rate) + gammaln(counts + 1.0))


def negative_log_likelihood(coefficients, log_size, design, counts):
    """The negative binomial's, which is Poisson's as ``log_size`` grows; and a tenth of Poisson's own."""
    size = np.exp(log_size)
    rate = np.exp(np.dot(design, coefficients))
    terms = gammaln(counts + size) - gammaln(size) - gammaln(counts + 1.0)
    terms += size * np.log(size / (size + rate)) + xlogy(counts, rate / (size + rate))
    return -terms.sum() + 0.1 * poisson(coefficients, design, counts)


def example():
    """The function, where it is differentiated, its data."""
    random = np.random.default_rng(14)
    design = np.column_stack([np.ones(30), random.normal(size=(30, 2))])
    counts = random.negative_binomial(3, 0.4, 30).astype(float)
    return negative_log_likelihood, (np.array([1.0, 0.3, -0.2]), 0.7), (design, counts)
