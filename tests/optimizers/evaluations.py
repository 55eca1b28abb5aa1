"""How many evaluations a least-squares method needs, and what it claims: nnx, MINPACK, SciPy's others, lmfit.

All run with their defaults; SciPy's get the exact Jacobian, by nnx, and MINPACK the scaling by the Jacobian's
columns that ``lmder`` has of itself (``x_scale="jac"``). lmfit, where it is installed, takes differences.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.optimize
from optimizers.least_squares_problem import LeastSquares

import nnx


class Outcome(NamedTuple):
    """What came of a run: ``evaluations`` of the whole run, as the library counts them.

    ``until`` are those until a point as low as the minimum that the run ended at, or None where that is
    none of the known ones.
    """

    evaluations: int
    until: int | None
    success: bool
    value: float
    minimum: float | None
    x: Any
    message: str

    @property
    def right(self) -> bool:
        return self.minimum is not None


class Tally:
    """Residuals that remember Σ r² at the points where they were asked for, a repeated one once."""

    def __init__(self, p: LeastSquares) -> None:
        self.p, self.values, self.last = p, list[float](), None

    def __call__(self, x: Any) -> Any:
        r = self.p(x)
        if isinstance(x, np.ndarray) and not (self.last is not None and np.array_equal(x, self.last)):
            self.last = np.array(x)
            self.values.append(float(np.sum(np.square(r))))
        return r

    def outcome(self, evaluations: int, success: bool, x: Any, message: str) -> Outcome:
        value = self.p.sum_of_squares(x)
        minimum = self.p.reached(value)
        until = None
        if minimum is not None:
            until = 1 + next(i for i, v in enumerate(self.values) if v <= self.p.bar(minimum))
        return Outcome(evaluations, until, bool(success), value, minimum, np.asarray(x), message)


Solver = Callable[[LeastSquares, Any], Outcome]


def by_nnx(p: LeastSquares, start: Any, **options: Any) -> Outcome:
    """``nnx.least_squares`` with its defaults, or with keywords of its own."""
    return _run(p, start, lambda tally, x: nnx.least_squares(tally, x, **options))


def by_scipy(method: str, **options: Any) -> Solver:
    """SciPy's ``least_squares`` with the exact Jacobian and otherwise its defaults."""

    def solve(p: LeastSquares, start: Any) -> Outcome:
        jacobian = nnx.jacobian(p)
        return _run(
            p,
            start,
            lambda tally, x: scipy.optimize.least_squares(tally, x, jacobian, method=method, **options),
        )

    return solve


by_minpack = by_scipy("lm", x_scale="jac")


def by_lmfit(p: LeastSquares, start: Any) -> Outcome:
    """lmfit's ``minimize``; raises ImportError where it is not installed."""
    import lmfit

    def solve(tally: Tally, x: Any) -> Any:
        variables = lmfit.Parameters()
        for i, value in enumerate(x):
            variables.add(f"x{i}", value)
        result = lmfit.minimize(lambda v: tally(np.array([v[name].value for name in v])), variables)
        found = np.array([v.value for v in result.params.values()])
        return scipy.optimize.OptimizeResult(
            nfev=result.nfev, success=result.success, x=found, message=result.message
        )

    return _run(p, start, solve)


def _run(p: LeastSquares, start: Any, solve: Callable[[Tally, Any], Any]) -> Outcome:
    tally, x = Tally(p), np.array(start, dtype=float)
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        try:
            result = solve(tally, x)
        except (ValueError, RuntimeError) as error:  # SciPy's: residuals at the start, or a NaN on the way
            return tally.outcome(len(tally.values), False, start, f"{type(error).__name__}: {error}")
    return tally.outcome(int(result.nfev), result.success, result.x, result.message)


def multiple(p: LeastSquares, factor: float) -> np.ndarray:
    """The standard start times a factor, as in MINPACK's driver: where it is 0, the factor itself."""
    start = np.array(p.start)
    return factor * start if np.any(start) or factor == 1.0 else np.full(start.size, factor)
