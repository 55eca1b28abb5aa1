"""Arguments of a recorded function: what tells them from others, and whether they are what they were."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from numbers import Number
from typing import Any

from nnx.autodiff.tree import flatten
from nnx.backend import adapter_of
from nnx.errors import RecordingError

Array = Any


class Static:
    """A leaf: an argument that is told from others by ``==``, whatever it is."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return type(other) is Static and by_value(self.value) == by_value(other.value)

    def __hash__(self) -> int:
        return hash(by_value(self.value))


def overlap(arrays: Sequence[Array], others: Sequence[Any]) -> bool:
    """Whether some of the arrays may share their memory, with each other or with ``others``."""
    share, kinds = adapter_of(*arrays).shares_memory, {type(x) for x in arrays}
    others = [x for x in others if type(x) in kinds]
    return any(
        x is y or (x.ndim and y.ndim and (share(x, y) or share(y, x)))
        for k, x in enumerate(arrays)
        for y in (*arrays[:k], *others)
    )


def holds(tree: Any, leaves: Sequence[Any], shape: Any) -> bool:
    """Whether a tree has still these leaves, and the :func:`structure` that it had, ``shape``."""
    now = flatten(tree)[0]
    return len(now) == len(leaves) and all(map(operator.is_, now, leaves)) and structure(tree) == shape


def is_array(x: Any) -> bool:
    """Whether it is an array: no class of them, which has the same attributes."""
    return hasattr(x, "dtype") and hasattr(x, "shape") and not isinstance(x, type)


def by_value(leaf: Any) -> Any:
    """What tells a value from others: 1, 1.0 and True are three, 0.0 and -0.0 two; also in tuples."""
    kind = type(leaf)
    if kind is tuple or kind is frozenset:
        return kind, kind(map(by_value, leaf))
    try:
        hash(leaf)
    except TypeError:
        raise RecordingError(
            f"An argument of a function under nnx.jit is a {type(leaf).__name__}: not an array, and not "
            "hashable. Name it in static_argnums only if it has a hash; else make it part of a closure."
        ) from None
    return kind, repr(leaf) if isinstance(leaf, Number) and kind is not int else leaf


def structure(tree: Any) -> Any:
    """The containers of the arguments, hashable."""
    kind = type(tree)
    if kind in (tuple, list) or hasattr(tree, "_fields"):
        return kind, tuple(map(structure, tree))
    if isinstance(tree, dict):
        return kind, tuple((type(k), k, structure(v)) for k, v in tree.items())
    if is_dataclass(tree) and not isinstance(tree, type):
        return kind, tuple(structure(getattr(tree, f.name)) for f in fields(tree) if f.init)
    return kind if tree is None else None
