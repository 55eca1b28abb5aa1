"""Whether ``success`` can be believed: runs from random starts in random units, judged independently.

``tests/optimizers/random_starts.py`` says what is drawn, ``stationarity.py`` there how the end of a run is
judged. Silently wrong: success at a point that is no minimum. False failure: no success at a minimum. Flat: a
point that no method leaves although the linear model promises a fall; neither. ``--processes`` share the work;
``--numbers 5,17`` runs these alone and shows all of them.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")  # the work is shared by processes

from optimizers.random_starts import SOURCES, Judged, judged  # noqa: E402


def runs(numbers: Iterable[int], processes: int, seed: int) -> list[Judged]:
    one = partial(judged, seed=seed)
    if processes == 1:
        return list(map(one, numbers))
    with ProcessPoolExecutor(processes) as pool:
        return list(pool.map(one, numbers, chunksize=8))


def line(run: Judged) -> str:
    about = (
        f"gain {run.verdict.gain:.1e}, decrement {run.verdict.decrement:.1e}" if run.verdict else "refused"
    )
    return (
        f"  {run.number:>5} {run.problem}, {run.method}{', other units' if run.units else ''}: {about}; "
        f"{run.evaluations} evaluations; {run.message[:140]}"
    )


def report(found: list[Judged]) -> Iterator[str]:
    yield (
        f"{'method':<16}{'runs':>6}{'success':>9}{'wrong':>7}{'flat':>6}{'failures':>10}{'at minima':>11}"
        f"{'false, % of minima':>20}{'refused':>9}"
    )
    for method in ("all", *sorted({run.method for run in found})):
        mine = [run for run in found if method in ("all", run.method)]
        minima = sum(run.verdict is not None and run.verdict.minimum for run in mine)
        false = sum(run.false_failure for run in mine)
        flat = sum(run.success and run.verdict.kind == "flat" for run in mine if run.verdict)
        yield (
            f"{method:<16}{len(mine):>6}{sum(r.success for r in mine):>9}"
            f"{sum(r.silently_wrong for r in mine):>7}{flat:>6}{sum(not r.success for r in mine):>10}"
            f"{minima:>11}{100.0 * false / max(minima, 1):>20.2f}{sum(r.verdict is None for r in mine):>9}"
        )
    for title, chosen in (
        ("silently wrong", [r for r in found if r.silently_wrong]),
        ("false failures", [r for r in found if r.false_failure]),
    ):
        yield f"{title}: {len(chosen)}"
        yield from (f"  {n:>4} {name}" for name, n in Counter(r.problem for r in chosen).most_common(12))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--numbers", default="", help="these runs alone, separated by commas")
    parser.add_argument("--show", type=int, default=20, help="how many of each kind of fault are listed")
    args = parser.parse_args()
    numbers = [int(n) for n in args.numbers.split(",") if n]
    found = runs(numbers or range(args.runs), args.processes, args.seed)
    print(f"{len(found)} runs of {len(SOURCES)} problems, seed {args.seed}")
    print("\n".join(report(found)))
    for title, faults in (
        ("silently wrong", [r for r in found if r.silently_wrong]),
        ("flat, and a success", [r for r in found if r.success and r.verdict and r.verdict.kind == "flat"]),
        ("false failures", [r for r in found if r.false_failure]),
        ("asked for", found if numbers else []),
    ):
        if faults:
            print(f"{title}:", *map(line, faults[: args.show]), sep="\n")


if __name__ == "__main__":
    main()
