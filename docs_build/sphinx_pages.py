"""Sphinx' side of the reference: a builder that writes pages for MkDocs.

Sphinx reads the docstrings and resolves their references. What it writes of an object is a heading in
Markdown, which the table of contents and the search find, and HTML below it, in the classes of Material.
"""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from sphinx import addnodes
from sphinx.builders.html import StandaloneHTMLBuilder
from sphinx.writers.html5 import HTML5Translator

from docs_build import signatures

FORMATTER = HtmlFormatter(cssclass="highlight", wrapcode=True)


def highlighted(code: str, language: str) -> str:
    """Code as HTML in the classes that Material styles."""
    return highlight(code, get_lexer_by_name(language), FORMATTER).strip()


class Pages(StandaloneHTMLBuilder):
    """Writes the body of each document into a Markdown file."""

    name = "nnx_pages"
    search = False
    allow_parallel = False

    def init(self) -> None:
        super().init()
        self.set_translator_class()

    def set_translator_class(self) -> None:
        self.app.registry.translators[self.name] = Translator

    def handle_page(self, pagename: str, addctx: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        """Writes one page."""
        # the page of a module is its address
        body = re.sub(r'(href="[\w.]*)#module-[\w.]+"', r'\1"', addctx.get("body", ""))
        Path(self.outdir, f"{pagename}.md").write_text(body, encoding="utf-8")

    def finish(self) -> None:
        """Nothing more: no index, no search, no files of a theme."""

    def copy_assets(self) -> None:
        """None either."""


class Translator(HTML5Translator):
    """Descriptions of objects as headings and boxes; the rest as Sphinx writes it."""

    def visit_desc(self, node: addnodes.desc) -> None:
        if _is_member(node):
            self.body.append('<div class="api-member">')

    def depart_desc(self, node: addnodes.desc) -> None:
        if _is_member(node):
            self.body.append("</div>\n")
        else:
            name = node[0]["ids"][0]
            self.body.append(f"<!--mentions:{name}--></div>\n\n")

    def visit_desc_signature(self, node: addnodes.desc_signature) -> None:
        """The whole signature at once, out of its text."""
        described = node.parent
        (name,) = node["ids"]
        kind = described["objtype"]
        label = {"method": "", "attribute": "", "function": ""}.get(kind, kind)
        shown, arguments, returned = _parts(node)
        code = signatures.broken(shown, arguments, returned) if arguments is not None else shown
        source = f"<!--source:{name}-->"
        tag = f'<span class="api-kind">{label}</span>' if label else ""
        box = f'<div class="api-signature">{highlighted(code, "python")}{tag}{source}</div>'
        if _is_member(described):
            self.body.append(f'<div id="{name}" class="api-anchor"></div>{box}')
        else:
            module, _, short = name.rpartition(".")
            title = f'<span class="api-module">{module}.</span>{short.replace("_", chr(92) + "_")}'
            attributes = f'#{name} .api-name data-toc-label="{short}"'
            self.body.append(f'\n\n## {title} {{ {attributes} }}\n\n<div class="api">{box}')
        raise nodes.SkipNode

    def visit_desc_content(self, node: addnodes.desc_content) -> None:
        self.body.append('<div class="api-text">')

    def depart_desc_content(self, node: addnodes.desc_content) -> None:
        self.body.append("</div>")

    def visit_title(self, node: nodes.title) -> None:
        self.body.append(f'# {node.astext()}\n\n<div class="api-intro">')
        raise nodes.SkipNode

    def visit_section(self, node: nodes.section) -> None:
        pass

    def depart_section(self, node: nodes.section) -> None:
        pass

    def visit_index(self, node: addnodes.index) -> None:
        raise nodes.SkipNode

    def visit_target(self, node: nodes.target) -> None:
        raise nodes.SkipNode

    def visit_transition(self, node: nodes.transition) -> None:
        """The end of the introduction."""
        self.body.append("</div>\n\n")
        raise nodes.SkipNode

    def visit_literal_block(self, node: nodes.literal_block) -> None:
        language = node.get("language", "python")
        self.body.append(highlighted(node.astext(), "python" if language == "default" else language))
        raise nodes.SkipNode

    def visit_doctest_block(self, node: nodes.doctest_block) -> None:
        self.body.append(highlighted(node.astext(), "pycon"))
        raise nodes.SkipNode

    def visit_literal(self, node: nodes.literal) -> None:
        self.body.append(f"<code>{html.escape(node.astext(), quote=False)}</code>")
        raise nodes.SkipNode

    def visit_math(self, node: nodes.math, math_env: str = "") -> None:
        self.body.append(f'<span class="arithmatex">\\({html.escape(node.astext(), quote=False)}\\)</span>')
        raise nodes.SkipNode

    def visit_math_block(self, node: nodes.math_block, math_env: str = "") -> None:
        self.body.append(f'<div class="arithmatex">\\[{html.escape(node.astext(), quote=False)}\\]</div>')
        raise nodes.SkipNode


def _is_member(node: addnodes.desc) -> bool:
    parent = node.parent
    while parent is not None and not isinstance(parent, addnodes.desc):
        parent = parent.parent
    return parent is not None


def _parts(node: addnodes.desc_signature) -> tuple[str, list[str] | None, str]:
    """Name, arguments and result of a signature."""
    name = "".join(n.astext() for n in node.findall(addnodes.desc_name))
    if not _is_member(node.parent):
        name = node["ids"][0]
    note = "".join(n.astext() for n in node.children if isinstance(n, addnodes.desc_annotation))
    lists = list(node.findall(addnodes.desc_parameterlist))
    returned = "".join(n.astext() for n in node.findall(addnodes.desc_returns)).removeprefix(" -> ")
    if not lists:
        return name + note.removeprefix("property").replace(" :", ":", 1), None, ""
    return name, [n.astext() for n in lists[0].children], returned
