"""A mixture of Gaussians with full covariances, fitted by maximum likelihood instead of by EM.

Source: C. M. Bishop, *Pattern Recognition and Machine Learning*, Springer 2006, section 9.2.
"""

import numpy as np


def log_sum_exp(a, axis):
    top = a.max(axis=axis, keepdims=True)
    return np.squeeze(top + np.log(np.sum(np.exp(a - top), axis=axis, keepdims=True)), axis=axis)


def negative_log_likelihood(parameters, points):
    """Per point; ``parameters`` has the logits of the weights, means and factors of the covariances."""
    _, d = points.shape
    logits = parameters["logits"]
    log_weights = logits - log_sum_exp(logits, axis=0)
    terms = []
    for log_weight, mean, factor in zip(log_weights, parameters["means"], parameters["factors"], strict=True):
        covariance = factor @ factor.T + 1e-2 * np.eye(d)
        _, log_det = np.linalg.slogdet(covariance)
        r = points - mean
        distance = np.einsum("ni,ni->n", r, np.linalg.solve(covariance, r.T).T)
        terms.append(log_weight - 0.5 * (d * np.log(2 * np.pi) + log_det + distance))
    return -np.mean(log_sum_exp(np.vstack(terms), axis=0))


def example():
    """The function, where it is differentiated, its data."""
    random = np.random.default_rng(2)
    centres = np.array([[0.0, 0.0], [3.0, 1.0], [-2.0, 2.5]])
    points = np.concatenate([c + 0.7 * random.normal(size=(20, 2)) for c in centres])
    parameters = {
        "logits": 0.3 * random.normal(size=3),
        "means": centres + 0.5 * random.normal(size=(3, 2)),
        "factors": np.eye(2) + 0.2 * random.normal(size=(3, 2, 2)),
    }
    return negative_log_likelihood, (parameters,), (points,)
