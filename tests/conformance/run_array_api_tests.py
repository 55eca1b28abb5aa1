"""The array API standard's own test suite on the differentiable namespace, compared with its base libraries.

``python tests/conformance/run_array_api_tests.py SUITE [--max-examples N]`` runs the suite, a checkout of
data-apis/array-api-tests, on each library's own namespace, on the differentiable one over it, whose creators
give constants, and on the same with everything being differentiated (``recording.py``). It prints how many
tests pass, and fails if a differentiable namespace fails one that its base passes. The examples are the same
in every run. ``nox -s array_api_tests`` does all that in an environment of its own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

HERE = Path(__file__).parent
VERSION = "2025.12"  # of the standard: the newest that the suite of nox knows
LIBRARIES = ("numpy", "array_api_strict")
#: What makes the namespaces under test. All import the same modules, whose constants Hypothesis draws from.
KINDS = {
    "base": 'xp = recording.base("{}")',
    "constants": 'xp = recording.space("{}")',
    "reverse": 'xp = recording.differentiated("{}")',
}
#: What the suite calls and nnx refuses to differentiate, on purpose: recorded, these say so.
REFUSAL = "DerivativeError: xp."


class Outcome(NamedTuple):
    """One run of the suite: test → its failure, or None if it passed."""

    tests: dict[str, str | None]
    seconds: float

    def __str__(self) -> str:
        failed = sum(text is not None for text in self.tests.values())
        return f"{len(self.tests) - failed:5} passed {failed:4} failed in {self.seconds:4.0f} s"


def run(suite: Path, library: str, kind: str, max_examples: int) -> Outcome:
    """Runs the suite in a process of its own."""
    environment = os.environ | {
        "ARRAY_API_TESTS_MODULE": f"exec('import recording; {KINDS[kind].format(library)}')",
        "ARRAY_API_TESTS_VERSION": VERSION,
        "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]),
        "PYTHONDONTWRITEBYTECODE": "1",  # the checkout may be read-only
        "PYTHONHASHSEED": "0",  # the order of sets, from which examples are drawn
    }
    options = ["--hypothesis-derandomize", "--disable-deadline", f"--max-examples={max_examples}", "-q"]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        where = [f"--rootdir={suite}", "-c", suite / "pytest.ini", "-p", "no:cacheprovider"]
        command = [sys.executable, "-m", "pytest", *where, *options, f"--junitxml={report}"]
        begin = time.perf_counter()
        done = subprocess.run(
            [*command, suite / "array_api_tests"],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        if done.returncode not in (0, 1):
            raise SystemExit(f"The suite did not run on {library} ({kind}):\n{done.stdout}\n{done.stderr}")
        return Outcome(read(report), time.perf_counter() - begin)


def read(report: Path) -> dict[str, str | None]:
    """The tests of a JUnit report that were not skipped, each with the text of its failure."""
    tests = {}
    for case in ElementTree.parse(report).iter("testcase"):
        if case.find("skipped") is None:
            texts = [part.text or "" for name in ("failure", "error") for part in case.findall(name)]
            tests[f"{case.get('classname')}::{case.get('name')}"] = "\n".join(texts) if texts else None
    return tests


def compare(library: str, outcomes: dict[str, Outcome]) -> bool:
    """Prints the outcomes of one library; whether no kind fails a test that the base passes."""
    base = outcomes["base"].tests
    good = True
    print(f"\n{library}")
    for kind, outcome in outcomes.items():
        print(f"  {kind:10} {outcome}")
        missing = base.keys() - outcome.tests.keys()
        worse = {t: text for t, text in outcome.tests.items() if text is not None and base.get(t) is None}
        for test, text in worse.items():
            refused = kind != "constants" and REFUSAL in text
            good = good and refused
            print(f"    {'refused' if refused else 'FAILED '} {test}")
            if not refused:
                print(
                    "\n".join(
                        "      " + line for line in text.splitlines() if line.lstrip("| ").startswith("E ")
                    )
                )
        if missing:
            good = False
            print(f"    NOT RUN  {', '.join(sorted(missing))}")
    print("  the base fails:", *[f"\n    {t}" for t, text in base.items() if text is not None])
    return good


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suite", type=Path, help="a checkout of data-apis/array-api-tests with its submodule")
    parser.add_argument("--max-examples", type=int, default=3, help="Hypothesis examples for each test (3)")
    parser.add_argument(
        "--library", dest="chosen", choices=LIBRARIES, action="append", help="one of these only"
    )
    parser.add_argument("--kind", choices=list(KINDS)[1:], action="append", help="one of these only")
    options = parser.parse_args()
    suite = options.suite.resolve()
    libraries = options.chosen or LIBRARIES
    kinds = ["base", *(options.kind or list(KINDS)[1:])]
    jobs = [(suite, library, kind, options.max_examples) for library in libraries for kind in kinds]
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        results = list(pool.map(lambda job: run(*job), jobs))
    outcomes = {(job[1], job[2]): result for job, result in zip(jobs, results, strict=True)}
    good = [compare(library, {kind: outcomes[library, kind] for kind in kinds}) for library in libraries]
    raise SystemExit(0 if all(good) else "The differentiable namespace fails tests that its base passes.")


if __name__ == "__main__":
    main()
