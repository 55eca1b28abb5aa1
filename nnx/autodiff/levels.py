"""Which transforms there are at the moment: their levels, and the maps that run."""

from itertools import count
from typing import Any

#: An inner transform has a higher level than those around it.
levels = count()

#: The adapters of batched arrays of the maps that run, the innermost last. While one does, its namespace
#: serves all arrays of its library, for any of them may meet a batched one.
running: list[Any] = []


def current(space: Any) -> Any:
    """The namespace to use for ``space``: that over batched arrays while a map runs."""
    if running:
        for adapter in reversed(running):
            if adapter.below is space.adapter:
                return adapter.space
    return space
