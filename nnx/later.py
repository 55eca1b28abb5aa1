"""Modules that are imported when something of theirs is asked for: ``import nnx`` loads no room.

``names`` makes a package's ``__getattr__`` and ``__dir__`` (PEP 562) of a table. ``announce`` and ``load``
are for what a room would find only after a room above it was imported, because that one registers it.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any

_announced: dict[str, tuple[str, ...]] = {}


def names(
    package: str, taken: Mapping[str, str], other: Callable[[str], Any] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of ``package``, which import what is asked for and keep it there.

    ``taken`` says which names the package takes from which module, as words of a text. The package's modules
    are names of it as well. What is neither, ``other`` is asked for, which raises AttributeError.

    >>> from nnx.later import names
    >>> get, known = names("json", {"json.encoder": "JSONEncoder"})
    >>> get("JSONEncoder"), get("scanner")
    (<class 'json.encoder.JSONEncoder'>, <module 'json.scanner' from ...>)
    >>> get("Encoder")
    Traceback (most recent call last):
    AttributeError: module 'json' has no attribute 'Encoder'
    """
    where = {name: module for module, words in taken.items() for name in words.split()}
    announce(package, *taken)

    def get(name: str) -> Any:
        if name in where:
            found = getattr(import_module(where[name]), name)
            setattr(sys.modules[package], name, found)
            return found
        if not name.startswith("_") and _is_module(f"{package}.{name}"):
            return sys.modules[f"{package}.{name}"]
        if other is not None:
            return other(name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def known() -> list[str]:
        import pkgutil  # hardly ever needed

        own = (module.name for module in pkgutil.iter_modules(sys.modules[package].__path__))
        return sorted({*vars(sys.modules[package]), *where, *own} - {"__main__"})

    return get, known


def _is_module(name: str) -> bool:
    """Whether there is a module of that name, which is imported."""
    try:
        import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:  # it is there, and what it needs is not
            raise
        return False
    return True


def announce(what: str, *rooms: str) -> None:
    """Says that ``rooms`` register things of the kind ``what`` when they are imported."""
    _announced[what] = (*rooms, *_announced.get(what, ()))


def loading(what: str) -> Iterator[str]:
    """Imports the rooms that were announced for ``what`` one by one; those that are there cost nothing."""
    for room in _announced.get(what, ()):
        import_module(room)
        yield room


def load(what: str) -> None:
    """Imports all of them."""
    for _ in loading(what):
        pass
