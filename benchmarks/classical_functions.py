"""The classical test functions: gradients that nnx's methods need beside SciPy's counterparts.

Both get the same function, with value and gradient by nnx; counted are the gradients until a point with
f ≤ f* + 1e-8(1 + |f*|) has been evaluated, f* the minimum that the run arrives at. A dash: not within the
limit of 1500. ``--write`` puts the table into docs/classical_functions.md.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

import _pages

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests"))

from optimizers.classical import FUNCTIONS, Classical  # noqa: E402
from optimizers.contest import COUNTERPARTS, Outcome, ours, scipys  # noqa: E402

PAGE = ROOT / "docs" / "classical_functions.md"

Pair = tuple[Outcome, Outcome]


def compare(method: str, f: Classical) -> Pair:
    """What nnx's method and SciPy's counterpart need."""
    return ours(method, f), scipys(method, f)


def cell(f: Classical, pair: Pair) -> str:
    """Both counts; another minimum than the lowest has its value behind it."""
    return " / ".join(count(f, outcome) for outcome in pair)


def count(f: Classical, outcome: Outcome) -> str:
    where = f" ({outcome.minimum:.3g})" if outcome.minimum not in (None, f.minima[0]) else ""
    return "–" if outcome.gradients is None else f"{outcome.gradients}{where}"


def ratio(pairs: list[Pair]) -> float:
    """The median of nnx's counts over SciPy's: infinite where only SciPy arrived, none where it did not."""
    known = [pair for pair in pairs if pair[1].gradients is not None]
    return statistics.median((mine.gradients or float("inf")) / its.gradients for mine, its in known)


def table(results: dict[str, list[Pair]]) -> Iterator[str]:
    yield "| function | " + " | ".join(f"{m} / {COUNTERPARTS[m]}" for m in results) + " |"
    yield "|---|" + "---:|" * len(results)
    for i, f in enumerate(FUNCTIONS):
        yield f"| {f.name} | " + " | ".join(cell(f, pairs[i]) for pairs in results.values()) + " |"
    yield "| **median of the ratios** | " + " | ".join(f"**{ratio(p):.2f}**" for p in results.values()) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.relative_to(ROOT)}")
    parser.add_argument("--only", default=",".join(COUNTERPARTS), help="methods, separated by commas")
    args = parser.parse_args()
    results = {method: [compare(method, f) for f in FUNCTIONS] for method in args.only.split(",")}
    text = "\n".join(table(results)) + "\n"
    print(text)
    if args.write:
        _pages.write_table(PAGE, text)


if __name__ == "__main__":
    main()
