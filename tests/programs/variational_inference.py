"""Black-box variational inference with reparametrised samples: eight schools, a hierarchical model.

Sources: D. P. Kingma, M. Welling, "Auto-encoding variational Bayes", ICLR 2014, section 2.4; the data: D. B.
Rubin, "Estimation in parallel randomized experiments", J. Educ. Stat. 6 (1981) 377–401.
"""

import numpy as np


def normal_log_density(x, mean, deviation):
    return -0.5 * ((x - mean) / deviation) ** 2 - np.log(deviation) - 0.5 * np.log(2 * np.pi)


def log_joint(z, effects, errors):
    """Of each row of ``z``: the overall effect, the logarithm of the schools' spread, eight schools."""
    mean, log_spread, schools = z[:, 0], z[:, 1], z[:, 2:]
    prior = normal_log_density(mean, 0.0, 5.0) + normal_log_density(log_spread, 1.0, 1.0)
    prior = prior + normal_log_density(schools, 0.0, 1.0).sum(axis=1)
    predicted = mean[:, np.newaxis] + np.exp(log_spread)[:, np.newaxis] * schools
    return prior + np.sum(normal_log_density(effects, predicted, errors), axis=-1)


def negative_evidence_bound(parameters, noise, effects, errors):
    """``parameters``: the means of independent normal distributions, then their log deviations."""
    d = noise.shape[1]
    mean, log_deviation = parameters[:d], parameters[d:]
    samples = mean + np.exp(log_deviation) * noise
    entropy = 0.5 * d * (1.0 + np.log(2 * np.pi)) + log_deviation.sum()
    return -(entropy + np.mean(log_joint(samples, effects, errors)))


def example():
    """The function, where it is differentiated, its data."""
    random = np.random.default_rng(7)
    effects = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
    errors = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])
    parameters = np.concatenate([0.3 * random.normal(size=10), -1.0 + 0.1 * random.normal(size=10)])
    return negative_evidence_bound, (parameters,), (random.normal(size=(12, 10)), effects, errors)
