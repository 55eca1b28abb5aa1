"""Puts together what MkDocs reads: the pages of docs/, those that run, the reference and the source lines."""

from __future__ import annotations

import html
import importlib.util
import posixpath
import re
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nnx
from docs_build import listings, notebooks, reference
from docs_build.addresses import Addresses, lines_of, source_page
from docs_build.folders import CACHE, DOCS, PACKAGE, ROOT, STAGE, BuildError, write
from docs_build.foreign import write_inventory
from docs_build.names import MODULES, public_objects
from docs_build.references import References, absolute_links

MENTIONS = 10


class Stage:
    """One pass over all pages. ``site`` is the site's web address, "" where it is not known."""

    def __init__(self, site: str = "", report: Callable[[str], object] = print) -> None:
        self.site = site
        self.report = report
        self.references = References()
        self.written: set[Path] = set()
        self.titles: dict[str, str] = {}

    def build(self) -> None:
        """Writes every page; what is no longer made is taken away."""
        package = notebooks.content_of(PACKAGE)
        objects = reference.build(f"{package} {notebooks.own_sources()} {version('sphinx')}")
        self.hand_written()
        self.that_run(package)
        self.of_the_reference()
        self.live(package)
        self.written.update(listings.write_pages(self.linked_sources()))
        self.inventory(objects)
        self.missing()
        for path in STAGE.rglob("*"):
            if path.is_file() and path not in self.written:
                path.unlink()

    def hand_written(self) -> None:
        """The pages of docs/ with their links resolved, and the files beside them."""
        for path in sorted(DOCS.rglob("*")):
            name = path.relative_to(DOCS).as_posix()
            if path.suffix == ".md":
                self._page(name, path.read_text(encoding="utf-8"))
            elif path.is_file():
                self._copy(name, path.read_bytes())

    def that_run(self, package: str) -> None:
        """The tutorials and derivations, each as page, notebook and plain file."""
        faults = []
        for path, notebook in notebooks.executed(notebooks.sources(), package, self.report).items():
            try:
                self._that_ran(path, notebook)
            except BuildError as error:
                faults.append(str(error))
        if faults:
            raise BuildError("\n\n".join(faults))

    def _that_ran(self, path: Path, notebook: Any) -> None:
        page = f"{path.parent.name}/{path.stem}.md"
        text, files = notebooks.markdown(notebook, path.stem)
        self._page(page, _with_downloads(text, path.stem))
        for name, content in files.items():
            self._copy(f"{path.parent.name}/{name}", content)
        prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
        download = notebooks.downloadable(notebook, [self._elsewhere(text, page) for text in prose])
        self._copy(f"{path.parent.name}/{path.stem}.ipynb", download.encode())
        self._copy(f"{path.parent.name}/{path.stem}.py", path.read_bytes())

    def _page(self, name: str, text: str) -> None:
        if title := re.search(r"^# (.+)$", text, re.MULTILINE):
            self.titles[name] = re.sub(r"\s*\{.*\}$|`", "", title[1])
        text = self.references.resolved(listings.expanded(text, name), name)
        self._copy(name, text.encode())

    def _elsewhere(self, text: str, page: str) -> str:
        """Prose for a notebook, which is read without the site."""
        text = absolute_links(listings.expanded(text, page), page, self.site)
        return References().resolved(text, page, site=self.site).replace("{ .source-of }\n", "")

    def _copy(self, name: str, content: bytes) -> None:
        write(STAGE / name, content)
        self.written.add(STAGE / name)

    def live(self, package: str) -> None:
        """The scripts and pictures of the live pages, which are recorded from nnx."""
        if importlib.util.find_spec("docs_build.live") is None:
            return
        from docs_build.live import write as record

        folder = CACHE / "live"
        stamp = folder.with_suffix(".key")
        key = package + notebooks.own_sources()
        if not stamp.is_file() or stamp.read_text(encoding="utf-8") != key:
            shutil.rmtree(folder, ignore_errors=True)
            record(folder)
            write(stamp, key)
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self._copy(f"live/{path.relative_to(folder).as_posix()}", path.read_bytes())

    def linked_sources(self) -> set[str]:
        """The pages of source lines to which a page that was written links."""
        pages = [path.read_text(encoding="utf-8") for path in self.written if path.suffix == ".md"]
        return {name for page in pages for name in re.findall(r"(source/nnx/[\w/]+)\.(?:md|html)", page)}

    def missing(self) -> None:
        """A page of `nav` that nobody has written yet is shown as such, unless every page must be there."""
        from mkdocs.config import load_config

        STAGE.mkdir(parents=True, exist_ok=True)
        config = load_config(str(ROOT / "mkdocs.yml"))
        missing = [page for page in _listed(config.nav) if STAGE / page not in self.written]
        if missing and config.extra.get("every_page"):
            raise BuildError(f"mkdocs.yml lists pages that are not there: {', '.join(missing)}")
        for page in missing:
            self._copy(page, f"# {page.removesuffix('.md')}\n\nThis page is being written.\n".encode())

    # -- the reference ------------------------------------------------------------------------------------

    def of_the_reference(self) -> None:
        """The pages that Sphinx made, with links to the source lines and back to the other pages."""
        for name, path in reference.pages().items():
            if name != "index":
                text = path.read_text(encoding="utf-8")
                text = re.sub(r"<!--source:([\w.]+)-->", lambda m: _source_link(m[1]), text)
                text = re.sub(r"<!--mentions:([\w.]+)-->", lambda m: self._mentions(m[1]), text)
                self._copy(f"api/{name}.md", text.encode())
        self._copy("api/index.md", _overview().encode())

    def _mentions(self, name: str) -> str:
        """Where an object is spoken of: the pages that link to it first, then those that use it."""
        pages = sorted(self.references.mentions.get(name, {}).items(), key=lambda item: not item[1])
        links = []
        for page, _ in pages[:MENTIONS]:
            address = posixpath.relpath(page.removesuffix(".md") + ".html", "api")
            links.append(f'<a href="{address}">{html.escape(self.titles.get(page, page))}</a>')
        return f'<p class="api-mentions">Pages: {", ".join(links)}</p>' if links else ""

    def inventory(self, objects: dict[str, tuple[str, str]]) -> None:
        """``objects.inv``: every entry of the reference under each of its names, for other projects."""
        every = objects | {name: ("module", f"api/{page.stem}.html") for name, page in MODULES.items()}
        for public in public_objects():
            kind, uri = objects[public.name]
            every |= dict.fromkeys(public.names, (kind, uri))
        self._copy("objects.inv", write_inventory("nnx", nnx.__version__, every))


def _source_link(name: str) -> str:
    place = lines_of(name)
    if place is None:
        return ""
    address = Addresses.relative(f"{source_page(place[0])}.html", "api")
    return f'<a class="api-source" href="{address}#L-{place[1]}">source</a>'


def _with_downloads(text: str, stem: str) -> str:
    """The page with links to its files below the title."""
    title, _, rest = text.partition("\n")
    links = f"[:material-language-python: {stem}.py]({stem}.py){{ download }}"
    links += f" [:material-notebook-outline: {stem}.ipynb]({stem}.ipynb){{ download }}"
    return f"{title}\n\n{links}\n{{ .downloads }}\n{rest}"


def _overview() -> str:
    """The first page of the reference: every page with its objects."""
    lines = [
        "# API reference",
        "",
        "Every public name of nnx. The docstrings are those that `help()` shows.",
        "",
    ]
    pages = dict.fromkeys(public.page for public in public_objects())
    for page in pages:
        entries = [p for p in public_objects() if p.page is page]
        links = [f"[`{p.name.rpartition('.')[2]}`]({page.stem}.md#{p.name})" for p in entries]
        lines += [f"**[{page.title}]({page.stem}.md)**", "", " · ".join(links), ""]
    return "\n".join(lines)


def _listed(nav: Any) -> list[str]:
    """The pages that a navigation names."""
    if isinstance(nav, str):
        return [nav]
    children = nav.values() if isinstance(nav, dict) else nav
    return [page for child in children for page in _listed(child)]
