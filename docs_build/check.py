"""Checks the built site as a browser would find it: links, anchors, pictures; nothing from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from docs_build.folders import BuildError

#: attributes by which a page fetches something, and those by which it links
FETCHES = {"img": "src", "script": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src"}
MEGABYTE = 2**20
SITE_LIMIT = 60 * MEGABYTE
#: a link by name that was not resolved shows its brackets
UNRESOLVED = re.compile(r"\]\[[\w.]+\]|\]\([\w./#-]+\.(?:md|html)[^)]*\)")
CSS_URL = re.compile(r"url\(\s*['\"]?(?!data:)([^'\")]+)")


@dataclass
class Found:
    """What stands in a page."""

    ids: set[str] = field(default_factory=set)
    twice: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    without_text: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found = Found()
        self.inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        for name in {values.get("id", ""), values.get("name", "") if tag == "a" else ""} - {""}:
            (self.found.twice if name in self.found.ids else self.found.ids).add(name)
        if tag == "a" and "href" in values:
            self.found.links.append(values["href"])
        if tag == "link" and values.get("rel") not in ("canonical", "alternate", "prev", "next"):
            self.found.fetched.append(values.get("href", ""))
        if values.get(FETCHES.get(tag, "")):
            self.found.fetched.append(values[FETCHES[tag]])
        if tag == "img" and not values.get("alt", "").strip():
            self.found.without_text.append(values.get("src", ""))
        if tag in ("pre", "code", "script", "style"):
            self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.inside and self.inside[-1] == tag:
            self.inside.pop()

    def handle_data(self, data: str) -> None:
        if not self.inside:
            self.found.text.append(data)


def read(path: Path) -> Found:
    """What stands in an HTML file."""
    reader = _Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader.found


def faults(site: Path) -> Iterator[str]:
    """Everything that is wrong with a site, in words."""
    pages = {path: read(path) for path in sorted(site.rglob("*.html"))}
    for path, found in pages.items():
        where = path.relative_to(site).as_posix()
        if where == "404.html":
            continue  # its addresses are those of the web site
        yield from (f"{where}: the anchor #{name} stands twice" for name in sorted(found.twice))
        yield from (f"{where}: a picture without a text: {src}" for src in found.without_text)
        for address in found.fetched:
            yield from _wrong(site, path, address, pages, fetched=True)
        for address in found.links:
            yield from _wrong(site, path, address, pages, fetched=False)
        for text in found.text:
            yield from (f"{where}: a link was not made: {m[0]}" for m in UNRESOLVED.finditer(text))
    for path in sorted(site.rglob("*.css")):
        for address in CSS_URL.findall(path.read_text(encoding="utf-8")):
            yield from _wrong(site, path, address, pages, fetched=True)
    size = sum(path.stat().st_size for path in site.rglob("*") if path.is_file())
    if size > SITE_LIMIT:
        yield f"the site has {size / MEGABYTE:.0f} MB, more than {SITE_LIMIT // MEGABYTE}"


def _wrong(site: Path, page: Path, address: str, pages: dict[Path, Found], *, fetched: bool) -> Iterator[str]:
    where = page.relative_to(site).as_posix()
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        if fetched and parts.scheme != "data":
            yield f"{where}: fetched from elsewhere: {address}"
        elif parts.scheme not in ("https", "http", "mailto", "data", "javascript"):
            yield f"{where}: a link of an unknown kind: {address}"
        return
    if parts.path.startswith("/"):
        yield f"{where}: an address from the root of the host: {address}"
        return
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if target.is_dir():
        target = target / "index.html"
    if not target.is_file():
        yield f"{where}: there is no {address}"
    elif parts.fragment and target in pages:
        anchor = unquote(parts.fragment)
        if anchor not in pages[target].ids and not anchor.startswith("__"):
            yield f"{where}: there is no anchor {address}"


def check(site: Path) -> None:
    """BuildError with everything that is wrong with the site."""
    site = site.resolve()
    if not (site / "index.html").is_file():
        raise BuildError("There is no site to check: run `python -m docs_build`.")
    found = list(dict.fromkeys(faults(site)))
    if found:
        shown = "\n".join(found[:50]) + (f"\n... and {len(found) - 50} more" if len(found) > 50 else "")
        raise BuildError(f"{len(found)} faults of the site:\n{shown}")
    print("checked: links, anchors, pictures, scripts")
