"""Section: the test suite with this backend, the folders of most worth first, as far as the time goes.

Only the tests that take the fixture ``backend`` run. What pytest tells is written down by suite_plugin.py as
it goes, so that nothing is lost when the time is up.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from checks import ROOT, Check, Found, Skip, tell
from machine import Machine

FOLDERS = (
    "tests/backend", "tests/layers", "tests/models", "tests/optimizers", "tests/functions", "tests/autodiff",
    "tests/callbacks", "tests/programs",
)  # fmt: skip
NEEDED = ("pytest", "hypothesis", "array_api_strict")
#: Failures of different kinds that are shown with their traceback.
SHOWN = 25
#: How long pytest may take to end after Ctrl-C, with time to spare for the report.
_FAREWELL = 8.0


def checks(machine: Machine) -> Iterator[Check]:
    """One check, which tells of each folder."""
    yield Check("pytest", run, twice=False)


def run(machine: Machine) -> Found:
    """Runs pytest until it ends or the section's time is up, and tells of each folder as it goes."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise Skip(f"the tests need {', '.join(missing)}, not installed here")
    seconds = float(next(a for a in sys.argv if a.startswith("--seconds=")).partition("=")[2])
    until = time.perf_counter() + seconds - _FAREWELL
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.jsonl"
        results.touch()
        with open(Path(folder) / "output.txt", "w+", encoding="utf-8", errors="replace") as output:
            process = subprocess.Popen(
                command(machine), cwd=ROOT, env=environment(results), stdout=output, stderr=subprocess.STDOUT
            )
            ended = watch(process, results, until)
            output.seek(0)
            last = output.read()[-2000:]
        seen = list(read(results))
    counts, kinds = Counter(state(r) for r in seen), by_kind(seen)
    rows = [(len(failed), kind, failed[0]["test"]) for kind, failed in kinds]
    table: list[tuple[Any, ...]] = [("tests", "what failed", "the first of them"), *rows] if rows else []
    if not counts["passed"]:
        raise AssertionError(f"no test passed; pytest said: {last}")
    how = "all of them" if ended else "until the time was up"
    return Found(f"{how}: {', '.join(f'{n} {what}' for what, n in counts.most_common())}", table)


def command(machine: Machine) -> list[str]:
    """What runs pytest on the folders, or on one file in a rehearsal."""
    chosen = [f"--backend={machine.name}", "-k", machine.name]
    arguments = ["-q", "-p", "suite_plugin", *chosen, "--tb=short", "--no-header"]
    if machine.rehearsal:
        return [sys.executable, "-m", "pytest", *arguments, "tests/backend/test_adapters.py"]
    if importlib.util.find_spec("xdist") is not None:
        arguments += ["--numprocesses=auto", "--maxprocesses=8"]
    return [sys.executable, "-m", "pytest", *arguments, "--continue-on-collection-errors", *FOLDERS]


def environment(results: Path) -> dict[str, str]:
    """That of this process, with the plugin on the path, and one thread for each test process."""
    path = os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    own = {"PYTHONPATH": path, "NNX_SUITE_RESULTS": str(results), "MPLBACKEND": "Agg"}
    return {**os.environ, **threads, **own}


def watch(process: subprocess.Popen[bytes], results: Path, until: float) -> bool:
    """Tells of what is there every few seconds; gives whether pytest ended by itself."""
    ended, told = True, 0.0
    while process.poll() is None:
        now = time.perf_counter()
        if now > until:
            ended = False
            process.send_signal(signal.SIGINT)
            try:
                process.wait(_FAREWELL / 2)
            except subprocess.TimeoutExpired:
                process.kill()
            break
        if now - told > 5.0:
            tell_folders(results)
            told = now
        time.sleep(0.2)
    process.wait()
    tell_folders(results)
    return ended


def read(results: Path) -> Iterator[dict[str, Any]]:
    """The results so far; the last line may be half written."""
    for line in results.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            return


def state(result: dict[str, Any]) -> str:
    """``passed``, ``failed``, ``skipped``, or ``not run`` where a package for the test is missing."""
    missing = result["outcome"] == "failed" and re.search(r"ModuleNotFoundError: No module", result["text"])
    return "not run" if missing else result["outcome"]


def by_kind(seen: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The failures by their last line without its numbers, the most frequent first."""
    kinds = defaultdict(list)
    for result in seen:
        if state(result) == "failed":
            kinds[re.sub(r"\d[\d.e+-]*", "#", result["says"])].append(result)
    return sorted(kinds.items(), key=lambda kind: -len(kind[1]))


def tell_folders(results: Path) -> None:
    """A check for each folder with its counts; its failures in short, one of each kind."""
    folders = defaultdict(list)
    for result in read(results):
        folders["/".join(result["test"].split("::")[0].split("/")[:2])].append(result)
    for folder, seen in folders.items():
        counts = Counter(map(state, seen))
        trace = "\n\n".join(
            f"{len(failed)} × {kind}\n{failed[0]['test']}\n{failed[0]['text']}"
            for kind, failed in by_kind(seen)[:SHOWN]
        )
        says = ", ".join(f"{n} {what}" for what, n in counts.most_common())
        known = {what: counts[what] for what in ("passed", "failed", "not run")}
        tell(
            check=folder, state=next((s for s in ("failed", "passed") if counts[s]), "not run"),
            says=says, trace=trace, counts=known, seconds=sum(r["seconds"] for r in seen),
        )  # fmt: skip
