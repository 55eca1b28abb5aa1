"""NIST's 27 certified regressions, each from both starts: nnx's least_squares beside SciPy's (MINPACK).

Both get the same residuals and the same Jacobians, by nnx, and are asked for all that float64 gives: SciPy
with tolerances of 1e-15, its variables scaled by the Jacobian and as they are. A run is "silently wrong" if
it claims success with fewer than 4 right digits. ``--write`` puts the table into docs/nist.md.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import _pages
import numpy as np

import nnx

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests"))

from optimizers.nist_problems import PROBLEMS, Problem  # noqa: E402

PAGE = ROOT / "docs" / "nist.md"
RIGHT, WRONG = 6, 4  # digits: what is asked for, and what no longer counts as an answer


class Run(NamedTuple):
    """What came of one run. SciPy's lm does not count iterations; it takes one Jacobian in each."""

    digits: float
    iterations: int
    evaluations: int
    status: int
    success: bool
    message: str

    @property
    def silently_wrong(self) -> bool:
        """Whether it claims success without an answer."""
        return self.success and self.digits < WRONG

    @property
    def cells(self) -> str:
        """Its columns of the table."""
        verdict = " **silently wrong**" if self.silently_wrong else "" if self.success else " gave up"
        return f"{self.digits:.1f} | {self.iterations} | {self.evaluations} | {self.status}{verdict}"


Solver = Callable[[Problem, Any], Any]


def by_nnx(problem: Problem, start: Any) -> Any:
    return nnx.least_squares(problem.residual, start)


def by_scipy(x_scale: Any) -> Solver:
    """SciPy's ``least_squares(method="lm")``, which has no limit here that it would reach."""
    from scipy.optimize import least_squares

    tight = dict.fromkeys(("ftol", "xtol", "gtol"), 1e-15)

    def solve(problem: Problem, start: Any) -> Any:
        jacobian = nnx.jacobian(problem.residual)
        return least_squares(
            problem.residual, start, jacobian, method="lm", x_scale=x_scale, max_nfev=20_000, **tight
        )

    return solve


def solvers() -> dict[str, Solver]:
    return {"nnx": by_nnx, "SciPy, x_scale='jac'": by_scipy("jac"), "SciPy": by_scipy(1.0)}


def measure(solve: Solver, problem: Problem, start: Any) -> Run:
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        result = solve(problem, start)
    return Run(
        problem.digits(result.x),
        result.get("nit", result.njev),
        result.nfev,
        result.status,
        result.success,
        result.message,
    )


def table(names: list[str], runs: dict[tuple[str, int], list[Run]]) -> Iterator[str]:
    """The table in Markdown: sums first, then a line for each problem and start."""
    columns = list(zip(*runs.values(), strict=True))
    yield f"| of {len(runs)} runs | " + " | ".join(names) + " |"
    yield "|---|" + "---:|" * len(names)
    for what, count in {
        f"≥ {RIGHT} digits in every parameter": lambda run: run.digits >= RIGHT,
        f"≥ {WRONG} digits": lambda run: run.digits >= WRONG,
        "silently wrong": lambda run: run.silently_wrong,
    }.items():
        yield f"| {what} | " + " | ".join(str(sum(map(count, column))) for column in columns) + " |"
    for what in ("iterations", "evaluations"):
        medians = [f"{np.median([getattr(run, what) for run in column]):g}" for column in columns]
        yield f"| {what}, median | " + " | ".join(medians) + " |"
    totals = (str(sum(run.evaluations for run in column)) for column in columns)
    yield "| evaluations, sum | " + " | ".join(totals) + " |"
    yield ""
    titles = (f"{name}: digits | iterations | evaluations | status" for name in names)
    yield "| problem | start | " + " | ".join(titles) + " |"
    yield "|---|---:|" + "---:|---:|---:|---|" * len(names)
    for (problem, start), row in runs.items():
        yield f"| {problem} | {start} | " + " | ".join(run.cells for run in row) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into docs/nist.md")
    parser.add_argument("--only", default="", help="problems, separated by commas")
    args = parser.parse_args()
    contenders = solvers()
    runs = {
        (name, number): [measure(solve, problem, start) for solve in contenders.values()]
        for name, problem in PROBLEMS.items()
        if not args.only or name in args.only.split(",")
        for number, start in enumerate(problem.starts, 1)
    }
    text = "\n".join(table(list(contenders), runs)) + "\n"
    print(text)
    for (name, number), row in runs.items():
        for contender, run in zip(contenders, row, strict=True):
            if run.digits < RIGHT:
                print(f"{name} from start {number}, {contender}: {run.digits:.1f} digits. {run.message}")
    if args.write:
        _pages.write_table(PAGE, text)


if __name__ == "__main__":
    main()
