"""``python -m docs_build.browser``: looks at the built site in headless Chromium, with the network cut.

Every page is opened from a file server, some also as files. A request that fails or leaves the site, an error
in the console, a formula that is not set, a page wider than a phone, a search that does not find, or a fault
of accessibility (axe-core, serious or worse) ends with exit status 1. Pictures of some pages are left in
``build/screenshots``. Where there is no browser it says so and ends with exit status 2.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import http.server
import importlib.util
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docs_build.folders import BUILD, SITE

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PICTURES = BUILD / "screenshots"
#: limits of what a server sends, as gzip makes it
FRONT_PAGE, ANY_PAGE = 400_000, 1_500_000
SEARCHES = {"Levenberg": "Levenberg", "vanishing": "anishing", "nnx.minimize": "minimize"}
PHONE, DESK = {"width": 375, "height": 780}, {"width": 1280, "height": 900}
#: pages that are looked at as files too, and of which pictures are taken
LOOKED_AT = (
    "index",
    "training",
    "tutorials/burgers_pinn",
    "tutorials/curve_fitting",
    "derivations/bfgs",
    "api/index",
    "api/first_order",
    "api/activations",
    "race",
    "activations_live",
    "derivations/errata",
    "coming_from_matlab",
)
SERIOUS = ("serious", "critical")
FORMULAS = """() => {
  const all = [...document.querySelectorAll(".formula")]
  const bad = all.filter(f => !f.querySelector(".katex-html > *")).length
  const set = all.length == 0 || document.fonts.check("16px KaTeX_Main")
  return all.length && (bad || !set) ? `${bad} of ${all.length} formulas are not set, fonts: ${set}` : ""
}"""
WIDER = """() => {
  const wide = document.documentElement.scrollWidth
  if (wide <= innerWidth) return ""
  const outside = e => e.getBoundingClientRect().right > innerWidth + 1
  const clips = e => getComputedStyle(e).overflowX != "visible"
  const scrolls = e => { for (; e; e = e.parentElement) if (clips(e)) return true }
  const e = [...document.querySelectorAll("article *")].find(e => outside(e) && !scrolls(e.parentElement))
  return `${wide} px wide` + (e ? `: ${e.outerHTML.slice(0, 100)}` : "")
}"""


class Look:
    """One browser, and the faults that it finds."""

    def __init__(self, browser: Any, axe: str) -> None:
        self.browser = browser
        self.axe = axe
        self.faults: list[str] = []
        self.requests: dict[str, set[str]] = {}

    def page(self, base: str, **options: Any) -> Any:
        """A page that notes what goes wrong; nothing but the site can be reached from it."""
        context = self.browser.new_context(**{"viewport": DESK, "color_scheme": "light"} | options)
        page = context.new_page()
        context.route("**/*", lambda route: self._route(route, base))
        page.on("console", lambda message: self._console(page, message))
        page.on("pageerror", lambda error: self.fault(page, f"script: {error}"))
        page.on("requestfailed", lambda request: self._failed(page, request))
        page.on("response", lambda answer: self._answer(page, answer))
        return page

    def fault(self, page: Any, text: str) -> None:
        """Notes what is wrong with the page that is open."""
        self.faults.append(f"{page.url}: {text}")

    def _route(self, route: Any, base: str) -> None:
        if route.request.url.startswith((base, "data:", "blob:")):
            route.continue_()
        else:
            self.faults.append(f"{route.request.frame.url}: asks for {route.request.url}")
            route.abort()

    def _console(self, page: Any, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.fault(page, f"console: {message.text}")

    def _failed(self, page: Any, request: Any) -> None:
        if "ERR_ABORTED" not in (request.failure or ""):  # the page was left before it came
            self.fault(page, f"request failed: {request.url} {request.failure}")

    def _answer(self, page: Any, answer: Any) -> None:
        self.requests.setdefault(page.url.partition("#")[0], set()).add(answer.url)
        if answer.status >= 400:
            self.fault(page, f"{answer.status}: {answer.url}")

    def accessible(self, page: Any, *, code: bool) -> None:
        """axe-core's verdict on the open page; on its code too, whose colours are the same everywhere."""
        options = {"resultTypes": ["violations"], "preload": False}
        page.evaluate("source => window.axe || (0, eval)(source)", self.axe)
        # what KaTeX draws is hidden from readers, who get MathML
        outside = [[".katex-html"], *([] if code else [[".highlight"]])]
        result = page.evaluate("([e, o]) => axe.run({exclude: e}, o)", [outside, options])
        for found in result["violations"]:
            if found["impact"] in SERIOUS:
                nodes = found["nodes"]
                self.fault(page, f"axe {found['id']} ({len(nodes)}): {nodes[0]['html'][:160]}")


def look(site: Path, executable: str) -> list[str]:
    """The faults that a browser finds in the site."""
    from playwright.sync_api import sync_playwright

    names = sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))
    pages = [name for name in names if not name.startswith("source/") and name != "404.html"]
    some = [f"{name}.html" for name in LOOKED_AT if f"{name}.html" in pages]
    with sync_playwright() as playwright, served(site) as server:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        seen = Look(browser, _axe())
        _each(seen, server, [*pages, *[n for n in names if n.startswith("source/")][:3]])
        _each(seen, f"{site.as_uri()}/", some)
        for base in (server, f"{site.as_uri()}/"):
            _search(seen, base)
        _weights(seen, server, site)
        _pictures(seen, server, some)
        browser.close()
    print(f"{len(pages)} pages were looked at; pictures are in {PICTURES}")
    return list(dict.fromkeys(seen.faults))


def _each(seen: Look, base: str, pages: list[str]) -> None:
    """Each page as it opens, then dark, then on a phone."""
    page = seen.page(base)
    for k, name in enumerate(pages, 1):
        page.goto(base + name, wait_until="load")
        page.evaluate("() => document.fonts.ready")
        if fault := page.evaluate(FORMULAS):
            seen.fault(page, fault)
        closely = name.removesuffix(".html") in LOOKED_AT
        seen.accessible(page, code=closely)
        page.emulate_media(color_scheme="dark")
        try:
            page.wait_for_selector("body[data-md-color-scheme=slate]", timeout=5_000)
        except Exception:
            seen.fault(page, "does not follow the system's dark mode")
        if closely:
            seen.accessible(page, code=True)
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(PHONE)
        if fault := page.evaluate(WIDER):
            seen.fault(page, f"scrolls sideways on a phone, {fault}")
        page.set_viewport_size(DESK)
        if k % 20 == 0:
            print(f"{k} of {len(pages)} pages, {len(seen.faults)} faults", flush=True)
    page.context.close()


def _search(seen: Look, base: str) -> None:
    """The search finds what it should, and its index is fetched when it is used, not before."""
    page = seen.page(base)
    for word, part in SEARCHES.items():
        page.goto(f"{base}index.html", wait_until="load")
        page.click(".md-search__input")
        page.keyboard.type(word)
        try:
            page.wait_for_function(
                "part => [...document.querySelectorAll('.md-search-result__item')]"
                ".some(e => e.textContent.includes(part))",
                arg=part,
                timeout=20_000,
            )
        except Exception:
            seen.fault(page, f"the search does not find {word}")
    page.context.close()


def _weights(seen: Look, base: str, site: Path) -> None:
    """What a server sends for each page, compressed, without pictures."""
    heaviest = (0, "")
    for url, requests in seen.requests.items():
        if not url.startswith(base):
            continue
        files = [
            site / request.removeprefix(base).partition("?")[0]
            for request in requests
            if request.startswith(base)
        ]
        shown = [file for file in files if file.suffix not in (".png", ".svg", ".gif", ".jpg")]
        size = sum(len(gzip.compress(file.read_bytes())) for file in shown if "search" not in file.name)
        if url == f"{base}index.html":
            first = sum(
                len(gzip.compress(file.read_bytes())) for file in files if "search_index" not in file.name
            )
            print(f"the front page: {first / 1000:.0f} kB")
            if first > FRONT_PAGE:
                seen.faults.append(f"the front page has {first} bytes, more than {FRONT_PAGE}")
        heaviest = max(heaviest, (size, url.removeprefix(base)))
    print(f"the heaviest page: {heaviest[0] / 1000:.0f} kB ({heaviest[1]})")
    if heaviest[0] > ANY_PAGE:
        seen.faults.append(f"{heaviest[1]} has {heaviest[0]} bytes, more than {ANY_PAGE}")


def _pictures(seen: Look, base: str, pages: list[str]) -> None:
    shutil.rmtree(PICTURES, ignore_errors=True)
    ways: dict[str, dict[str, Any]] = {
        "light": {},
        "dark": {"color_scheme": "dark"},
        "phone": {"viewport": PHONE},
    }
    for way, options in ways.items():
        page = seen.page(base, **options)
        for name in pages:
            page.goto(base + name, wait_until="networkidle")
            file = PICTURES / f"{name.removesuffix('.html').replace('/', '-')}-{way}.png"
            page.screenshot(path=str(file), full_page=way == "light")
        page.context.close()
    page = seen.page(base)
    for name in pages:
        page.goto(base + name, wait_until="networkidle")
        page.emulate_media(media="print")
        if page.is_visible(".md-header"):
            seen.fault(page, "the header is printed")
        page.pdf(path=str(PICTURES / f"{name.removesuffix('.html').replace('/', '-')}.pdf"))
        page.emulate_media(media="screen")
    page.context.close()


@contextlib.contextmanager
def served(site: Path) -> Iterator[str]:
    """The site on a plain file server; the address of its root."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def _axe() -> str:
    """The script of axe-core, which a Python package brings."""
    found = importlib.util.find_spec("axe_playwright_python")
    assert found is not None and found.origin is not None
    return (Path(found.origin).parent / "axe.min.js").read_text(encoding="utf-8")


def _executable() -> str | None:
    named = os.environ.get("NNX_BROWSER")
    return named or next((path for name in BROWSERS if (path := shutil.which(name))), None)


def main() -> int:
    """0, 1 where something is wrong, 2 where there is no browser."""
    executable = _executable()
    if executable is None:
        print(
            "There is no Chromium here (looked for: " + ", ".join(BROWSERS) + ", and NNX_BROWSER). "
            "On Debian: apt-get install chromium.",
            file=sys.stderr,
        )
        return 2
    if not (SITE / "index.html").is_file():
        print("There is no site to look at: run `nox -s docs`.", file=sys.stderr)
        return 1
    faults = look(SITE.resolve(), executable)
    for fault in faults:
        print(fault)
    print(f"{len(faults)} faults" if faults else "nothing is wrong")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
