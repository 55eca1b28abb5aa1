"""Fits that people asked about in public, and of textbooks: nnx's curve_fit beside SciPy's and lmfit's.

All with their defaults, from the asker's start. "Optimum": success at the best Σ r² known, within 1e-6 of it;
"another minimum": success at one that ``stationarity.py`` confirms; "honest": it says that it failed;
"wrong": success at no minimum. lmfit takes part where it is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from optimizers.evaluations import by_lmfit
from optimizers.question_data import QUESTIONS, Question
from optimizers.stationarity import verdict

import nnx


class Answer(NamedTuple):
    """What a library says, and what that is: "optimum", "another minimum", "honest", "at it" or "wrong"."""

    kind: str
    value: float
    message: str


def answer(q: Question, solve: Callable[[Question], tuple[Any, bool, str]]) -> Answer:
    """``solve`` returns the parameters, whether it claims success, and its message."""
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        x, success, message = solve(q)
    p = q.problem
    value = p.sum_of_squares(x)
    right = p.reached(value) is not None
    if right:
        return Answer("optimum" if success else "refused at it", value, message)
    if not success:
        return Answer("honest", value, message)
    return Answer("another minimum" if verdict(p, x).minimum else "wrong", value, message)


def by_nnx(q: Question) -> tuple[Any, bool, str]:
    try:
        fit = nnx.curve_fit(q.problem.curve, q.x, q.y, q.start)
    except nnx.errors.FitError as error:
        return error.result.x, False, error.result.message
    except nnx.errors.NnxError as error:
        return q.start, False, str(error)
    return fit.popt, True, fit.result.message


def by_scipy(q: Question) -> tuple[Any, bool, str]:
    from scipy.optimize import curve_fit

    try:
        found, _, _, message, _ = curve_fit(q.problem.curve, q.x, q.y, q.start, full_output=True)
    except (RuntimeError, ValueError) as error:
        return q.start, False, str(error)
    return found, True, message


def by_lmfits(q: Question) -> tuple[Any, bool, str]:
    outcome = by_lmfit(q.problem, q.start)
    return outcome.x, outcome.success, outcome.message


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="questions whose names contain this")
    args = parser.parse_args()
    solvers = {"nnx": by_nnx, "SciPy": by_scipy}
    if importlib.util.find_spec("lmfit"):
        solvers["lmfit"] = by_lmfits
    counts: dict[str, Counter[str]] = {name: Counter() for name in solvers}
    print(f"{'data':<30}{'best Σ r²':>16}" + "".join(f"{name:>34}" for name in solvers))
    for q in QUESTIONS:
        if args.only not in q.name:
            continue
        cells = []
        for name, solve in solvers.items():
            found = answer(q, solve)
            counts[name][found.kind] += 1
            cells.append(f"{found.kind} {'' if found.kind == 'optimum' else f'({found.value:.7g})'}")
        print(f"{q.name:<30}{q.best:>16.9g}" + "".join(f"{cell:>34}" for cell in cells), flush=True)
    for name, found in counts.items():
        print(f"{name}: " + ", ".join(f"{kind} {n}" for kind, n in found.most_common()))


if __name__ == "__main__":
    main()
