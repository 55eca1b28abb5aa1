"""The least-squares problems of the tests: the 41 of Moré, Garbow and Hillstrom, NIST's, and more."""

from __future__ import annotations

from optimizers.least_squares_problem import LeastSquares
from optimizers.more_garbow_hillstrom import DRIVER, MGH
from optimizers.nist_problems import PROBLEMS, Problem


def of_nist(problem: Problem, start: int) -> LeastSquares:
    """NIST's regression from its start 1 (far) or 2 (near); its minimum is the certified one."""
    return LeastSquares(
        f"{problem.name} {start}",
        lambda xp, x: problem.residual(x),
        tuple(map(float, problem.starts[start - 1])),
        (problem.rss,),
        "NIST",
    )


NIST = [of_nist(problem, start) for problem in PROBLEMS.values() for start in (1, 2)]

__all__ = ["DRIVER", "MGH", "NIST", "LeastSquares"]
