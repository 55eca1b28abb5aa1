"""A local linear trend by the Kalman filter: its variances from the innovations' likelihood.

The series is the flow of the Nile at Aswan, 1871–1880, in 10¹⁰ m³. Source: J. Durbin, S. J. Koopman,
*Time Series Analysis by State Space Methods*, 2nd edition, Oxford 2012, sections 2.2 and 7.2.
"""

import numpy as np


def negative_log_likelihood(log_variances, series):
    """``log_variances``: of the observations, of the level and of the slope."""
    noise, level, slope = np.exp(log_variances)
    transition = np.array([[1.0, 1.0], [0.0, 1.0]])
    observe = np.array([[1.0, 0.0]])
    process = np.diag(np.stack([level, slope]))
    state, covariance = np.array([10.0, 0.0]), 4.0 * np.eye(2)
    total = 0.0
    for value in series:
        innovation = value - observe @ state
        spread = observe @ covariance @ observe.T + noise
        gain = np.linalg.solve(spread, observe @ covariance).T
        total += 0.5 * (
            np.log(2 * np.pi) + np.linalg.slogdet(spread)[1] + innovation @ np.linalg.inv(spread) @ innovation
        )
        state = state + gain @ innovation
        covariance = covariance - gain @ observe @ covariance
        state = transition @ state
        covariance = transition @ covariance @ transition.T + process
    return total


def example():
    """The function, where it is differentiated, its data."""
    nile = "1120 1160 963 1210 1160 1160 813 1230 1370 1140"
    series = np.array([float(flow) for flow in nile.split()]) / 100.0
    return negative_log_likelihood, (np.array([0.5, -1.5, -4.0]),), (series,)
