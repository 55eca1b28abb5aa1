"""Predator and prey: the rates of the Lotka–Volterra equations from observed populations, by Runge–Kutta.

The observations are the Hudson's Bay Company's pelts of hares and lynxes, in thousands, 1900–1905. Source:
E. P. Odum, *Fundamentals of Ecology*, Saunders 1953; the equations: V. Volterra, "Fluctuations in the
abundance of a species considered mathematically", Nature 118 (1926) 558–560.
"""

import numpy as np


def rates(population, theta):
    prey, predators = population
    birth, hunting, death, feeding = theta
    eaten = prey * predators
    return np.stack([birth * prey - hunting * eaten, feeding * eaten - death * predators])


def rk4_step(f, y, h, *args):
    k1 = f(y, *args)
    k2 = f(y + 0.5 * h * k1, *args)
    k3 = f(y + 0.5 * h * k2, *args)
    k4 = f(y + h * k3, *args)
    return y + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)


def misfit(log_theta, log_start, observed):
    """The mean squared error of the logarithms, which is what measured populations call for."""
    theta, y = np.exp(log_theta), np.exp(log_start)
    path = [y]
    for _ in range(len(observed) - 1):
        for _ in range(2):
            y = rk4_step(rates, y, 0.5, theta)
        path.append(y)
    return np.mean((np.log(np.stack(path)) - np.log(observed)) ** 2)


def example():
    """The function, where it is differentiated, its data."""
    hares = [30.0, 47.2, 70.2, 77.4, 36.3, 20.6]
    lynxes = [4.0, 6.1, 9.8, 35.2, 59.4, 41.7]
    theta = np.array([0.55, 0.028, 0.80, 0.024])
    return misfit, (np.log(theta), np.log(np.array([33.0, 6.0]))), (np.array([hares, lynxes]).T,)
