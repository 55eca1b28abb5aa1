"""Formulas are set when the site is built, by KaTeX, whose JavaScript runs in the V8 of a Python package."""

from __future__ import annotations

import functools
import html
import re
from typing import Any

from docs_build.folders import HERE, BuildError

#: what the Markdown extension arithmatex writes
FOUND = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


@functools.cache
def _engine() -> Any:
    from py_mini_racer import MiniRacer

    engine = MiniRacer()
    engine.eval((HERE / "katex" / "katex.min.js").read_text(encoding="utf-8"))
    return engine


@functools.cache
def rendered(tex: str, display: bool) -> str:
    """A formula in LaTeX as HTML, with MathML for screen readers. BuildError where KaTeX does not know it."""
    options = {"displayMode": display, "throwOnError": True, "strict": "ignore", "trust": False}
    try:
        return str(_engine().call("katex.renderToString", tex, options))
    except Exception as error:
        message = next((line for line in str(error).splitlines() if "KaTeX" in line), str(error))
        raise BuildError(f"a formula cannot be set: {tex.strip()}\n{message}") from None


def set_in(page: str) -> str:
    """A page with its formulas set. The search leaves them out."""

    def formula(match: re.Match[str]) -> str:
        tag, display = match[1], match[2] == "["
        more = ' tabindex="0" role="group" aria-label="formula"' if display else ""
        text = rendered(html.unescape(match[3]), display)
        return f'<{tag} class="formula" data-search-exclude{more}>{text}</{tag}>'

    return FOUND.sub(formula, page)
