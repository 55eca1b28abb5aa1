"""Pages that run: a file in jupytext's percent format becomes a page with its outputs, and a notebook."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from docs_build.folders import CACHE, HERE, NOTEBOOKS, ROOT, BuildError, write

#: What changes the outputs, beside the page, nnx and Python.
LIBRARIES = "array-api-compat cycler matplotlib matplotlib-inline numba numpy scikit-learn scipy".split()
#: Pages run side by side, each with one thread: two cores are what is asked for.
PROCESSES = 2
SECONDS = 900
#: data beside the repository, as the tests take them; else NNX_DATA_DIR, a cache or the network has them
DATA = ROOT.parent / "shared" / "data"
MARK = re.compile(r"^# %%", re.MULTILINE)
FIGURE = re.compile(r"^# figure: (.+)$", re.MULTILINE)
#: A drawing larger than that is shown as a picture.
DRAWING = 120_000
SETUP = """
import matplotlib as _matplotlib
from matplotlib_inline.backend_inline import set_matplotlib_formats as _set_formats
_matplotlib.rcParams.update({"figure.dpi": 110, "svg.hashsalt": "nnx"})
_set_formats("svg", "png")
del _matplotlib, _set_formats
"""


def sources(root: Path = ROOT) -> list[Path]:
    """The pages that run; plain scripts, which are not in the percent format, are none."""
    files = [path for folder in NOTEBOOKS for path in sorted((root / folder).glob("[!_]*.py"))]
    return [path for path in files if MARK.search(path.read_text(encoding="utf-8"))]


def parsed(path: Path) -> nbformat.NotebookNode:
    """The cells of a page, whose first must be a title."""
    notebook = jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent")
    first = notebook.cells[0] if notebook.cells else None
    if first is None or first.cell_type != "markdown" or not first.source.startswith("# "):
        raise BuildError(f"{path}: the first cell must be Markdown that begins with a heading (# Title).")
    titles = [c for c in notebook.cells if c.cell_type == "markdown" and re.search(r"^# ", c.source, re.M)]
    if len(titles) > 1:
        raise BuildError(f"{path}: more than one cell has a heading of the first order.")
    return notebook


def executed(paths: Iterable[Path], package: str, report: Any = print) -> dict[Path, nbformat.NotebookNode]:
    """The pages with their outputs: from the cache, or run in fresh kernels, two at a time.

    ``package`` stands for the content of nnx: outputs are kept until that, the page or a library changes.
    """
    known: dict[Path, nbformat.NotebookNode] = {}
    todo = []
    for path in paths:
        stored = _stored(path, package)
        if stored.is_file():
            known[path] = nbformat.read(stored, as_version=4)
        else:
            todo.append((path, parsed(path), stored))
    if todo:
        report(f"running {len(todo)} pages")
    with ThreadPoolExecutor(PROCESSES) as pool:
        faults = []
        results = pool.map(lambda job: _run(job[0], job[1]), todo)
        for (path, _, stored), result in zip(todo, results, strict=True):
            if isinstance(result, str):
                faults.append(result)
                continue
            known[path] = result
            if missing := result.metadata.get("missing"):
                report(f"  {path.parent.name}/{path.name}: NOT RUN, its data are not there: {missing}")
                continue
            report(f"  {path.parent.name}/{path.name}: {result.metadata['seconds']} s")
            write(stored, nbformat.writes(result))
    if faults:
        raise BuildError("\n\n".join(faults))
    return known


def _stored(path: Path, package: str) -> Path:
    digest = hashlib.sha256()
    for part in (path.read_bytes(), package.encode(), Path(__file__).read_bytes(), _versions().encode()):
        digest.update(hashlib.sha256(part).digest())
    return CACHE / "pages" / path.parent.name / f"{path.stem}-{digest.hexdigest()[:24]}.ipynb"


def _versions() -> str:
    found = {"backend": os.environ.get("NNX_BACKEND", ""), "python": sys.version}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return json.dumps(found, sort_keys=True)


def _run(path: Path, notebook: nbformat.NotebookNode) -> nbformat.NotebookNode | str:
    """The notebook with outputs; where a cell fails, what happened.

    Where only data are missing, which cannot be fetched without a network, it is the notebook as it is.
    """
    bare, notebook = notebook, copy.deepcopy(notebook)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.cells.insert(0, nbformat.v4.new_code_cell(SETUP))
    env = os.environ | {
        "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline", "PYTHONHASHSEED": "0",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }  # fmt: skip
    if DATA.is_dir():
        env.setdefault("NNX_DATA_DIR", str(DATA))
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=SECONDS,
            kernel_name="python3",
            coalesce_streams=True,  # what a cell prints is one block, in however many pieces it comes
            resources={"metadata": {"path": folder}},
            extra_arguments=["--log-level=40"],  # it says at each start that others on this host could listen
        )
        try:
            client.execute(env=env)
        except CellExecutionError as error:
            text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
            if error.ename == "DownloadError":
                bare.metadata["missing"] = error.evalue.partition("\n")[0]
                return bare
            return f"{path.relative_to(path.parents[1])} failed:\n{text}"
    del notebook.cells[0]
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata["seconds"] = round(time.perf_counter() - begin, 1)
    for k, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{k}"
        cell.metadata.pop("execution", None)
    return notebook


def content_of(folder: Path) -> str:
    """A number for what the Python files of a folder say."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def markdown(notebook: nbformat.NotebookNode, stem: str) -> tuple[str, dict[str, bytes]]:
    """The page in Markdown, and its figures: file name → content."""
    parts: list[str] = []
    files: dict[str, bytes] = {}
    for k, cell in enumerate(notebook.cells):
        if k == 1 and notebook.metadata.get("missing"):
            parts.append("!!! warning\n    This page was not run here: its data could not be had.")
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        code = FIGURE.sub("", cell.source).strip("\n")
        if code.strip():
            parts.append(fenced(code, "python"))
        alternatives = FIGURE.findall(cell.source)
        for output in cell.get("outputs", []):
            parts.append(_output(output, stem, alternatives, files))
    return "\n\n".join(part for part in parts if part) + "\n", files


def fenced(text: str, language: str, more: str = "") -> str:
    """A block of code, whose fence is longer than any within."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{{ .{language}{more} }}\n{text}\n{fence}"


def _output(output: Any, stem: str, alternatives: list[str], files: dict[str, bytes]) -> str:
    if output.output_type == "stream":
        if output.name == "stderr" and "Warning" in output.text:
            raise BuildError(f"{stem}: a cell warns:\n{output.text}")
        text = output.text.rstrip("\n")
        return fenced(text, "text", " .output") if text.strip() else ""
    data = output.get("data", {})
    if (picture := _picture(data)) is not None:
        suffix, content = picture
        if not alternatives:
            raise BuildError(f"{stem}: a cell draws a figure and has no comment `# figure: what is seen`.")
        alternative = alternatives.pop(0) if len(alternatives) > 1 else alternatives[0]
        name = f"{stem}-{len(files) + 1}{suffix}"
        files[name] = content
        return f"![{alternative}]({name}){{ .figure }}"
    for kind in ("text/markdown", "text/html"):
        if kind in data:
            return str(data[kind])
    text = str(data.get("text/plain", "")).rstrip("\n")
    return fenced(text, "text", " .output") if text and not _is_artist(text) else ""


def _picture(data: Any) -> tuple[str, bytes] | None:
    """A figure in its lightest form that is sharp."""
    drawing = data.get("image/svg+xml")
    if drawing is not None and (len(drawing) <= DRAWING or "image/png" not in data):
        return ".svg", drawing.encode("utf-8")
    for kind, suffix in (("image/png", ".png"), ("image/gif", ".gif"), ("image/jpeg", ".jpg")):
        if kind in data:
            return suffix, base64.b64decode(data[kind])
    return None


def _is_artist(text: str) -> bool:
    """Whether it is Matplotlib's word for what a call has drawn, which says nothing."""
    return text.startswith(("<matplotlib.", "[<matplotlib.", "<Axes", "Text(", "<Figure"))


def downloadable(notebook: nbformat.NotebookNode, texts: list[str]) -> str:
    """The notebook as a file, with ``texts`` in place of its prose, and pictures instead of drawings."""
    notebook = copy.deepcopy(notebook)
    prose = iter(texts)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = next(prose)
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output.data.pop("image/svg+xml", None)
    for name in ("seconds", "missing"):
        notebook.metadata.pop(name, None)
    notebook.metadata.pop("jupytext", None)
    return nbformat.writes(notebook)


def own_sources() -> str:
    """A number for the code that builds the site."""
    return content_of(HERE)
