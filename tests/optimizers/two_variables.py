"""Functions of two variables that the tests of SciPy's calls share."""

from __future__ import annotations

from nnx.backend import namespace

START = [-1.2, 1.0]


def rosenbrock(x):
    xp = namespace(x)
    return xp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def residual(x):
    return namespace(x).stack([10.0 * (x[1] - x[0] ** 2), 1.0 - x[0]])


def line(t, a, b):
    return a * t + b
