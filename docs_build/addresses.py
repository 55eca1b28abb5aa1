"""From the name of an object to the place where it is documented."""

from __future__ import annotations

import importlib
import inspect
import posixpath
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from docs_build import foreign
from docs_build.folders import PACKAGE, ROOT
from docs_build.names import MODULES, Public, public_objects


def found(name: str) -> Any:
    """The object of a dotted name; AttributeError or ImportError where there is none."""
    parts = name.split(".")
    value = importlib.import_module(parts[0])
    for k, part in enumerate(parts[1:], 2):
        if not hasattr(value, part) and inspect.ismodule(value):
            importlib.import_module(".".join(parts[:k]))
        value = getattr(value, part)
    return value


class Addresses:
    """The places of all names. A place is an address relative to the site's root, or one in the web."""

    def __init__(self) -> None:
        self.public = {name: p for p in public_objects() for name in p.names}

    def find(self, name: str, scopes: Iterable[str] = ()) -> str | None:
        """The place of a name, which may be written relative to one of the scopes; None if there is none."""
        for full in (name, *(f"{scope}.{name}" for scope in scopes)):
            if (place := self._find(full)) is not None:
                return place
        return _defined_once(name) if scopes and "." not in name else foreign.address(name)

    def _find(self, name: str) -> str | None:
        if name == "nnx":
            return "api/index.html"
        if not name.startswith("nnx."):
            return None
        if name in MODULES:
            return f"api/{MODULES[name].stem}.html"
        if (public := self.entry(name)) is not None:
            return _entry(public) if name in self.public else self._member(public, name)
        return _lines(name)

    def entry(self, name: str) -> Public | None:
        """The public object to which a name, or a name below it, belongs."""
        parts = name.split(".")
        for k in range(len(parts), 1, -1):
            if (public := self.public.get(".".join(parts[:k]))) is not None:
                return public
        return None

    def _member(self, public: Public, name: str) -> str | None:
        """A method or attribute: where the class that defines it has it, which may be a base."""
        member = name.rpartition(".")[2]
        if not inspect.isclass(public.value):
            return None
        for base in public.value.__mro__:
            owner = self.public.get(f"{base.__module__}.{base.__qualname__}")
            if member in vars(base) and owner is not None and documented(base, member):
                return f"{_entry(owner)}.{member}"
            if member in vars(base) or member in getattr(base, "__annotations__", {}):
                return _entry(owner or public)
        return None

    @staticmethod
    def relative(place: str, folder: str) -> str:
        """The address of a place as seen from a page in a folder of the site."""
        return place if place.startswith("https:") else posixpath.relpath(place, folder or ".")


def documented(cls: type, member: str) -> bool:
    """Whether the reference shows a member of a class: one with a docstring of its own."""
    value = inspect.getattr_static(cls, member)
    return (
        not member.startswith("_") and bool(getattr(value, "__doc__", None)) and callable_or_property(value)
    )


def callable_or_property(value: Any) -> bool:
    """Whether the docstring is the member's own, and not that of its value's class."""
    return isinstance(value, property | staticmethod | classmethod) or inspect.isroutine(value)


def _entry(public: Public) -> str:
    return f"api/{public.page.stem}.html#{public.name}"


def lines_of(name: str) -> tuple[Path, int, int] | None:
    """File, first and last line of a function, method or class of nnx, below its decorators' first."""
    try:
        value = found(name)
    except (AttributeError, ImportError):
        return None
    if inspect.ismodule(value):
        path = Path(str(value.__file__))
        return path, 1, len(path.read_text(encoding="utf-8").splitlines())
    value = inspect.unwrap(value.fget if isinstance(value, property) else value)
    try:
        path = Path(str(inspect.getsourcefile(value)))
        lines, first = inspect.getsourcelines(value)
    except (TypeError, OSError):
        return None
    inside = PACKAGE in path.parents or Path(str(sys.modules["nnx"].__file__)).parent in path.parents
    return (path, first, first + len(lines) - 1) if inside else None


def source_page(path: Path) -> str:
    """The page of the site that shows a file of the package, without its suffix."""
    package = Path(str(sys.modules["nnx"].__file__)).parent.parent
    return (
        "source/" + path.relative_to(package if package in path.parents else ROOT).with_suffix("").as_posix()
    )


def _lines(name: str) -> str | None:
    place = lines_of(name)
    return None if place is None else f"{source_page(place[0])}.html#L-{place[1]}"


def _defined_once(name: str) -> str | None:
    """The lines of what only one module of nnx defines under that name; else another library's."""
    values = [vars(m).get(name) for key, m in list(sys.modules.items()) if key.startswith("nnx.")]
    modules = {v.__module__ for v in values if inspect.isclass(v) or inspect.isfunction(v)}
    return _lines(f"{modules.pop()}.{name}") if len(modules) == 1 else foreign.address(name)
