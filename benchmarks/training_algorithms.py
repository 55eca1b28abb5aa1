"""Every training algorithm on two small networks: how often, and how soon, it reaches a goal.

SIN (a sine by 1-5-1 to a mean squared error of 0.002) and PARITY (of three bits, 3-10-10-1, to 0.001), from
the same 30 starts for every method, by ``fit``. Each method has a process of its own; they take turns, and a
run's time is the median over the turns. ``--write`` puts the table into docs/training_algorithms.md and
draws docs/img/training_algorithms.png; ``--picture PATH`` draws it elsewhere.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import _pages
import _turns

from nnx.optimizers import Deterministic, registry

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests"))

from optimizers.network_problems import Outcome, parity, sin, train  # noqa: E402

PAGE, PICTURE = ROOT / "docs" / "training_algorithms.md", ROOT / "docs" / "img" / "training_algorithms.png"
PROBLEMS = {"SIN": sin, "PARITY": parity}
SEEDS = 30
#: limits of a run; the second is there for machines that are busy
EPOCHS, SECONDS = 10_000, 20.0

#: Of 0.003, 0.01, 0.03, 0.1, 0.3, 1 and 3 the learning rates that reached the goals from most of the first
#: six starts, and then soonest. What is not listed has its defaults.
OPTIONS: dict[str, dict[str, Any]] = {
    "adam": {"learning_rate": 0.1},
    "amsgrad": {"learning_rate": 0.1},
    "adam_w": {"learning_rate": 0.3},
    "adamax": {"learning_rate": 0.1},
    "nadam": {"learning_rate": 0.1},
    "adagrad": {"learning_rate": 0.3},
    "adadelta": {"learning_rate": 1.0},
    "rmsprop": {"learning_rate": 0.01},
    "sgd": {"learning_rate": 0.3},
}
#: beside what the registry holds: the same classes otherwise
VARIANTS = {
    "sgd with momentum": ("sgd", {"learning_rate": 0.1, "momentum": 0.9}),
    "sgd with Nesterov's momentum": ("sgd", {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}),
    "levenberg_marquardt with geodesic steps": ("levenberg_marquardt", {"geodesic": True}),
    "levenberg_marquardt with MATLAB's μ": ("levenberg_marquardt", {"damping": "matlab"}),
}
#: what methods learn from
FAMILIES = (
    "gradients, step by a rule",
    "gradients, step by comparing costs",
    "the Hessian or products with it",
    "the Jacobian of the residuals",
)
METHODS = {entry.name: (entry.name, OPTIONS.get(entry.name, {})) for entry in registry} | VARIANTS


def run(name: str) -> dict[str, list[Outcome]]:
    """The outcomes of one method from all starts."""
    entry, options = METHODS[name]
    optimizer = registry.entry(entry).create(**options)
    for problem in PROBLEMS.values():
        train(problem, optimizer, epochs=3)  # what is imported and compiled at the first use
    return {
        title: [train(problem, optimizer, seed, EPOCHS, SECONDS) for seed in range(SEEDS)]
        for title, problem in PROBLEMS.items()
    }


class Line(NamedTuple):
    """What became of one method on one problem; numbers are those of the runs that reached the goal."""

    rate: float
    iterations: float
    evaluations: float
    seconds: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds) if self.seconds else float("inf")

    @property
    def quartiles(self) -> tuple[float, float]:
        if len(self.seconds) < 2:
            return self.median, self.median
        first, _, third = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return first, third


def summary(turns: list[list[Outcome]]) -> Line:
    """The turns of one method on one problem, taken together start by start."""
    starts = [[Outcome(*outcome) for outcome in start] for start in zip(*turns, strict=True)]
    reached = [start for start in starts if all(outcome.reached for outcome in start)]
    middle = statistics.median
    return Line(
        len(reached) / len(starts),
        middle(start[0].iterations for start in reached) if reached else 0.0,
        middle(start[0].evaluations for start in reached) if reached else 0.0,
        [middle(outcome.seconds for outcome in start) for start in reached],
    )


def family(name: str) -> int:
    """Which of the FAMILIES a method belongs to."""
    entry = registry.entry(METHODS[name][0])
    if not issubclass(entry.target, Deterministic):
        return 0
    if entry.traits.least_squares:
        return 3
    return 2 if entry.target.needs else 1


def title(name: str) -> str:
    """The method and the learning rate that was chosen for it."""
    rate = METHODS[name][1].get("learning_rate")
    return f"{name}, rate {rate:g}" if rate else name


def table(lines: dict[str, dict[str, Line]]) -> Iterator[str]:
    """A table for each problem, the quickest method first."""
    for problem in PROBLEMS:
        order = by_time(lines, problem)
        best = lines[order[0]][problem].median
        yield f"| {problem}: method | reached | iterations | evaluations | time in ms (quartiles) | ratio |"
        yield "|---|---:|---:|---:|---:|---:|"
        for name in order:
            line = lines[name][problem]
            if not line.seconds:
                yield f"| {title(name)} | 0% | | | | |"
                continue
            times = "{:.1f} ({:.1f}–{:.1f})".format(*(1e3 * t for t in (line.median, *line.quartiles)))
            numbers = f"{line.iterations:g} | {line.evaluations:g} | {times} | {line.median / best:.1f}"
            yield f"| {title(name)} | {line.rate:.0%} | {numbers} |"
        yield ""


def by_time(lines: dict[str, dict[str, Line]], problem: str) -> list[str]:
    return sorted(lines, key=lambda name: lines[name][problem].median)


def draw(lines: dict[str, dict[str, Line]], path: Path) -> None:
    """Times as medians with quartiles and extremes; the share of the starts that reached the goal beside."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.0, 1.5 + 0.24 * len(lines)), layout="constrained")
    for panel, problem in zip(figure.subplots(1, len(PROBLEMS)), PROBLEMS, strict=True):
        order = by_time(lines, problem)[::-1]
        for y, name in enumerate(order):
            line, colour = lines[name][problem], f"C{family(name)}"
            if line.seconds:
                panel.hlines(y, min(line.seconds), max(line.seconds), colour, linewidth=1.0)
                panel.hlines(y, *line.quartiles, colour, linewidth=6.0, alpha=0.6)
                panel.plot(line.median, y, "o", color=colour, markersize=5.0)
            end = panel.get_yaxis_transform()
            panel.text(1.01, y, f"{line.rate:.0%}", transform=end, va="center", fontsize=8)
        panel.text(1.0, 1.01, "reached", transform=panel.transAxes, fontsize=8)
        panel.set(xscale="log", xlabel="seconds to the goal", title=problem, ylim=(-0.7, len(order) - 0.3))
        panel.set_yticks(range(len(order)), map(title, order), fontsize=8)
        panel.grid(axis="x", alpha=0.3)
    handles = [figure.axes[0].plot([], [], "o", color=f"C{i}")[0] for i in range(len(FAMILIES))]
    figure.legend(handles, FAMILIES, loc="outside lower center", ncols=len(FAMILIES), frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="renew the page and the picture in docs/")
    parser.add_argument("--picture", type=Path, help="draw the picture there")
    contenders: dict[str, Callable[[], Any]] = {name: partial(run, name) for name in METHODS}
    turns, missing = _turns.in_turns(__file__, contenders, __doc__ or "", turns=3, parser=parser)
    args = parser.parse_args()
    lines = {
        name: {problem: summary([turn[problem] for turn in done]) for problem in PROBLEMS}
        for name, done in turns.items()
        if done
    }
    text = "\n".join(table(lines))
    print(text)
    for name in missing:
        print(_turns.not_run(name, missing))
    if args.write:
        _pages.write_table(PAGE, text)
    if picture := args.picture or (PICTURE if args.write else None):
        draw(lines, picture)


if __name__ == "__main__":
    main()
