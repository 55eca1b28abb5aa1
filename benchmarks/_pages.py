"""Puts tables into the pages of docs/, between two comments that mark their place."""

from __future__ import annotations

from pathlib import Path

BEGIN, END = "<!-- table -->\n", "<!-- end of the table -->\n"


def write_table(page: Path, text: str) -> None:
    """Replaces what stands between the two marks of ``page`` by ``text``."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{page} has no place for a table: the lines {BEGIN!r} and {END!r} are missing.")
    page.write_text(f"{before}{BEGIN}\n{text.strip()}\n\n{END}{after}", encoding="utf-8")
