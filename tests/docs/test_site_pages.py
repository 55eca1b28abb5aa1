"""The pages of the site: those that run, their formulas, and the check of what was built."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from docs_build import browser, check, formulas
from docs_build.folders import BuildError

ROOT = Path(__file__).parents[2]
SAMPLES = Path(__file__).parent / "pages"
FRONT = ROOT / "docs" / "index.md"


@pytest.fixture(scope="module")
def notebooks():
    """What runs the pages needs the extra `docs`."""
    for name in ("ipykernel", "jupytext", "matplotlib", "nbclient"):
        pytest.importorskip(name)
    from docs_build import notebooks

    return notebooks


@pytest.fixture
def cache(notebooks, tmp_path, monkeypatch):
    monkeypatch.setattr(notebooks, "CACHE", tmp_path)
    return tmp_path


def test_a_page_runs_and_shows_its_outputs(notebooks, cache, monkeypatch):
    path = SAMPLES / "straight_line.py"
    done = notebooks.executed([path], "nnx", report=lambda text: None)[path]
    text, files = notebooks.markdown(done, path.stem)
    assert "# A straight line" in text
    assert "```{ .text .output }\n[2. 1.]\n```" in text  # what print wrote
    assert "```{ .text .output }\narray([1.  , 1.25])\n```" in text  # the last expression
    assert "![Five points on a rising line](straight_line-1.svg){ .figure }" in text
    assert "# figure:" not in text
    assert files["straight_line-1.svg"].startswith(b"<?xml")

    def never(*_):
        raise AssertionError("the page was run again")

    monkeypatch.setattr(notebooks, "_run", never)
    notebooks.executed([path], "nnx", report=lambda text: None)
    with pytest.raises(AssertionError, match="run again"):
        notebooks.executed([path], "another nnx", report=lambda text: None)


def test_a_page_whose_assertion_fails_ends_the_build(notebooks, cache):
    with pytest.raises(BuildError, match=r"failing\.py failed:[\s\S]*what the page claims is wrong"):
        notebooks.executed([SAMPLES / "failing.py"], "nnx", report=lambda text: None)


def test_a_page_without_its_data_says_so_and_is_tried_again(notebooks, cache):
    path, said = SAMPLES / "without_data.py", []
    done = notebooks.executed([path], "nnx", report=said.append)[path]
    assert "NOT RUN, its data are not there: The digits cannot be fetched." in said[-1]
    text, files = notebooks.markdown(done, path.stem)
    assert text.startswith("# A page whose data are not there\n\n!!! warning\n    This page was not run here")
    assert "nnx.errors.DownloadError" in text  # its code
    assert not files
    assert not list(cache.rglob("*.ipynb"))


def output(notebooks, **data):
    from nbformat import v4

    cell = v4.new_code_cell("draw()", outputs=[v4.new_output("display_data", data)])
    return v4.new_notebook(cells=[cell])


def test_a_figure_needs_a_text(notebooks):
    with pytest.raises(BuildError, match="no comment `# figure"):
        notebooks.markdown(output(notebooks, **{"image/svg+xml": "<svg/>"}), "x")


def test_a_warning_ends_the_build(notebooks):
    from nbformat import v4

    stream = v4.new_output("stream", name="stderr", text="x.py:1: RuntimeWarning: overflow\n")
    with pytest.raises(BuildError, match="overflow"):
        notebooks.markdown(v4.new_notebook(cells=[v4.new_code_cell("1", outputs=[stream])]), "x")


@pytest.mark.parametrize(
    "text",
    [
        "# %%\n1 + 1\n",
        "# %% [markdown]\n# no title\n",
        "# %% [markdown]\n# # One\n\n# %% [markdown]\n# # Two\n",
    ],
    ids=["code first", "no title", "two titles"],
)
def test_a_page_begins_with_its_title_and_has_one(notebooks, tmp_path, text):
    path = tmp_path / "page.py"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BuildError):
        notebooks.parsed(path)


def test_plain_scripts_are_no_pages(notebooks, tmp_path):
    folder = tmp_path / "tutorials"
    folder.mkdir()
    (folder / "script.py").write_text("print(1)\n", encoding="utf-8")
    (folder / "page.py").write_text("# %% [markdown]\n# # Title\n", encoding="utf-8")
    assert [path.name for path in notebooks.sources(tmp_path)] == ["page.py"]


def test_formulas_are_set():
    pytest.importorskip("py_mini_racer")
    inline, block = (
        r'<span class="arithmatex">\(x &lt; 1\)</span>',
        r'<div class="arithmatex">\[\frac12\]</div>',
    )
    shown = formulas.set_in(f"<p>For {inline}, so</p>{block}")
    assert shown.startswith('<p>For <span class="formula--end"><var class="formula"')
    assert "arithmatex" not in shown and shown.count("<math") == 2
    assert "</var>,</span> so</p>" in shown


def test_a_formula_that_cannot_be_set_ends_the_build():
    pytest.importorskip("py_mini_racer")
    with pytest.raises(BuildError, match=r"Undefined control sequence: \\wrong"):
        formulas.set_in(r'<span class="arithmatex">\(\wrong\)</span>')


GOOD = '<h1 id="top">T</h1><a href="other.html#there">o</a><img src="a.png" alt="seen"><a href="https://x.org">x</a>'
WRONG = {
    "a link": '<a href="nope.html">x</a>',
    "an anchor": '<a href="other.html#nope">x</a>',
    "an anchor of its own": '<a href="#nope">x</a>',
    "a picture": '<img src="nope.png" alt="seen">',
    "no text": '<img src="a.png">',
    "a script from elsewhere": '<script src="https://cdn.example.org/x.js"></script>',
    "a style from elsewhere": '<link rel="stylesheet" href="//example.org/x.css">',
    "an address of the host": '<a href="/index.html">x</a>',
    "two anchors": '<p id="a"></p><p id="a"></p>',
    "a link not made": "<p>see [`nnx.grad`][nnx.grad]</p>",
}


def site(folder, body):
    (folder / "index.html").write_text(f"<html><body>{body}</body></html>", encoding="utf-8")
    (folder / "other.html").write_text('<p id="there">t</p>', encoding="utf-8")
    (folder / "a.png").write_bytes(b"")
    return folder


def test_a_good_site_passes(tmp_path, capsys):
    check.check(site(tmp_path, GOOD))
    assert "checked" in capsys.readouterr().out


@pytest.mark.parametrize("fault", WRONG)
def test_a_fault_of_the_site_ends_the_build(tmp_path, fault):
    with pytest.raises(BuildError, match="1 faults"):
        check.check(site(tmp_path, GOOD + WRONG[fault]))


def test_without_a_browser_it_says_so(monkeypatch, capsys):
    monkeypatch.setattr(browser.shutil, "which", lambda name: None)
    monkeypatch.delenv("NNX_BROWSER", raising=False)
    assert browser.main() == 2
    assert "There is no Chromium here" in capsys.readouterr().err


def test_the_examples_of_the_front_page_print_what_they_say(capsys):
    blocks = re.findall(r"^    ```python\n(.*?)^    ```$", FRONT.read_text(encoding="utf-8"), re.M | re.S)
    assert len(blocks) == 3
    for block in blocks:
        code = textwrap.dedent(block)
        exec(compile(code, "index.md", "exec"), {})
        assert capsys.readouterr().out.splitlines() == re.findall(r"^print\(.*\)\s+# (.+)$", code, re.M)
