"""Links to objects by their names, ``[`nnx.grad`][nnx.grad]``; and which page speaks of which object."""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict

from docs_build.addresses import Addresses
from docs_build.folders import BuildError

FENCE = re.compile(r"^([ \t]*)(`{3,}|~{3,})[^\n]*\n.*?^\1\2[ \t]*$", re.MULTILINE | re.DOTALL)
#: a link by name, or a span of code, which is left alone
LINK = re.compile(
    r"\[(?P<text>`[^`\n]+`|[^\]\[`]+)\]\[(?P<name>[A-Za-z_][\w.]*)\]|(?P<code>(`+)[^`].*?\4)", re.DOTALL
)
DEFINITION = re.compile(r"^ {0,3}\[([^\]]+)\]:", re.MULTILINE)
DOTTED = re.compile(r"\bnnx(?:\.\w+)+")


class References:
    """Resolves the links of all pages, and remembers the objects that they speak of."""

    def __init__(self) -> None:
        self.addresses = Addresses()
        #: entry of the reference → {page: whether it links there}
        self.mentions: dict[str, dict[str, bool]] = defaultdict(dict)

    def resolved(self, markdown: str, page: str, *, site: str | None = None) -> str:
        """The page with links to addresses; unknown names are an error.

        ``site`` is the web address of the site, for pages that are read elsewhere (notebooks); "" leaves the
        text of a link alone.
        """
        defined = {name.lower() for name in DEFINITION.findall(markdown)}

        def link(match: re.Match[str]) -> str:
            name = match["name"]
            if name is None or name.lower() in defined:
                return match[0]
            place = self.addresses.find(name)
            if place is None:
                raise BuildError(f"{page}: [...][{name}]: there is no such object.")
            self._remember(name, page, linked=True)
            if site is None:
                return f"[{match['text']}]({self._from(page, place)})"
            return _absolute(match["text"], place, site)

        parts, end = [], 0
        for fence in FENCE.finditer(markdown):
            parts += [LINK.sub(link, markdown[end : fence.start()]), fence[0]]
            self._used(fence[0], page)
            end = fence.end()
        parts.append(LINK.sub(link, markdown[end:]))
        return "".join(parts)

    def _from(self, page: str, place: str) -> str:
        if place.startswith("https:"):
            return place
        path, _, anchor = place.partition("#")
        path = posixpath.relpath(path, posixpath.dirname(page) or ".")
        return path.removesuffix(".html") + ".md" + (f"#{anchor}" if anchor else "")

    def _used(self, code: str, page: str) -> None:
        for name in DOTTED.findall(code):
            self._remember(name, page, linked=False)

    def _remember(self, name: str, page: str, *, linked: bool) -> None:
        public = self.addresses.entry(name)
        if public is not None:
            known = self.mentions[public.name].get(page, False)
            self.mentions[public.name][page] = known or linked


def _absolute(text: str, place: str, site: str) -> str:
    if place.startswith("https:"):
        return f"[{text}]({place})"
    return f"[{text}]({site.rstrip('/')}/{place})" if site else text


def absolute_links(markdown: str, page: str, site: str) -> str:
    """The page's relative links as addresses in the web, for a notebook that is read elsewhere."""

    def link(match: re.Match[str]) -> str:
        text, target = match["text"], match["target"]
        if re.match(r"[a-z]+:|#", target):
            return match[0]
        path, mark, anchor = target.partition("#")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page), path)).removesuffix(".md")
        return _absolute(text, f"{path}.html{mark}{anchor}", site)

    pattern = re.compile(r"(?<!!)\[(?P<text>[^\]\[]*)\]\((?P<target>[^)\s]+)\)")
    return pattern.sub(link, markdown)
