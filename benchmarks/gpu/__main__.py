"""Everything that only a GPU can tell, in one report and at most eight minutes: ``python benchmarks/gpu``.

The sections, in order of worth: CuPy's adapter, what nnx relies on in CuPy, the updates of the weights,
trainings beside the same on NumPy, speed beside PyTorch, what waits for the device, recorded programs, the
kernels compiled for other GPUs, functions and derivatives, the test suite. Needs an NVIDIA GPU, CuPy and
NumPy; nothing is installed and no network is used. array-api-compat and array-api-strict may lie as wheels
in a folder (``--wheels``, or NNX_WHEELS in the environment).

The report (``--report``, default out/gpu.md) is written as it grows. Exit status: 0 if all went well, 1 if
something failed, 2 (and one sentence) where there is no GPU, no CuPy, or nnx cannot be imported.

``--backend numpy`` or ``array_api_strict:device1`` is a rehearsal without a GPU: timings mean nothing.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
#: Seconds in which CuPy must have been loaded from a cold disk and have compiled its first kernel.
_FIRST_START = 180.0


class Plan(NamedTuple):
    """A section: its title, its part of the time, and for how long it may say nothing (None: for all)."""

    title: str
    share: float
    silence: float | None = 60.0


WHEELS = "Install it, or put its wheel into a folder that --wheels or NNX_WHEELS names."

# In order of worth. Time that one does not use goes to those after it.
SECTIONS = {
    "adapter": Plan("Adapter and random numbers", 1.0),
    "contract": Plan("What nnx relies on in CuPy", 0.5),
    "updates": Plan("Updates of the weights", 1.0),
    "trainings": Plan("Trainings beside NumPy", 1.5),
    "speed": Plan("Speed beside PyTorch", 1.5, 120.0),
    "syncs": Plan("Waits for the device", 0.5),
    "jit": Plan("Recorded programs", 0.5),
    "kernels": Plan("Kernels compiled", 0.5, None),
    "formulas": Plan("Functions and derivatives", 1.0),
    "suite": Plan("Test suite", 2.0, None),
}


def main() -> int:
    """The whole run, or (for itself) one section of it."""
    args = options()
    wheels = sorted(str(wheel) for wheel in Path(args.wheels).glob("*.whl")) if args.wheels else []
    if args.wheels and not wheels:
        print(f"There are no wheels in {args.wheels!r}, which --wheels or NNX_WHEELS names.", file=sys.stderr)
        return 2
    sys.path[1:1] = [str(ROOT), str(ROOT / "benchmarks"), *wheels]
    if args.section:
        return one_section(args)
    paths = [str(ROOT), *wheels, os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    os.environ.pop("NNX_BACKEND", None)  # a user's own choice must not decide what is measured
    return all_sections(args)


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=8.0, help="for everything (default: 8)")
    parser.add_argument("--report", type=Path, default=ROOT / "out" / "gpu.md", help="default: out/gpu.md")
    parser.add_argument("--only", default="", help=f"sections, separated by commas: {', '.join(SECTIONS)}")
    parser.add_argument(
        "--wheels", default=os.environ.get("NNX_WHEELS", ""), help="a folder with wheels to use"
    )
    parser.add_argument("--backend", default="cupy", help="any other than cupy: a rehearsal without a GPU")
    for name in ("section", "after", "seconds"):  # how a run calls itself
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.only = [name for name in args.only.split(",") if name] or list(SECTIONS)
    if unknown := set(args.only) - set(SECTIONS):
        parser.error(f"there is no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    return args


def all_sections(args: argparse.Namespace) -> int:
    """Runs the sections one after another; gives the exit status."""
    from process import Child, run_section
    from report import Report

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that a section's process ends with this one
    limit = 60.0 * args.minutes
    until = time.perf_counter() + limit
    report = Report(args.report, {name: SECTIONS[name].title for name in args.only}, limit)
    given = [f"--backend={args.backend}", f"--wheels={args.wheels}"]
    probe = Child(["--section=machine", *given], until, _FIRST_START)
    for event in probe.events():
        report.take("machine", event)
    if not report.facts:
        print(probe.last_line() or f"Nothing could be found out: {probe.why()}.", file=sys.stderr)
        return 2
    report.write()
    names = list(report.sections)
    for k, name in enumerate(names):
        section, plan = report.sections[name], SECTIONS[name]
        began = time.perf_counter()
        shares = [SECTIONS[other].share for other in names[k:]]
        seconds = (until - began) * plan.share / sum(shares)
        section.state = "running"
        print(f"{section.title} (up to {seconds:.0f} s) ...", flush=True)
        take = partial(report.take, name)
        section.state = run_section(name, given, seconds, plan.silence or seconds, take)
        section.seconds = time.perf_counter() - began
        print(f"    {section.count('passed')} passed, {section.count('failed')} failed: {section.state}")
    report.ended = True
    report.write()
    print(f"{report.verdict()}\nThe report: {report.path}")
    return 0 if report.passed and not report.failed else 1


def one_section(args: argparse.Namespace) -> int:
    """In a section's process: its checks; or, as "machine", what the report says first."""
    from checks import run_all, tell
    from machine import Machine

    machine = Machine(args.backend)
    if importlib.util.find_spec("array_api_compat") is None:
        return refuse(f"nnx needs array-api-compat, which is not installed. {WHEELS}")
    try:
        from nnx.errors import NnxError

        try:
            machine.backend  # noqa: B018 (made when it is asked for)
            machine.synchronize()
        except NnxError as error:
            return refuse(str(error))
    except ModuleNotFoundError as error:
        return refuse(f"nnx cannot be imported: {error}. {WHEELS}")
    if args.section == "machine":
        for name, value in machine.facts():
            tell(fact=name, value=value)
        return 0
    section = importlib.import_module(args.section)
    return run_all(section.checks(machine), machine, args.after, float(args.seconds))


def refuse(why: str) -> int:
    """Says in one sentence why nothing can be found out here."""
    print(" ".join(why.split()), file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
