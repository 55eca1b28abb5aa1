"""A planet's orbit from its positions: Kepler's equation, an implicit one, by Newton steps until they vanish.

The derivative is that of the unrolled iteration. Source: J. Meeus, *Astronomical Algorithms*, 2nd edition,
Willmann-Bell 1998, chapter 30.
"""

import numpy as np


def eccentric_anomaly(mean_anomaly, eccentricity):
    """E with E − e sin E = M."""
    anomaly = mean_anomaly + eccentricity * np.sin(mean_anomaly)
    step = np.inf
    while np.max(np.abs(step)) > 1e-10:
        step = (anomaly - eccentricity * np.sin(anomaly) - mean_anomaly) / (
            1 - eccentricity * np.cos(anomaly)
        )
        anomaly = anomaly - step
    return anomaly


def misfit(elements, times, seen):
    """``elements``: half the major axis, eccentricity, period, time of the perihelion."""
    axis, eccentricity, period, perihelion = elements
    anomaly = eccentric_anomaly(2 * np.pi * (times - perihelion) / period, eccentricity)
    x = axis * (np.cos(anomaly) - eccentricity)
    y = axis * np.sqrt(1 - eccentricity**2) * np.sin(anomaly)
    return ((np.column_stack([x, y]) - seen) ** 2).sum()


def example():
    """The function, where it is differentiated, its data."""
    times = np.linspace(0.0, 80.0, 12)
    random = np.random.default_rng(10)
    seen = 0.4 * np.column_stack([np.cos(times / 14.0), np.sin(times / 14.0)]) + 0.01 * random.normal(
        size=(12, 2)
    )
    return misfit, (np.array([0.387, 0.2056, 87.97, 1.5]),), (times, seen)
