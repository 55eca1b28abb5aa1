"""The 41 least-squares problems of Moré, Garbow and Hillstrom, and three more of MINPACK's test driver.

J. J. Moré, B. S. Garbow, K. E. Hillstrom, "Testing unconstrained optimization software", ACM Trans. Math.
Software 7 (1981) 17–41: its 35 functions; Watson's with 6, 9 and 12 variables, the two penalty functions
with 4 and 10, Chebyquad with 8, 9 and 10. MINPACK's driver of ``lmder`` has Brown's almost-linear function
with 30 and 40 variables besides, and Chebyquad with one. Starts are the paper's; the minima (of Σ r²) have
more digits than the paper's, ``test_least_squares_problems.py`` checks them. Gulf's function has 99
residuals: the hundredth has no derivative at the minimum.
"""

from __future__ import annotations

import math

from optimizers import classical
from optimizers.classical import count, vector
from optimizers.least_squares_problem import LeastSquares, Residual
from optimizers.nist_problems import PROBLEMS as NIST

from nnx.backend import device_of

MGH: list[LeastSquares] = []
DRIVER: list[LeastSquares] = []


def take(name: str, residual: Residual, start, *minima: float, among: list[LeastSquares] = MGH) -> None:
    """Adds a problem to the 41, or to those of the driver."""
    among.append(LeastSquares(name, residual, tuple(map(float, start)), minima or (0.0,), "MGH"))


def problem(name: str, start, *minima: float):
    """:func:`take` as a decorator of the residuals."""

    def add(residual: Residual) -> Residual:
        take(name, residual, start, *minima)
        return residual

    return add


CHEBYQUAD_10 = (4.77271369637e-3, 6.50395480088e-3)

for f in classical.FUNCTIONS:
    if len(f.start) <= 10:
        take(f.name, f.residual, f.start, *f.minima)
take("extended Rosenbrock, n = 10", classical.rosenbrock, (-1.2, 1) * 5)
take("extended Powell singular, n = 12", classical.powell_singular, (3, -1, 0, 1) * 3)
take("Watson, n = 12", classical.watson, (0,) * 12, 4.722381103632e-10)
take("penalty I, n = 4", classical.penalty_1, range(1, 5), 2.24997750090e-5)
take("Chebyquad, n = 9", classical.chebyquad, [j / 10 for j in range(1, 10)])
take(
    "Chebyquad, n = 10", classical.chebyquad, [j / 11 for j in range(1, 11)], 4.77271369637e-3, 6.50395479e-3
)
take("Chebyquad, n = 1", classical.chebyquad, [0.5], among=DRIVER)
for n in (30, 40):
    take(f"Brown almost-linear, n = {n}", classical.brown_almost_linear, [0.5] * n, 0.0, 1.0, among=DRIVER)


def from_nist(name: str):
    """The residuals of one of NIST's problems."""
    regression = NIST[name]

    def residual(xp, x):
        t, y = (xp.asarray(a, dtype=x.dtype, device=device_of(x)) for a in (regression.x, regression.y))
        return regression.model(x, t) - y

    return residual


# NIST took them over from Moré, Garbow and Hillstrom, whose start is NIST's second.
take("Meyer", from_nist("MGH10"), NIST["MGH10"].starts[1], NIST["MGH10"].rss)
take("Osborne 1", from_nist("MGH17"), NIST["MGH17"].starts[1], NIST["MGH17"].rss)


@problem("Gulf research and development", (5, 2.5, 0.15))
def gulf(xp, x):
    t = count(x, 99) / 100.0
    y = 25.0 + (-50.0 * xp.log(t)) ** (2.0 / 3.0)
    return xp.exp(-(xp.abs(y - x[1]) ** x[2]) / x[0]) - t


OSBORNE_2 = """
    1.366 1.191 1.112 1.013 0.991 0.885 0.831 0.847 0.786 0.725 0.746 0.679 0.608 0.655 0.616 0.606
    0.602 0.626 0.651 0.724 0.649 0.649 0.694 0.644 0.624 0.661 0.612 0.558 0.533 0.495 0.500 0.423
    0.395 0.375 0.372 0.391 0.396 0.405 0.428 0.429 0.523 0.562 0.607 0.653 0.672 0.708 0.633 0.668
    0.645 0.632 0.591 0.559 0.597 0.625 0.739 0.710 0.729 0.720 0.636 0.581 0.428 0.292 0.162 0.098
    0.054
"""


@problem("Osborne 2", (1.3, 0.65, 0.65, 0.7, 0.6, 3, 5, 7, 2, 4.5, 5.5), 4.01377362935e-2)
def osborne_2(xp, x):
    t = (count(x, 65) - 1.0) / 10.0
    peaks = sum(x[k] * xp.exp(-((t - x[k + 7]) ** 2) * x[k + 4]) for k in (1, 2, 3))
    return vector(x, OSBORNE_2.split()) - (x[0] * xp.exp(-t * x[4]) + peaks)


def penalty_2(xp, x):
    n, root = x.shape[0], math.sqrt(1e-5)
    e = xp.exp(x / 10.0)
    i = count(x, n)[1:]
    pairs = e[1:] + e[:-1] - (xp.exp(i / 10.0) + xp.exp((i - 1.0) / 10.0))
    last = xp.sum((n + 1.0 - count(x, n)) * x**2) - 1.0
    ends = xp.stack([x[0] - 0.2, last])
    return xp.concat([ends, root * pairs, root * (e[1:] - math.exp(-0.1))])


take("penalty II, n = 4", penalty_2, [0.5] * 4, 9.37629300736e-6)
take("penalty II, n = 10", penalty_2, [0.5] * 10, 2.93660537457e-4)


@problem("discrete integral equation, n = 10", [i / 11 * (i / 11 - 1) for i in range(1, 11)])
def discrete_integral_equation(xp, x):
    n = x.shape[0]
    h = 1.0 / (n + 1.0)
    t = h * count(x, n)
    cube = (x + t + 1.0) ** 3
    below, above = xp.cumulative_sum(t * cube), (1.0 - t) * cube
    beyond = xp.sum(above) - xp.cumulative_sum(above)
    return x + 0.5 * h * ((1.0 - t) * below + t * beyond)


@problem("Broyden banded, n = 10", [-1] * 10)
def broyden_banded(xp, x):
    n = x.shape[0]
    own, other = x * (2.0 + 5.0 * x**2) + 1.0, x * (1.0 + x)
    near = [[j for j in range(max(0, i - 5), min(n, i + 2)) if j != i] for i in range(n)]
    return xp.stack([own[i] - sum((other[j] for j in js[1:]), other[js[0]]) for i, js in enumerate(near)])


@problem("linear, full rank", [1] * 5, 5.0)
def linear_full_rank(xp, x):
    n, m = x.shape[0], 10
    all_rows = -2.0 / m * xp.sum(x) - 1.0
    return xp.concat([x + all_rows, all_rows + xp.zeros_like(count(x, m - n))])


@problem("linear, rank 1", [1] * 5, 15 / 7)
def linear_rank_1(xp, x):
    return count(x, 10) * xp.sum(count(x, x.shape[0]) * x) - 1.0


@problem("linear, rank 1 with zero columns and rows", [1] * 5, 62 / 17)
def linear_rank_1_with_zeros(xp, x):
    inner = vector(x, [*range(9), 0])
    return inner * xp.sum((count(x, x.shape[0]) * x)[1:-1]) - 1.0
