"""Where the site is made."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HERE = ROOT / "docs_build"
#: pages written by hand
DOCS = ROOT / "docs"
#: pages that run
NOTEBOOKS = ("tutorials", "derivations")
PACKAGE = ROOT / "nnx"
BUILD = ROOT / "build"
#: what MkDocs reads: the pages of docs/, and those that are made
STAGE = BUILD / "docs"
#: what a build can take from the one before
CACHE = BUILD / "docs-cache"
#: the result
SITE = ROOT / "site"


class BuildError(Exception):
    """What a writer of pages must mend; the message says where."""


def write(path: Path, content: str | bytes) -> None:
    """Writes a file unless it holds that already, so that nothing is made anew for it."""
    data = content.encode("utf-8") if isinstance(content, str) else content
    if not path.is_file() or path.read_bytes() != data:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
