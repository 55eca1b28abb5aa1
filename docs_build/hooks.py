"""What MkDocs calls while it builds the site (``hooks`` in mkdocs.yml)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError

from docs_build import formulas
from docs_build.folders import BuildError

HEADING = re.compile(r"<h[1-6][^>]*>(?:(?!</h[1-6]>).)*arithmatex", re.DOTALL)


def on_page_content(content: str, *, page: Any, **_: Any) -> str:
    """Sets the formulas."""
    if HEADING.search(content):
        raise PluginError(f"{page.file.src_uri}: a heading holds a formula: write it in Unicode there.")
    try:
        return formulas.set_in(content)
    except BuildError as error:
        raise PluginError(f"{page.file.src_uri}: {error}") from None


def on_post_page(output: str, *, page: Any, **_: Any) -> str:
    """The name that the search box lacks, and the style of formulas where there are some."""
    output = output.replace('role="dialog"', 'role="dialog" aria-label="Search"')
    if 'class="formula"' not in output:
        output = re.sub(r'\s*<link rel="stylesheet" href="[^"]*katex/katex\.min\.css">', "", output)
    return output


def on_post_build(*, config: Any) -> None:
    """The search index as a script too, for pages that are opened as files."""
    folder = Path(config.site_dir) / "search"
    index = json.loads((folder / "search_index.json").read_text(encoding="utf-8"))
    (folder / "search_index.js").write_text(f"var __index = {json.dumps(index)}", encoding="utf-8")
