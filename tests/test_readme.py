"""What the README and the pages of docs/ show, works: code runs and prints what it says, links exist."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import nnx

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted((ROOT / "docs").glob("*.md"))
#: the code of these is run by tests/docs/test_guide_examples.py
GUIDES = sorted([*(ROOT / "docs").glob("coming_from_*.md"), ROOT / "docs" / "choose.md"])
CODE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PRINTED = re.compile(r"^\s*print\(.*\)  # (.+)$", re.MULTILINE)
SCRIPT = re.compile(r"python ((?:tutorials|benchmarks)/\w+\.py)")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")

ROOMS = {
    "layers": nnx.layers,
    "activations": nnx.activations,
    "losses": nnx.losses,
    "metrics": nnx.metrics,
    "initializers": nnx.initializers,
    "regularizers": nnx.regularizers,
    "constraints": nnx.constraints,
    "optimizers": nnx.optimizers,
    "methods on all data": nnx.optimizers,
    "searches": nnx.optimizers.searches,
    "schedules": nnx.optimizers.schedules,
    "callbacks": nnx.callbacks,
    "data sets": nnx.datasets,
}


def test_the_code_runs_and_prints_what_the_comments_say(tmp_path, monkeypatch, capsys, kept_activations):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "readme"}
    blocks = CODE.findall(README)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
        assert capsys.readouterr().out.splitlines() == PRINTED.findall(block)


@pytest.mark.parametrize("page", [p for p in PAGES if p not in GUIDES], ids=lambda page: page.stem)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": page.stem, "nnx": nnx, "np": np}
    for block in CODE.findall(page.read_text(encoding="utf-8")):
        exec(compile(block, page.name, "exec"), names)


def is_there(file, folder):
    """Whether the file exists, or the script that the site makes this page of."""
    return (folder / file).exists() or (file.endswith(".md") and (ROOT / file).with_suffix(".py").exists())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_files_that_a_page_points_to_exist(page):
    text = page.read_text(encoding="utf-8")
    assert [f for f in LINK.findall(text) if not is_there(f, page.parent)] == []
    assert [f for f in SCRIPT.findall(text) if not (ROOT / f).exists()] == []


@pytest.fixture
def kept_activations(monkeypatch):
    """The README registers an activation: the other tests shall not see it."""
    registry = nnx.activations.registry
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    monkeypatch.setattr(registry, "_names", dict(registry._names))


@pytest.mark.parametrize("room", ROOMS)
def test_the_table_names_what_exists(room):
    (row,) = re.findall(rf"^\| {room} \| (.+) \|$", README, re.MULTILINE)
    module = ROOMS[room]
    known = getattr(module, "registry", ())
    names = re.findall(r"`(\w+)`", row)
    assert names
    assert [name for name in names if name not in known and not hasattr(module, name)] == []


@pytest.mark.parametrize("pattern", [SCRIPT, LINK], ids=["scripts", "links"])
def test_the_files_that_it_points_to_exist(pattern):
    files = pattern.findall(README)
    assert files
    assert [name for name in files if not (ROOT / name).is_file()] == []
