"""The likelihood of an ARMA(2, 1) process, its residuals written into an array one after the other.

Source: G. E. P. Box, G. M. Jenkins, *Time Series Analysis: Forecasting and Control*, Holden-Day 1970,
chapter 7 (the conditional sum of squares).
"""

import numpy as np

CANNOT = {"autograd", "jax"}  # it writes into arrays


def negative_log_likelihood(coefficients, mean, log_deviation, series):
    """``coefficients``: two of the autoregression, one of the moving average."""
    phi, theta = coefficients[:2], coefficients[2]
    x = series - mean
    residuals = np.zeros_like(x)
    for t in range(2, len(x)):
        residuals[t] = x[t] - phi @ x[t - 2 : t][::-1] - theta * residuals[t - 1]
    n = len(x) - 2
    residuals /= np.exp(log_deviation)
    return 0.5 * np.sum(residuals[2:] ** 2) + n * (log_deviation + 0.5 * np.log(2.0 * np.pi))


def example():
    """The function, where it is differentiated, its data."""
    noise = np.random.default_rng(16).normal(size=40)
    series = np.zeros(40)
    for t in range(2, 40):
        series[t] = 0.6 * series[t - 1] - 0.3 * series[t - 2] + noise[t] + 0.4 * noise[t - 1]
    return negative_log_likelihood, (np.array([0.5, -0.2, 0.3]), 1.0, 0.1), (series + 1.2,)
