"""Evaluations of nnx's least_squares beside MINPACK's lmder, SciPy's trf and lmfit, all with their defaults.

The 41 problems of Moré, Garbow and Hillstrom, three more of MINPACK's driver, and NIST's from both starts.
All but lmfit get the exact Jacobian. Counted are (a) the evaluations of the whole run, by the library's own
``nfev``, and (b) those until Σ r² ≤ f*(1 + 1e-6) + 1e-14·f(standard start), f* the minimum that the run ended
at. ``--quick`` prints a line per problem for nnx and MINPACK alone; ``--factors`` adds how many of the 41 are
solved from the standard starts × 1, 10 and 100; ``--write`` puts the tables into docs/least_squares.md.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests"))

import _pages  # noqa: E402
from optimizers.evaluations import (  # noqa: E402
    Outcome,
    Solver,
    by_lmfit,
    by_minpack,
    by_nnx,
    by_scipy,
    multiple,
)
from optimizers.least_squares_problems import DRIVER, MGH, NIST, LeastSquares  # noqa: E402

PAGE = ROOT / "docs" / "least_squares.md"
GROUPS = {"MGH": MGH, "driver": DRIVER, "NIST": NIST}
FACTORS = (1.0, 10.0, 100.0)
Row = dict[str, Outcome]


def contenders() -> dict[str, Solver]:
    found = {"nnx": by_nnx, "MINPACK": by_minpack, "trf": by_scipy("trf")}
    if importlib.util.find_spec("lmfit"):
        found["lmfit"] = by_lmfit
    return found


def ratios(rows: list[Row], what: str, name: str = "nnx") -> list[float]:
    """Evaluations over MINPACK's where both are right: "evaluations" of whole runs, or "until" close."""
    both = [(row[name], row["MINPACK"]) for row in rows if row[name].right and row["MINPACK"].right]
    return [getattr(mine, what) / getattr(its, what) for mine, its in both]


def quick(problems: list[LeastSquares], solvers: dict[str, Solver] | None = None) -> list[Row]:
    """Runs nnx and MINPACK on the problems from their standard starts and prints a line for each."""
    solvers = solvers or {"nnx": by_nnx, "MINPACK": by_minpack}
    print(f"{'problem':<42} {'nnx':>6} {'MINPACK':>7} {'ratio':>6} {'until':>6} {'its':>6} {'ratio':>6}")
    rows = []
    for p in problems:
        row = {name: solve(p, p.start) for name, solve in solvers.items()}
        rows.append(row)
        mine, its = row["nnx"], row["MINPACK"]
        until = f"{mine.until / its.until:6.2f}" if mine.until and its.until else f"{'–':>6}"
        verdict = "" if mine.success else " no success"
        verdict += "" if mine.right else f" WRONG: {mine.value:.6g} instead of {p.minima[0]:.6g}"
        verdict += "" if its.right else f" (MINPACK is wrong: {its.value:.6g})"
        whole = mine.evaluations / its.evaluations
        print(
            f"{p.name:<42} {mine.evaluations:>6} {its.evaluations:>7} {whole:6.2f}"
            f" {mine.until or '–':>6} {its.until or '–':>6} {until}{verdict}",
            flush=True,
        )
    print("\n".join(summary(rows)))
    return rows


def summary(rows: list[Row]) -> Iterator[str]:
    for what, title in (("evaluations", "whole runs"), ("until", "until close")):
        found = ratios(rows, what)
        if found:
            yield f"{title}: median ratio {statistics.median(found):.2f}, worst {max(found):.2f}"
    for name in rows[0]:
        yield (
            f"{name}: right {sum(row[name].right for row in rows)} of {len(rows)}, success "
            f"{sum(row[name].success for row in rows)}, success elsewhere "
            f"{sum(row[name].success and not row[name].right for row in rows)}, evaluations in total "
            f"{sum(row[name].evaluations for row in rows)}"
        )


def cell(p: LeastSquares, outcome: Outcome) -> str:
    """Both counts, and what is wrong; another minimum than the lowest has its value behind it."""
    if not outcome.right:
        return f"{outcome.evaluations} **{'success elsewhere' if outcome.success else 'gave up'}**"
    where = "" if outcome.minimum == p.minima[0] else f" ({outcome.minimum:.3g})"
    return f"{outcome.evaluations} / {outcome.until}{where}{'' if outcome.success else ' no success'}"


def table(groups: dict[str, list[Row]]) -> Iterator[str]:
    """Ratios and counts of each group, then a line for each problem."""
    names = list(next(iter(groups.values()))[0])
    yield "| problems | | " + " | ".join(names) + " |"
    yield "|---|---|" + "---:|" * len(names)
    for group, rows in groups.items():
        of = f"{group} ({len(rows)})"
        counts = {
            "right": lambda o: o.right,
            "success elsewhere": lambda o: o.success and not o.right,
            "no success at the minimum": lambda o: o.right and not o.success,
        }
        for what, count in counts.items():
            yield (
                f"| {of} | {what} | " + " | ".join(str(sum(count(r[n]) for r in rows)) for n in names) + " |"
            )
        totals = (str(sum(row[name].evaluations for row in rows)) for name in names)
        yield f"| {of} | evaluations in total | " + " | ".join(totals) + " |"
        for what, title in (("evaluations", "whole runs"), ("until", "until close")):
            cells = []
            for name in names:
                found = ratios(rows, what, name)
                cells.append(f"{statistics.median(found):.2f}, {max(found):.2f}")
            yield f"| {of} | ratio to MINPACK, median and worst, {title} | " + " | ".join(cells) + " |"
    yield ""
    yield "| problem | " + " | ".join(names) + " |"
    yield "|---|" + "---:|" * len(names)
    for group, rows in groups.items():
        for p, row in zip(GROUPS[group], rows, strict=True):
            yield f"| {p.name} | " + " | ".join(cell(p, row[name]) for name in names) + " |"


def from_afar() -> Iterator[str]:
    """How many of the 41 are solved from the standard starts times a factor."""
    solvers = contenders() | {"lm, x_scale=1": by_scipy("lm"), "dogbox": by_scipy("dogbox")}
    yield "| of the 41 solved (success elsewhere) from | " + " | ".join(solvers) + " |"
    yield "|---|" + "---:|" * len(solvers)
    for factor in FACTORS:
        cells = []
        for solve in solvers.values():
            found = [solve(p, multiple(p, factor)) for p in MGH]
            wrong = sum(o.success and not o.right for o in found)
            cells.append(f"{sum(o.right for o in found)} ({wrong})")
        yield f"| start × {factor:g} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="nnx and MINPACK alone, a line per problem")
    parser.add_argument("--groups", default=",".join(GROUPS), help="MGH, driver, NIST, separated by commas")
    parser.add_argument("--only", default="", help="problems whose names contain this")
    parser.add_argument("--factors", action="store_true", help="starts × 1, 10 and 100 as well")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE.relative_to(ROOT)}")
    args = parser.parse_args()
    chosen = {g: [p for p in GROUPS[g] if args.only in p.name] for g in args.groups.split(",")}
    chosen = {group: problems for group, problems in chosen.items() if problems}
    if args.quick:
        for problems in chosen.values():
            quick(problems)
        return
    solvers = contenders()
    rows = {g: [{n: s(p, p.start) for n, s in solvers.items()} for p in ps] for g, ps in chosen.items()}
    lines = list(table(rows))
    if args.factors or args.write:
        lines = [*from_afar(), "", *lines]
    text = "\n".join(lines) + "\n"
    print(text)
    if args.write:
        _pages.write_table(PAGE, text)


if __name__ == "__main__":
    main()
