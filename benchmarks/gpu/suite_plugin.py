"""A plugin of pytest that writes down each result as soon as it is known: one line of JSON for each test."""

from __future__ import annotations

import json
import os
from typing import Any

_FIRST, _LAST = 500, 1000


_is_worker = False


def pytest_configure(config: Any) -> None:
    """Of a test process that xdist started nothing is written: the one that started it hears of it."""
    global _is_worker
    _is_worker = hasattr(config, "workerinput")


def pytest_runtest_logreport(report: Any) -> None:
    """A test that passed or was skipped, or the part of one that failed."""
    if report.when == "call" or report.outcome != "passed":
        _write(report)


def pytest_collectreport(report: Any) -> None:
    """A file that could not be collected."""
    if report.outcome == "failed":
        _write(report)


def _write(report: Any) -> None:
    if _is_worker:
        return
    text = report.longreprtext if report.outcome == "failed" else ""
    crash = getattr(getattr(report.longrepr, "reprcrash", None), "message", "") if text else ""
    says = (crash or text or " ").strip().splitlines()
    row = {
        "test": report.nodeid,
        "outcome": report.outcome,
        "seconds": getattr(report, "duration", 0.0),
        "says": (says[0] if crash else says[-1])[:200] if says else "",
        "text": text if len(text) < _FIRST + _LAST else f"{text[:_FIRST]}\n[...]\n{text[-_LAST:]}",
    }
    with open(os.environ["NNX_SUITE_RESULTS"], "a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
