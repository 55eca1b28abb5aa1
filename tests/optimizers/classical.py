"""The classical test functions of unconstrained minimisation, in array API calls.

All are sums of squares f(x) = Σ rᵢ(x)², from J. J. Moré, B. S. Garbow, K. E. Hillstrom, "Testing
unconstrained optimization software", ACM Trans. Math. Software 7 (1981) 17–41, with that paper's starts.
The least values have more digits than the paper's; ``tests/optimizers/test_classical.py`` checks them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nnx.backend import device_of, namespace

Array = Any


@dataclass(frozen=True)
class Classical:
    """One function: ``f(x)``, where to start, and the values of its minima, the least one first."""

    name: str
    residual: Callable[[Any, Array], Array]
    start: tuple[float, ...]
    minima: tuple[float, ...] = (0.0,)

    def __call__(self, x: Array) -> Array:
        xp = namespace(x)
        r = self.residual(xp, x)
        return xp.sum(r * r)

    def reached(self, value: float) -> float | None:
        """The lowest of the minima that ``value`` has reached (see :func:`bar`); None if there is none."""
        return next((m for m in self.minima if value <= bar(m)), None)


def bar(minimum: float) -> float:
    """The largest value that counts as having reached a minimum m: m + 1e-8·(1 + |m|)."""
    return minimum + 1e-8 * (1.0 + abs(minimum))


FUNCTIONS: list[Classical] = []


def function(name: str, start: Any, *minima: float) -> Any:
    """Adds the function with that residual to :data:`FUNCTIONS`."""

    def add(residual: Any) -> Any:
        FUNCTIONS.append(Classical(name, residual, tuple(map(float, start)), minima or (0.0,)))
        return residual

    return add


def vector(x: Array, numbers: Any) -> Array:
    """Constants as an array beside ``x``."""
    return namespace(x).asarray([float(v) for v in numbers], dtype=x.dtype, device=device_of(x))


def count(x: Array, m: int) -> Array:
    """1, 2, ..., m beside ``x``."""
    return vector(x, range(1, m + 1))


@function("Rosenbrock", (-1.2, 1))
@function("extended Rosenbrock, n = 1000", (-1.2, 1) * 500)
def rosenbrock(xp, x):
    odd, even = x[0::2], x[1::2]
    return xp.concat([10.0 * (even - odd**2), 1.0 - odd])


@function("Freudenstein–Roth", (0.5, -2), 0.0, 48.98425367924)
def freudenstein_roth(xp, x):
    a, b = x[0], x[1]
    return xp.stack([-13.0 + a + ((5.0 - b) * b - 2.0) * b, -29.0 + a + ((b + 1.0) * b - 14.0) * b])


@function("Powell badly scaled", (0, 1))
def powell_badly_scaled(xp, x):
    return xp.stack([1e4 * x[0] * x[1] - 1.0, xp.exp(-x[0]) + xp.exp(-x[1]) - 1.0001])


@function("Brown badly scaled", (1, 1))
def brown_badly_scaled(xp, x):
    return xp.stack([x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2.0])


@function("Beale", (1, 1))
def beale(xp, x):
    return vector(x, (1.5, 2.25, 2.625)) - x[0] * (1.0 - x[1] ** count(x, 3))


@function("Jennrich–Sampson", (0.3, 0.4), 124.36218235561)
def jennrich_sampson(xp, x):
    i = count(x, 10)
    return 2.0 + 2.0 * i - (xp.exp(i * x[0]) + xp.exp(i * x[1]))


@function("helical valley", (-1, 0, 0))
def helical_valley(xp, x):
    turn = xp.atan(x[1] / x[0]) / (2.0 * math.pi)
    turn = xp.where(x[0] > 0.0, turn, turn + 0.5)
    return xp.stack([10.0 * (x[2] - 10.0 * turn), 10.0 * (xp.sqrt(x[0] ** 2 + x[1] ** 2) - 1.0), x[2]])


@function("Bard", (1, 1, 1), 8.21487730657897e-3)
def bard(xp, x):
    y = (0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39)
    u = count(x, 15)
    v = 16.0 - u
    return vector(x, y) - (x[0] + u / (v * x[1] + xp.minimum(u, v) * x[2]))


@function("Gaussian", (0.4, 1, 0), 1.12793276961912e-8)
def gaussian(xp, x):
    half = (0.0009, 0.0044, 0.0175, 0.0540, 0.1295, 0.2420, 0.3521)
    t = (8.0 - count(x, 15)) / 2.0
    return x[0] * xp.exp(-0.5 * x[1] * (t - x[2]) ** 2) - vector(x, (*half, 0.3989, *half[::-1]))


@function("Box three-dimensional", (0, 10, 20))
def box_three_dimensional(xp, x):
    t = 0.1 * count(x, 10)
    return xp.exp(-t * x[0]) - xp.exp(-t * x[1]) - x[2] * (xp.exp(-t) - xp.exp(-10.0 * t))


@function("Powell singular", (3, -1, 0, 1))
@function("extended Powell singular, n = 100", (3, -1, 0, 1) * 25)
def powell_singular(xp, x):
    a, b, c, d = x[0::4], x[1::4], x[2::4], x[3::4]
    parts = [a + 10.0 * b, math.sqrt(5.0) * (c - d), (b - 2.0 * c) ** 2, math.sqrt(10.0) * (a - d) ** 2]
    return xp.concat(parts)


@function("Wood", (-3, -1, -3, -1))
def wood(xp, x):
    a, b, c, d = x[0], x[1], x[2], x[3]
    first = [10.0 * (b - a**2), 1.0 - a, math.sqrt(90.0) * (d - c**2), 1.0 - c]
    return xp.stack([*first, math.sqrt(10.0) * (b + d - 2.0), (b - d) / math.sqrt(10.0)])


@function("Kowalik–Osborne", (0.25, 0.39, 0.415, 0.39), 3.07505603849e-4)
def kowalik_osborne(xp, x):
    y = (0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246)
    u = vector(x, (4.0, 2.0, 1.0, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625))
    return vector(x, y) - x[0] * (u**2 + u * x[1]) / (u**2 + u * x[2] + x[3])


@function("Brown–Dennis", (25, 5, -5, -1), 85822.2016263563)
def brown_dennis(xp, x):
    t = count(x, 20) / 5.0
    return (x[0] + t * x[1] - xp.exp(t)) ** 2 + (x[2] + x[3] * xp.sin(t) - xp.cos(t)) ** 2


@function("Biggs EXP6", (1, 2, 1, 1, 1, 1), 0.0, 5.65564992551e-3)
def biggs_exp6(xp, x):
    t = 0.1 * count(x, 13)
    y = xp.exp(-t) - 5.0 * xp.exp(-10.0 * t) + 3.0 * xp.exp(-4.0 * t)
    return x[2] * xp.exp(-t * x[0]) - x[3] * xp.exp(-t * x[1]) + x[5] * xp.exp(-t * x[4]) - y


@function("Watson, n = 6", (0,) * 6, 2.28767005355e-3)
@function("Watson, n = 9", (0,) * 9, 1.39976013822e-6)
def watson(xp, x):
    n = x.shape[0]
    powers = [(count(x, 29) / 29.0) ** j for j in range(n)]
    value = sum((x[j] * powers[j] for j in range(1, n)), x[0] * powers[0])
    slope = sum((j * x[j] * powers[j - 1] for j in range(2, n)), x[1] * powers[0])
    return xp.concat([slope - value**2 - 1.0, xp.stack([x[0], x[1] - x[0] ** 2 - 1.0])])


@function("penalty I, n = 10", range(1, 11), 7.08765146709e-5)
def penalty_1(xp, x):
    return xp.concat([math.sqrt(1e-5) * (x - 1.0), xp.reshape(xp.sum(x**2) - 0.25, (1,))])


@function("variably dimensioned, n = 10", [1 - j / 10 for j in range(1, 11)])
def variably_dimensioned(xp, x):
    together = xp.sum(count(x, x.shape[0]) * (x - 1.0))
    return xp.concat([x - 1.0, xp.stack([together, together**2])])


@function("trigonometric, n = 10", [0.1] * 10, 0.0, 2.79505612188e-5)
def trigonometric(xp, x):
    n = x.shape[0]
    return n - xp.sum(xp.cos(x)) + count(x, n) * (1.0 - xp.cos(x)) - xp.sin(x)


@function("Brown almost-linear, n = 10", [0.5] * 10, 0.0, 1.0)
def brown_almost_linear(xp, x):
    n = x.shape[0]
    return xp.concat([x[:-1] + xp.sum(x) - (n + 1.0), xp.reshape(xp.prod(x) - 1.0, (1,))])


@function("discrete boundary value, n = 10", [i / 11 * (i / 11 - 1) for i in range(1, 11)])
def discrete_boundary_value(xp, x):
    n = x.shape[0]
    h = 1.0 / (n + 1.0)
    ends = xp.concat([vector(x, (0.0,)), x, vector(x, (0.0,))])
    return 2.0 * x - ends[:-2] - ends[2:] + 0.5 * h**2 * (x + h * count(x, n) + 1.0) ** 3


@function("Broyden tridiagonal, n = 10", [-1] * 10)
def broyden_tridiagonal(xp, x):
    ends = xp.concat([vector(x, (0.0,)), x, vector(x, (0.0,))])
    return (3.0 - 2.0 * x) * x - ends[:-2] - 2.0 * ends[2:] + 1.0


@function("Chebyquad, n = 8", [j / 9 for j in range(1, 9)], 3.51687372568e-3)
def chebyquad(xp, x):
    y = 2.0 * x - 1.0
    before, now, residuals = 1.0 + 0.0 * y, y, []
    for i in range(1, x.shape[0] + 1):
        residuals.append(xp.mean(now) + (1.0 / (i * i - 1.0) if i % 2 == 0 else 0.0))
        before, now = now, 2.0 * y * now - before
    return xp.stack(residuals)
