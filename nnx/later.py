"""Modules that are imported when something of theirs is asked for: ``import nnx`` loads no room.

``names`` makes a package's ``__getattr__`` and ``__dir__`` (PEP 562) of a table. ``announce`` and ``load``
are for what a room would find only after a room above it was imported, because that one registers it.
"""

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from sys import modules
from typing import Any

_announced: dict[str, tuple[str, ...]] = {}


def names(
    package: str, rooms: Iterable[str], taken: Mapping[str, Iterable[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of ``package``, which import what is asked for and keep it there.

    ``rooms`` are the names of its modules; ``taken`` says which names it takes from which module.

    >>> from nnx.later import names
    >>> get, every = names("json", rooms=["decoder"], taken={"json.encoder": ["JSONEncoder"]})
    >>> get("JSONEncoder"), get("decoder")
    (<class 'json.encoder.JSONEncoder'>, <module 'json.decoder' from ...>)
    >>> get("Encoder")
    Traceback (most recent call last):
    AttributeError: module 'json' has no attribute 'Encoder'
    """
    own = frozenset(rooms)
    where = {name: module for module, every in taken.items() for name in every}

    def get(name: str) -> Any:
        if name in own:
            return import_module(f"{package}.{name}")  # which makes it an attribute of the package
        if name not in where:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = getattr(import_module(where[name]), name)
        setattr(modules[package], name, found)
        return found

    return get, lambda: sorted({*vars(modules[package]), *own, *where})


def announce(what: str, *rooms: str) -> None:
    """Says that ``rooms`` register things of the kind ``what`` when they are imported."""
    _announced[what] = rooms


def load(what: str) -> None:
    """Imports the rooms that were announced for ``what``; those that are there cost nothing."""
    for room in _announced.get(what, ()):
        import_module(room)
