"""Nested containers of arrays (tuples, lists, dicts, dataclasses and None): flattened and rebuilt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from nnx.errors import ShapeError


def flatten(tree: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """The leaves of ``tree`` in order, and the function that builds such a tree from other leaves.

    The function keeps none of the leaves.

    >>> leaves, build = nnx.autodiff.flatten({"a": 1.0, "b": [2.0, None]})
    >>> leaves, build([10.0, 20.0])
    ([1.0, 2.0], {'a': 10.0, 'b': [20.0, None]})
    """
    if _opener(type(tree)) is None:
        return [tree], _only
    leaves: list[Any] = []
    _collect(tree, leaves)
    plan = _plan(tree)
    return leaves, lambda new: plan(iter(new))


def aligned(tree: Any, like: Any, what: str) -> list[Any]:
    """The leaves of ``tree`` in the order of the leaves of ``like``; dicts are matched by their keys.

    In the place of a leaf of ``like`` the tree may have a list of numbers. Raises
    :class:`nnx.errors.ShapeError`, which calls the tree ``what``, where the structures differ.
    """
    if _opener(type(like)) is None:
        if tree is None or isinstance(tree, dict | str):
            raise ShapeError(f"{what} has {_kind(tree)} where an array belongs.")
        return [tree]
    leaves: list[Any] = []
    _align(tree, like, what, leaves)
    return leaves


def _align(tree: Any, like: Any, what: str, leaves: list[Any]) -> None:
    if _opener(type(like)) is None:
        leaves += aligned(tree, like, what)
        return
    if isinstance(like, dict):
        if not isinstance(tree, dict) or tree.keys() != like.keys():
            raise ShapeError(f"{what} has {_kind(tree)} where {_kind(like)} belongs.")
        pairs = [(f"{what}[{key!r}]", tree[key], part) for key, part in like.items()]
    else:
        sequence = isinstance(like, tuple | list)
        parts = _opener(type(like))(like)  # type: ignore[misc]
        same = isinstance(tree, tuple | list) if sequence else type(tree) is type(like)
        own = _opener(type(tree))(tree) if same else []  # type: ignore[misc]
        if not same or len(own) != len(parts):
            raise ShapeError(f"{what} has {_kind(tree)} where {_kind(like)} belongs.")
        pairs = [(f"{what}[{i}]", a, b) for i, (a, b) in enumerate(zip(own, parts, strict=True))]
    for place, a, b in pairs:
        _align(a, b, place, leaves)


def _kind(tree: Any) -> str:
    if tree is None:
        return "None"
    name = type(tree).__name__
    if isinstance(tree, dict):
        return f"a {name} of {', '.join(map(repr, tree)) or 'nothing'}"
    return f"a {name} of {len(tree)}" if isinstance(tree, tuple | list) else f"an object of class {name}"


def _only(leaves: list[Any]) -> Any:
    return leaves[0]


def _opener_of(kind: type) -> Callable[[Any], list[Any]] | None:
    """The function that gives the children of a container of that class; None for a class of leaves."""
    if kind is type(None):
        return lambda tree: []
    if issubclass(kind, tuple | list):
        return list
    if issubclass(kind, dict):
        return lambda tree: list(tree.values())
    if is_dataclass(kind):
        names = [f.name for f in fields(kind) if f.init]
        return lambda tree: [getattr(tree, name) for name in names]
    return None


#: Found once per class: most often it is the class of an array.
_opener: Callable[[Any], Callable[[Any], list[Any]] | None] = cache(_opener_of)


def _collect(tree: Any, leaves: list[Any]) -> None:
    children = _opener(type(tree))
    if children is None:
        leaves.append(tree)
    else:
        for part in children(tree):
            _collect(part, leaves)


def _plan(tree: Any) -> Callable[[Iterator[Any]], Any]:
    """The function that builds such a tree from leaves one by one; it keeps the structure and no leaf."""
    kind = type(tree)
    children = _opener(kind)
    if children is None:
        return next
    if tree is None:
        return lambda leaves: None
    plans = [_plan(part) for part in children(tree)]
    if isinstance(tree, dict):
        keys = list(tree)
        return lambda leaves: {key: plan(leaves) for key, plan in zip(keys, plans, strict=True)}
    if isinstance(tree, tuple | list):
        if hasattr(tree, "_fields"):
            return lambda leaves: kind(*[plan(leaves) for plan in plans])
        return lambda leaves: kind([plan(leaves) for plan in plans])
    names = [f.name for f in fields(tree) if f.init]
    return lambda leaves: kind(**{name: plan(leaves) for name, plan in zip(names, plans, strict=True)})
