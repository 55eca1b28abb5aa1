"""Whether nnx made all that takes part in a computation: only that is recorded.

Of a user's own layer, loss or metric nothing is known: it may print, count or branch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nnx.options import built_in

#: what layers hold for their weights: a computation does not call it
_OF_WEIGHTS = ("_initializer", "_constraint")


def users_own(things: Iterable[Any]) -> str:
    """The first thing that is a user's own, in words; empty where nnx made all of them, and all inside."""
    todo, seen = list(things), set()
    while todo:
        thing = todo.pop()
        if id(thing) in seen or thing is None or isinstance(thing, str | int | float | complex | bytes):
            continue
        seen.add(id(thing))
        if isinstance(thing, Mapping):
            todo.extend(thing.values())
        elif isinstance(thing, list | tuple | set | frozenset):
            todo.extend(thing)
        elif isinstance(thing, type):
            continue
        elif callable(thing) or hasattr(type(thing), "__dataclass_fields__"):
            if not built_in(thing):
                made = getattr(thing, "function", thing)
                return f"{getattr(made, '__name__', None) or type(made).__name__} is not one of nnx's own"
            held = getattr(thing, "__dict__", {})
            todo.extend(value for name, value in held.items() if not name.endswith(_OF_WEIGHTS))
    return ""
