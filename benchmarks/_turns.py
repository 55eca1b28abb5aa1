"""Runs contenders in turns, each in a process of its own, and prints medians and ratios.

A benchmark script defines functions that return the time of one step in seconds, and ends with
``turns.main(__file__, contenders, unit)``. Called with a contender's name it measures that one and prints
its number; called without, it runs all of them in turns (``--turns``, default 5; ``--only a,b``).
In one process the spinning threads of one library slow down the next, and machines drift within minutes: hence
processes and turns.
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


def main(script: str, contenders: Mapping[str, Callable[[], float]], unit: str, title: str) -> None:
    """Entry point of a benchmark script; the first contender is what the ratios are taken to."""
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("contender", nargs="?", choices=list(contenders))
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--only", default="", help="names, separated by commas")
    args = parser.parse_args()
    if args.contender:
        print(json.dumps(contenders[args.contender]()))
        return
    names = [n for n in contenders if not args.only or n in args.only.split(",")]
    results: dict[str, list[float]] = {n: [] for n in names}
    missing = {}
    for _ in range(args.turns):
        for name in names:
            if name in missing:
                continue
            done = subprocess.run(
                [sys.executable, script, name], capture_output=True, text=True, check=False, env=os.environ
            )
            if done.returncode:
                missing[name] = (done.stderr.strip().splitlines() or ["failed"])[-1]
                continue
            results[name].append(float(json.loads(done.stdout.strip().splitlines()[-1])))
    _table(title, results, missing, unit)


def _table(title: str, results: Mapping[str, list[float]], missing: Mapping[str, str], unit: str) -> None:
    base = next((r for r in results.values() if r), [])
    print(f"{title}\n{'contender':<28}{'median':>10}{'min':>10}{'max':>10}{'ratio':>9}")
    for name, times in results.items():
        if name in missing or not times:
            print(f"{name:<28}  not run: {missing.get(name, 'no result')[:70]}")
            continue
        scaled = [t * UNITS[unit] for t in times]
        # turn by turn, so that the drift of the machine cancels
        ratio = statistics.median(t / b for t, b in zip(times, base, strict=False))
        print(
            f"{name:<28}{statistics.median(scaled):>8.3f} {unit}{min(scaled):>9.3f}{max(scaled):>10.3f}{ratio:>9.2f}"
        )
