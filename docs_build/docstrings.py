"""What Sphinx asks about docstrings: their signatures, their text, and where a name in them leads."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.ext.napoleon import Config
from sphinx.ext.napoleon.docstring import GoogleDocstring

from docs_build import signatures
from docs_build.addresses import Addresses, found
from docs_build.names import Public, public_objects
from docs_build.sphinx_pages import Pages

CALLABLE = ("function", "method", "class", "exception")
SECTIONS = re.compile(r"^(Args|Returns|Raises|Yields|Attributes|Examples?|Notes?):\s*$")
GOOGLE = Config(napoleon_use_rtype=False, napoleon_use_param=False)
#: a module's place in the house, which is for those who build it
ROOM = re.compile(r"^Room \d: (.)")
#: those before the name of arguments, as in f(*args)
STARS = re.compile(r"(?<![^\s(,])\*{1,2}(?=[A-Za-z_][\w.]*[,).])")


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx calls this."""
    app.add_builder(Pages)
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-process-docstring", _docstring)
    app.connect("doctree-read", _plain_signatures)
    app.connect("missing-reference", _reference)
    return {"version": "1", "parallel_read_safe": False}


def _signature(app: Sphinx, what: str, name: str, obj: Any, *_: Any) -> tuple[str, str] | None:
    if what not in CALLABLE:
        return None
    plain = what == "method" and isinstance(inspect.getattr_static(*_owner(name)), staticmethod | classmethod)
    bound = what == "method" and not plain
    text = signatures.of(obj, bound=bound)
    if text is None:
        return None
    arguments, _, returned = text.partition(" -> ")
    return arguments, returned


def _owner(name: str) -> tuple[Any, str]:
    owner, _, attribute = name.rpartition(".")
    return found(owner), attribute


def _docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    if any(SECTIONS.match(line) for line in lines) and what in CALLABLE:
        lines[:] = str(GoogleDocstring(lines, GOOGLE, app, what, name, obj, options)).splitlines()
    if what == "module" and lines:
        lines[0] = ROOM.sub(lambda match: match[1].upper(), lines[0])
    lines[:] = list(_escaped(lines))
    public = {p.name: p for p in public_objects()}.get(name)
    if public is not None:
        lines += ["", *_facts(public), ""]


def _escaped(lines: list[str]) -> Iterator[str]:
    """The bars of |x| and the stars of f(*args), which mean something else to Sphinx, outside code."""
    code = False
    for line in lines:
        code = line.lstrip().startswith(">>>") or (code and bool(line.strip()))
        pieces = [line] if code else re.split(r"(``.+?``)", line)
        yield "".join(piece if code or piece.startswith("``") else _escape(piece) for piece in pieces)


def _escape(text: str) -> str:
    text = re.sub(r"(?<!\\)\|", r"\|", text)
    return STARS.sub(lambda stars: stars[0].replace("*", r"\*"), text)


def _plain_signatures(app: Sphinx, doctree: nodes.document) -> None:
    """Types in signatures are text: most are names that a module has for itself."""
    for signature in doctree.findall(addnodes.desc_signature):
        for reference in list(signature.findall(addnodes.pending_xref)):
            reference.replace_self(reference.children)


def _facts(public: Public) -> list[str]:
    """What the registry knows of a thing, and by which names it is known."""
    lines: list[str] = []
    if (base := _base(public)) is not None:
        lines.append(f":Base: :class:`{base}`")
    traits = getattr(public.entry, "traits", None)
    for title in ("formula", "derivative"):
        text = getattr(traits, title, "")
        # LaTeX; what is written in Unicode opens the docstring already
        if text.isascii() and re.search(r"[\\^_{]", text):
            lines.append(f":{title.capitalize()}: :math:`{text}`")
    if use := getattr(traits, "use", ""):
        lines.append(f":Use: {_escape(use)}")
    if public.registered:
        lines.append(":Names: " + ", ".join(f'``"{name}"``' for name in public.registered))
    if also := [name for name in public.names[1:] if _is_spelling(name, public)]:
        lines.append(":Also: " + ", ".join(f"``{name}``" for name in also))
    return lines


def _base(public: Public) -> str | None:
    """The nearest public class from which a class derives."""
    known = {p.value: p.name for p in public_objects() if inspect.isclass(p.value)}
    bases = public.value.__mro__[1:] if inspect.isclass(public.value) else ()
    return next((known[base] for base in bases if base in known), None)


def _is_spelling(name: str, public: Public) -> bool:
    """Whether users may write the object so, beside the name of its entry and those of the registry."""
    module, _, short = name.rpartition(".")
    return module == public.page.module and short not in public.registered


def _reference(app: Sphinx, env: Any, node: Any, content: nodes.Node) -> nodes.Node | None:
    """Names that Sphinx does not know: other spellings, objects that are not public, other libraries'."""
    if node.get("refdomain") != "py":
        return None
    addresses = Addresses()
    scopes = [node.get("py:class"), node.get("py:module"), *_scopes(node)]
    place = addresses.find(node["reftarget"], [scope for scope in scopes if scope])
    if place is None:
        return None
    return nodes.reference("", "", content, internal=False, refuri=addresses.relative(place, "api"))


def _scopes(node: nodes.Node) -> list[str]:
    """The modules and classes in which the docstring stands that holds a node."""
    while node.parent is not None and "docstring of " not in (getattr(node, "source", None) or ""):
        node = node.parent
    _, _, name = (getattr(node, "source", None) or "").partition("docstring of ")
    parts = name.split(".")
    return [".".join(parts[:k]) for k in range(len(parts) - 1, 1, -1)]
