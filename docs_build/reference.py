"""The reference: Sphinx makes a page of each public module out of the docstrings."""

from __future__ import annotations

import inspect
import io
import json
import re
import shutil
from pathlib import Path

from docs_build.folders import CACHE, BuildError, write
from docs_build.names import PAGES, Page, Public, public_objects

FOLDER = CACHE / "reference"


def build(key: str) -> dict[str, tuple[str, str]]:
    """Makes the pages below ``FOLDER``, unless those of the same ``key`` are there.

    Returns what Sphinx found: name → (kind, address relative to the site's root).
    """
    stamp = FOLDER / "objects.json"
    known = json.loads(stamp.read_text(encoding="utf-8")) if stamp.is_file() else {}
    if known.get("key") != key:
        known = {"key": key, "objects": _sphinx()}
        write(stamp, json.dumps(known))
    return {name: (kind, uri) for name, (kind, uri) in known["objects"].items()}


def _sphinx() -> dict[str, tuple[str, str]]:
    from sphinx.application import Sphinx

    rst, out = FOLDER / "rst", FOLDER / "md"
    shutil.rmtree(FOLDER, ignore_errors=True)
    for page in PAGES:
        write(rst / f"{page.stem}.rst", _document(page))
    write(rst / "index.rst", "nnx\n===\n\n.. toctree::\n   :hidden:\n   :glob:\n\n   *\n")
    settings = {
        "project": "nnx",
        "extensions": ["sphinx.ext.autodoc", "docs_build.docstrings"],
        "nitpicky": True,
        "autodoc_typehints": "signature",
        "autodoc_preserve_defaults": False,
        "autodoc_member_order": "bysource",
        "add_module_names": True,
        "smartquotes": False,
        "suppress_warnings": ["config.cache"],
    }
    warnings = io.StringIO()
    logs = {"status": io.StringIO(), "warning": warnings}
    app = Sphinx(rst, None, out, FOLDER / "doctrees", "nnx_pages", settings, freshenv=True, **logs)
    app.build(force_all=True)
    if found := warnings.getvalue().strip():
        raise BuildError(f"Docstrings with faults (Sphinx):\n{_readable(found)}")
    objects = app.env.get_domain("py").objects
    return {
        name: (entry.objtype, f"api/{entry.docname}.html#{entry.node_id}")
        for name, entry in objects.items()
        if entry.objtype != "module"
    }


def _readable(warnings: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", warnings)


def _document(page: Page) -> str:
    """The document from which Sphinx starts: the module's docstring, then its objects."""
    text = [page.title, "=" * len(page.title), ""]
    if not page.room:
        text += [f".. automodule:: {page.module}", ""]
    else:
        text += [f".. automodule:: {page.room}", ""]
    text += ["----", "", f".. py:currentmodule:: {page.module}", ""]
    for public in public_objects():
        if public.page is page:
            text += [*_directive(public), ""]
    return "\n".join(text)


def _directive(public: Public) -> list[str]:
    if public.kind == "data":
        name = public.name.removeprefix(f"{public.page.module}.")
        return [f".. py:data:: {name}", "", *(f"   {line}" for line in _data(public).splitlines())]
    if not inspect.getdoc(public.value):
        raise BuildError(f"{public.name} has no docstring.")
    options = ["   :members:"] if public.kind in ("class", "exception") else []
    return [f".. auto{public.kind}:: {public.name}", *options]


def _data(public: Public) -> str:
    """A value has no docstring of its own: the comment ``#:`` above it, or what a registry holds."""
    if hasattr(public.value, "attributes"):
        names = ", ".join(f"``{entry.name}``" for entry in public.value)
        kind = public.value.kind
        return f"What is known as {kind} by its name (:class:`nnx.registry.Registry`): {names}."
    if comment := _comment(public):
        return comment
    raise BuildError(f"{public.name} is a value without a comment `#:` that says what it is.")


def _comment(public: Public) -> str:
    from sphinx.pycode import ModuleAnalyzer

    for module in _defining(public):
        comments = ModuleAnalyzer.for_module(module).find_attr_docs()
        if lines := comments.get(("", public.name.rpartition(".")[2])):
            return "\n".join(lines).strip()
    return ""


def _defining(public: Public) -> list[str]:
    import sys

    short, home = public.name.rpartition(".")[2], public.name.rpartition(".")[0]
    inside = [m for m in list(sys.modules) if m.startswith(public.page.module) and m != home]
    return [home, *(m for m in inside if vars(sys.modules[m]).get(short) is public.value)]


def pages() -> dict[str, Path]:
    """The pages that were made: name → file."""
    return {path.stem: path for path in (FOLDER / "md").glob("*.md")}
