"""The guides, most for those who come from elsewhere: code runs and prints what they say; names exist."""

from __future__ import annotations

import re
from functools import reduce
from pathlib import Path

import pytest

import nnx
import nnx.plotting

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(
    [
        *DOCS.glob("coming_from_*.md"),
        *(DOCS / f"{name}.md" for name in ("applications", "choose", "keras_files")),
    ]
)
CODE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PRINTED = re.compile(r"^\s*print\(.*\)  # (.+)$", re.MULTILINE)
#: what a page imports that is not there on every Python
NEEDED = {"coming_from_pytorch": ("torch",), "keras_files": ("h5py",)}
NAME = re.compile(r"\bnnx((?:\.[A-Za-z_]\w*)+)")


def test_the_guides_are_there():
    expected = {f"coming_from_{name}" for name in ("keras", "matlab", "pytorch", "scipy", "autograd")}
    assert expected | {"applications", "choose", "keras_files"} == {page.stem for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_runs_and_prints_what_the_comments_say(page, tmp_path, monkeypatch, capsys):
    for library in NEEDED.get(page.stem, ()):
        pytest.importorskip(library)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": page.stem}
    blocks = CODE.findall(page.read_text(encoding="utf-8"))
    assert blocks
    for block in blocks:
        exec(compile(block, page.name, "exec"), names)
        assert capsys.readouterr().out.splitlines() == PRINTED.findall(block)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_name_of_nnx_that_a_page_writes_exists(page):
    names = set(NAME.findall(page.read_text(encoding="utf-8")))
    assert names
    assert [name for name in sorted(names) if not _exists(name)] == []


def _exists(name: str) -> bool:
    try:
        reduce(getattr, name.strip(".").split("."), nnx)
    except AttributeError:
        return False
    return True
