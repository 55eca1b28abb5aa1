"""Runs from random starts in random units, each judged by ``stationarity.py``.

Run number i belongs to problem i mod their number and has random numbers of its own, so that it is the same
wherever and in whatever company it runs. Distributions:

- problems with a standard start: each variable times 10^N(0, 0.5), a zero plus N(0, 0.5); in a fifth of the
  runs the whole start times 10, 100 or −1 as well;
- families of regressions: as in ``regression_draws.py``; a tenth starts from ones, whatever the units;
- units: a quarter has its own; in the others the unit of the data and that of each variable (of x and y, for
  the families) is log-uniform from 1e-15 to 1e12.

A start whose residuals or their squares are not finite is drawn anew.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from optimizers.least_squares_problem import LeastSquares
from optimizers.least_squares_problems import DRIVER, MGH, NIST
from optimizers.regression_draws import DataProblem
from optimizers.regression_families import FAMILIES
from optimizers.stationarity import Verdict, verdict

import nnx
from nnx.backend import namespace
from nnx.errors import FitError, NnxError

SMALL, LARGE = -15.0, 12.0  # powers of ten of the units
#: 41 + 3, NIST's 27 (their second starts are those that are multiplied), and the families
SOURCES = [*MGH, *DRIVER, *NIST[1::2], *FAMILIES]


class Judged(NamedTuple):
    """One run: what it claims and what its end is. ``error`` is that of a run that was refused."""

    number: int
    problem: str
    method: str
    units: bool
    success: bool
    verdict: Verdict | None
    evaluations: int
    message: str

    @property
    def silently_wrong(self) -> bool:
        return self.success and self.verdict is not None and self.verdict.kind == "no"

    @property
    def false_failure(self) -> bool:
        return not self.success and self.verdict is not None and self.verdict.reached


def unit(rng: np.random.Generator) -> float:
    return float(10.0 ** rng.uniform(SMALL, LARGE))


def drawn(number: int, seed: int = 0) -> tuple[LeastSquares, np.ndarray, bool]:
    """The problem of a run, its start, and whether it is in other units than its own."""
    rng = np.random.default_rng([seed, number])
    source, scaled = SOURCES[number % len(SOURCES)], bool(rng.random() < 0.75)
    while True:
        if isinstance(source, LeastSquares):
            p, start = source, near(np.array(source.start), rng)
            if scaled:
                of_x = np.array([unit(rng) for _ in start])
                p, start = p.in_units(unit(rng), of_x), of_x * start
        else:
            ones = bool(rng.random() < 0.1)
            p = source.draw(rng, *((unit(rng), unit(rng)) if scaled else ()), ones=ones)
            start = np.array(p.start)
        if np.isfinite(p.sum_of_squares(start)):
            return p, start, scaled


def near(start: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random start near the standard one, or a multiple of it."""
    moved = np.where(start != 0.0, start * 10.0 ** rng.normal(0.0, 0.5, start.size), rng.normal(0.0, 0.5))
    return moved * rng.choice([10.0, 100.0, -1.0]) if rng.random() < 0.2 else moved


def method_of(number: int, p: LeastSquares, seed: int = 0) -> str:
    """A tenth of the runs is ``curve_fit``'s where there is a curve; a twentieth each BFGS's and L-BFGS's."""
    share = np.random.default_rng([seed, number, 1]).random()
    if share < 0.1:
        return "curve_fit" if isinstance(p, DataProblem) else "least_squares"
    return "bfgs" if share < 0.15 else "lbfgs" if share < 0.2 else "least_squares"


def by_curve_fit(p: Any, start: Any) -> Any:
    try:
        return nnx.curve_fit(p.curve, p.x, p.y, start).result
    except FitError as error:
        return error.result


def by_minimize(method: str) -> Callable[[LeastSquares, Any], Any]:
    def solve(p: LeastSquares, start: Any) -> Any:
        def cost(x: Any) -> Any:
            r = p(x)
            return namespace(r).sum(r * r)

        return nnx.minimize(cost, start, method=method)

    return solve


METHODS = {
    "least_squares": nnx.least_squares,
    "curve_fit": by_curve_fit,
    "bfgs": by_minimize("bfgs"),
    "lbfgs": by_minimize("lbfgs"),
}


def judged(number: int, seed: int = 0) -> Judged:
    """The run of that number."""
    p, start, scaled = drawn(number, seed)
    method = method_of(number, p, seed)
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        try:
            result = METHODS[method](p, start)
        except (NnxError, np.linalg.LinAlgError, ArithmeticError) as error:
            message = f"{type(error).__name__}: {str(error)[:150]}"
            return Judged(number, p.name, method, scaled, False, None, 0, message)
    end = verdict(p, result.x)
    return Judged(number, p.name, method, scaled, bool(result.success), end, result.nfev, result.message)
