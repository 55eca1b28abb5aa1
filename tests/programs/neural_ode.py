"""A neural ordinary differential equation: a small network gives the velocity, Heun's method follows it.

Source: R. T. Q. Chen, Y. Rubanova, J. Bettencourt, D. Duvenaud, "Neural ordinary differential equations",
NeurIPS 2018; the spiral is its section 3's.
"""

import numpy as np


def velocity(layers, y):
    y = y**3
    for kernel, bias in layers[:-1]:
        y = np.tanh(np.matmul(y, kernel) + bias)
    kernel, bias = layers[-1]
    return np.matmul(y, kernel) + bias


def loss(layers, start, path, dt):
    """The mean absolute difference (smoothed) to the true path, for several starts at once."""
    y, total = start, 0.0
    for true in path:
        k = velocity(layers, y)
        y = y + 0.5 * dt * (k + velocity(layers, y + dt * k))
        total = total + np.sqrt((y - true) ** 2 + 1e-2).mean()
    return total / len(path)


def example():
    """The function, where it is differentiated, its data."""
    random = np.random.default_rng(19)
    spiral, dt = np.array([[-0.1, 2.0], [-2.0, -0.1]]), 0.05
    start = random.uniform(0.5, 1.2, (6, 2))
    path, y = [], start
    for _ in range(10):
        y = y + dt * (y**3) @ spiral
        path.append(y)
    layers = [(0.5 * random.normal(size=(m, n)), 0.1 * random.normal(size=n)) for m, n in [(2, 8), (8, 2)]]
    return loss, (layers, start), (np.stack(path), dt)
