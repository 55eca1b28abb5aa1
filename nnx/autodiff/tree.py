"""Nested containers of arrays: tuples, lists, dicts, dataclasses and None, taken apart and put together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any


def flatten(tree: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """The leaves of ``tree`` in order, and the function that builds such a tree from other leaves.

    >>> leaves, build = nnx.autodiff.flatten({"a": 1.0, "b": [2.0, None]})
    >>> leaves, build([10.0, 20.0])
    ([1.0, 2.0], {'a': 10.0, 'b': [20.0, None]})
    """
    leaves: list[Any] = []
    _collect(tree, leaves)
    return leaves, lambda new: _build(tree, iter(new))


def _parts(tree: Any) -> list[Any] | None:
    """The children of a container, None for a leaf."""
    if tree is None:
        return []
    if isinstance(tree, tuple | list):
        return list(tree)
    if isinstance(tree, dict):
        return list(tree.values())
    if is_dataclass(tree) and not isinstance(tree, type):
        return [getattr(tree, f.name) for f in fields(tree) if f.init]
    return None


def _collect(tree: Any, leaves: list[Any]) -> None:
    parts = _parts(tree)
    if parts is None:
        leaves.append(tree)
    else:
        for part in parts:
            _collect(part, leaves)


def _build(tree: Any, leaves: Any) -> Any:
    parts = _parts(tree)
    if parts is None:
        return next(leaves)
    new = [_build(part, leaves) for part in parts]
    if tree is None:
        return None
    if isinstance(tree, dict):
        return dict(zip(tree, new, strict=True))
    if isinstance(tree, tuple | list):
        return type(tree)(*new) if hasattr(tree, "_fields") else type(tree)(new)
    names = [f.name for f in fields(tree) if f.init]
    return replace(tree, **dict(zip(names, new, strict=True)))
