"""The report: one Markdown file, written anew after each event, so that a killed run leaves what it found."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Section:
    """What is known of one section: its checks by name, in the order in which they were begun."""

    title: str
    checks: dict[str, dict[str, Any]] = field(default_factory=dict)
    state: str = "not begun"
    seconds: float = 0.0

    def count(self, state: str) -> int:
        """How many checks are in that state; a check that counts tests says how many it has of each."""
        return sum(c.get("counts", {}).get(state, c["state"] == state) for c in self.checks.values())

    def total(self, what: str) -> float:
        """The sum over the checks of their ``seconds`` or ``warmup``."""
        return sum(c.get(what) or 0.0 for c in self.checks.values())

    def failures(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The failed checks, with their names."""
        return ((name, c) for name, c in self.checks.items() if c["state"] == "failed")


class Report:
    """Takes events in and keeps the file up to date."""

    def __init__(self, path: Path, titles: dict[str, str], limit: float) -> None:
        self.path, self.limit = path, limit
        self.began, self.date = time.perf_counter(), time.strftime("%Y-%m-%d %H:%M:%S %Z")
        self.facts: dict[str, str] = {}
        self.sections = {name: Section(title) for name, title in titles.items()}
        self.ended = False

    def take(self, section: str, event: dict[str, Any]) -> None:
        """One event of a section's process; of two about the same check the later one counts."""
        if "fact" in event:
            self.facts[event["fact"]] = event["value"]
        elif "check" in event:
            self.sections[section].checks[event["check"]] = event
        elif "begin" in event:
            self.sections[section].checks[event["begin"]] = {"state": "begun", "says": "was being made"}
        else:
            return
        self.write()

    @property
    def failed(self) -> int:
        """How many checks and tests failed."""
        return sum(s.count("failed") for s in self.sections.values())

    @property
    def passed(self) -> int:
        """How many passed."""
        return sum(s.count("passed") for s in self.sections.values())

    def verdict(self) -> str:
        """The whole run in one sentence."""
        counts = f"{self.passed} passed, {self.failed} failed"
        open_ends = [s.title for s in self.sections.values() if s.state != "done"]
        left = f"; not finished: {', '.join(open_ends)}" if open_ends else ""
        took = f"{time.perf_counter() - self.began:.0f} s of {self.limit:.0f} s"
        return f"{'Finished' if self.ended else 'Still running, or killed'} after {took}: {counts}{left}."

    def write(self) -> None:
        """Replaces the file in one step: a reader never sees half of one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_name(self.path.name + ".part")
        new.write_text("\n".join(self._lines()) + "\n", encoding="utf-8")
        os.replace(new, self.path)

    def _lines(self) -> Iterator[str]:
        yield from ("# nnx on a GPU", "", f"{self.date}. **{self.verdict()}**", "")
        yield from table(("", ""), self.facts.items())
        rows = (
            (
                s.title, s.state, s.count("passed"), s.count("failed"), s.count("not run"),
                f"{s.seconds:.1f}", f"{s.total('warmup'):.1f}",
            )
            for s in self.sections.values()
        )  # fmt: skip
        head = ("section", "state", "passed", "failed", "not run", "seconds", "of these warm-up")
        yield from table(head, rows)
        yield from (
            "Warm-up is what the first run of a check took longer than the second: CuPy compiles then.",
            "",
        )
        if self.failed:
            yield from ("## What failed", "")
        for section in self.sections.values():
            for name, check in section.failures():
                yield from (f"### {section.title}: {name}", "", plain(check["says"]), "")
                if check.get("trace"):
                    yield from ("```text", check["trace"].rstrip().replace("```", "'''"), "```", "")
        for section in self.sections.values():
            yield from self._section(section)

    def _section(self, section: Section) -> Iterator[str]:
        if not section.checks:
            return
        yield from (f"## {section.title}", "")
        rows = (
            (name, c["state"], c["says"], f"{c.get('seconds') or 0:.2f}", f"{c.get('warmup') or 0:.2f}")
            for name, c in section.checks.items()
        )
        yield from table(("check", "state", "what it found", "s", "warm-up"), rows)
        for name, check in section.checks.items():
            if check.get("table"):
                head, *rest = check["table"]
                yield from (f"**{name}**", "", *table(head, rest))


def table(head: Any, rows: Any) -> Iterator[str]:
    """A table in Markdown, with an empty line after it."""
    for k, row in enumerate((head, ["---"] * len(head), *rows)):
        cells = row if k == 1 else map(plain, row)
        yield f"| {' | '.join(cells)} |"
    yield ""


def plain(cell: Any) -> str:
    """A text on one line that no table is broken by."""
    return " ".join(str(cell).split()).replace("|", "\\|")
