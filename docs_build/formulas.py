"""Formulas are set when the site is built, by KaTeX, whose JavaScript runs in the V8 of a Python package."""

from __future__ import annotations

import functools
import html
import re
from typing import Any

from docs_build.folders import HERE, BuildError

#: what the Markdown extension arithmatex writes
FOUND = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>([.,;:!?)]*)', re.DOTALL)
ALONE = re.compile(
    r'<a ([^>]*)>(<var class="formula"[^>]*>(?:(?!</a>).)*?(<math.*?</math>)(?:(?!</a>).)*</var>)</a>'
)
#: Up to here a formula keeps to one line with the comma that follows; a longer one may be broken.
SHORT = 60


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
    """A page with its formulas set.

    The search leaves them out: of the element that it shall skip it knows the name alone, which must not
    stand inside again therefore. KaTeX writes <span>.
    """

    def formula(match: re.Match[str]) -> str:
        display = match[2] == "["
        tag = "div" if display else "var"
        more = ' tabindex="0" role="group" aria-label="formula"' if display else ""
        text = rendered(html.unescape(match[3]), display)
        box = f'<{tag} class="formula" data-search-exclude{more}>{text}</{tag}>{match[4]}'
        ends = match[4] and not display and len(match[3]) <= SHORT
        return f'<span class="formula--end">{box}</span>' if ends else box

    return ALONE.sub(_named, FOUND.sub(formula, page))


def _named(match: re.Match[str]) -> str:
    """A link that holds a formula alone, with its symbols as its name."""
    symbols = re.sub(r"<annotation.*?</annotation>|<[^>]+>", "", match[3])
    return f'<a {match[1]} aria-label="{symbols}">{match[2]}</a>'
