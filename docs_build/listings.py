"""The source lines of nnx in the pages: ``<!-- source: module:qualname -->``, and a page for each file."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from pathlib import Path

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from docs_build.addresses import Addresses, found, lines_of, source_page
from docs_build.folders import PACKAGE, STAGE, BuildError, write

DIRECTIVE = re.compile(r"^<!-- source: ([\w.]+):([\w.]+) -->[ \t]*$", re.MULTILINE)
ANY_DIRECTIVE = re.compile(r"<!--\s*source\b[^>]*-->")


def expanded(markdown: str, page: str) -> str:
    """A page with the source lines in place of its directives. ``page`` is its path in the site."""
    text = DIRECTIVE.sub(lambda match: _listing(match[1], match[2], page), markdown)
    if wrong := ANY_DIRECTIVE.search(text):
        raise BuildError(
            f"{page}: write {wrong[0]} as <!-- source: module:qualname --> on a line of its own."
        )
    return text


def _listing(module: str, qualname: str, page: str) -> str:
    name = f"{module}.{qualname}"
    place = lines_of(name)
    if place is None:
        raise BuildError(f"{page}: there is no source of {module}:{qualname}.")
    path, first, last = place
    code = textwrap.dedent("\n".join(path.read_text(encoding="utf-8").splitlines()[first - 1 : last]))
    if inspect.isclass(found(name)):
        code = _without_docstring(code)
    file = source_page(path).removeprefix("source/") + ".py"
    link = Addresses.relative(f"{source_page(path)}.md", str(Path(page).parent))
    caption = f"[`{file}`, lines {first} to {last}]({link}#L-{first})"
    return f"{caption}\n{{ .source-of }}\n\n```python\n{code}\n```\n"


def _without_docstring(code: str) -> str:
    """The code of a class without its docstring, which the reference shows."""
    (node,) = ast.parse(code).body
    lines = code.splitlines()
    body = getattr(node, "body", [])
    if not body or ast.get_docstring(node) is None:  # type: ignore[arg-type]
        return code
    begin, end = body[0].lineno - 1, body[0].end_lineno
    while end < len(lines) and not lines[end].strip():
        end += 1
    return "\n".join(lines[:begin] + lines[end:])


def write_pages(linked: set[str]) -> list[Path]:
    """A page for each file of the package that other pages link to; lines have anchors (``#L-12``)."""
    made = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if source_page(path) not in linked:
            continue
        target = STAGE / f"{source_page(path)}.md"
        code = path.read_text(encoding="utf-8")
        formatter = HtmlFormatter(cssclass="highlight source-file", wrapcode=True, linespans="L")
        listing = highlight(code, PythonLexer(stripnl=False), formatter)
        head = "---\nsearch:\n  exclude: true\nhide:\n  - toc\n---\n\n"
        name = path.relative_to(PACKAGE.parent).as_posix()
        write(target, f"{head}# {name.replace('_', chr(92) + '_')}\n\n{listing}\n")
        made.append(target)
    return made
