"""Runs contenders in turns, each in a process of its own, and prints medians and ratios.

A benchmark script defines functions that return the time of one step in seconds, and ends with
``_turns.main(__file__, contenders, unit, title)``. Called with a contender's name it measures that one and
prints its number; called without, it runs all of them in turns (``--turns``, default 5; ``--only a,b``).
In one process the spinning threads of one library slow down the next, and machines drift within minutes:
hence processes and turns. An OPENBLAS_CORETYPE of the environment is left out, and that is said: it would
hold NumPy, but no other library, to an older processor's instructions.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

UNITS = {"ms": 1e3, "µs": 1e6}


def median_time(step: Callable[[], object], repeat: int, warmup: int = 20) -> float:
    """The median time of ``step()`` in seconds."""
    for _ in range(warmup):
        step()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def epoch_clock(callback: type) -> Any:
    """A callback of the given class (nnx's or Keras') whose ``times`` are those of the epochs in seconds."""

    class EpochClock(callback):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.times: list[float] = []

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.times.append(time.perf_counter() - self.start)

    return EpochClock()


def main(script: str, contenders: Mapping[str, Callable[[], float]], unit: str, title: str) -> None:
    """Entry point of a benchmark script; the first contender is what the ratios are taken to."""
    results, missing = in_turns(script, contenders, title)
    print(blas())
    table(title, results, missing, unit)


def blas() -> str:
    """What multiplies NumPy's matrices in a contender's process."""
    show = "from nnx.backend.versions import blas; print(*blas(), sep='\\n')"
    lines = _process("-c", show).stdout.strip()
    chosen = os.environ.get("OPENBLAS_CORETYPE")
    return f"OPENBLAS_CORETYPE={chosen} of the environment was left out.\n{lines}" if chosen else lines


def _process(*arguments: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name != "OPENBLAS_CORETYPE"}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, env=env)


def table(
    title: str,
    results: Mapping[str, list[float]],
    missing: Mapping[str, str],
    unit: str,
    remark: Callable[[str], str] = lambda name: "",
) -> None:
    """Prints what the contenders took in each turn; ``remark(name)`` ends a contender's line."""
    base = next((r for r in results.values() if r), [])
    print(f"{title}\n{'contender':<28}{'median':>10}{'min':>10}{'max':>10}{'ratio':>9}")
    for name, times in results.items():
        if not times:
            print(not_run(name, missing))
            continue
        scaled = [t * UNITS[unit] for t in times]
        # turn by turn, so that the drift of the machine cancels
        ratio = statistics.median(t / b for t, b in zip(times, base, strict=False))
        middle, least, most = statistics.median(scaled), min(scaled), max(scaled)
        print(f"{name:<28}{middle:>8.3f} {unit}{least:>9.3f}{most:>10.3f}{ratio:>9.2f}{remark(name)}")


def in_turns(
    script: str,
    contenders: Mapping[str, Callable[[], Any]],
    title: str,
    turns: int = 5,
    parser: argparse.ArgumentParser | None = None,
) -> tuple[dict[str, list[Any]], dict[str, str]]:
    """What each contender returned in each turn, and why those without a result have none.

    In the process of a contender it prints that one's result and does not return. ``parser`` has the script's
    own options, and knows those of here afterwards.
    """
    parser = parser or argparse.ArgumentParser(description=title)
    parser.add_argument("contender", nargs="?", choices=list(contenders))
    parser.add_argument("--turns", type=int, default=turns)
    parser.add_argument("--only", default="", help="names, separated by commas")
    args = parser.parse_args()
    if args.contender:
        print(json.dumps(contenders[args.contender]()))
        raise SystemExit
    names = [n for n in contenders if not args.only or n in args.only.split(",")]
    results: dict[str, list[Any]] = {n: [] for n in names}
    missing: dict[str, str] = {}
    for _ in range(args.turns):
        for name in names:
            if name in missing:
                continue
            done = _process(script, name)
            if done.returncode:
                missing[name] = (done.stderr.strip().splitlines() or ["failed"])[-1]
                results[name].clear()
            else:
                results[name].append(json.loads(done.stdout.strip().splitlines()[-1]))
    return results, missing


def not_run(name: str, missing: Mapping[str, str]) -> str:
    """The line of a contender without a result."""
    return f"{name:<28}  not run: {missing.get(name, 'no turn')[:70]}"
