"""Bounds as users write them: for the methods that keep them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from nnx.backend import device_of, given, namespace
from nnx.errors import OptionError, ShapeError
from nnx.optimizers.descent.box import Box
from nnx.optimizers.functions.run import Start
from nnx.optimizers.problem import read, read_vector, registry

Array = Any


def bounded(optimizer: Any, bounds: Any, start: Start) -> tuple[Any, Start]:
    """The optimizer with these bounds (a box, or see :func:`as_box`), and the start moved into them."""
    box = bounds if isinstance(bounds, Box) else as_box(bounds, start)
    if box is None:
        return optimizer, start
    if not _knows_bounds(type(optimizer)):
        able = [entry.name for entry in registry if _knows_bounds(entry.target)]
        raise OptionError(f"{type(optimizer).__name__} knows no bounds; methods that do: {', '.join(able)}.")
    # a copy: the run writes into its start
    w = namespace(start.w).asarray(box.project(start.w), copy=True)
    return replace(optimizer, bounds=box), start._replace(w=w)


def need_inside(box: Box, w: Array, what: str) -> None:
    """Raises :class:`nnx.errors.OptionError` for a start ``w`` outside the box; ``what`` names it."""
    xp = namespace(w)
    inside = (box.lower <= w) & (w <= box.upper)
    if read(xp.astype(xp.all(inside), w.dtype))[0]:
        return
    sides = zip(*map(read_vector, (w, box.lower, box.upper)), strict=True)
    for i, (entry, low, high) in enumerate(sides):
        if not low <= entry <= high:
            raise OptionError(
                f"{what} is outside of the bounds: entry {i} is {entry:g}, its bounds are {low:g} and "
                f"{high:g}. Start inside of them."
            )


def _knows_bounds(method: Any) -> bool:
    own = getattr(method, "__dataclass_fields__", {}).get("bounds")
    return own is not None and own.init


def as_box(bounds: Any, start: Start, sides: bool = False) -> Box | None:
    """The box of ``[(low, high), ...]``, of ``(lower, upper)``, or of an object with ``lb`` and ``ub``.

    Arrays of shape (n, 2) and (2, n) mean the same. Two pairs for two variables may be either: with ``sides``
    they are all lower and all upper bounds. None is no bound; without any bound there is no box, but None.
    """
    if bounds is None:
        return None
    w = start.w
    lower, upper = _two_sides(bounds, int(w.shape[0]), sides)
    box = Box(_side(lower, w, -math.inf), _side(upper, w, math.inf))
    xp = namespace(w)
    wrong, bound = read(
        xp.astype(xp.any(xp.logical_not(box.lower <= box.upper)), w.dtype),
        xp.astype(xp.any((box.lower != -math.inf) | (box.upper != math.inf)), w.dtype),
    )
    if wrong:
        raise OptionError("No lower bound may be above the upper one, and none may be NaN.")
    return box if bound else None


def _two_sides(bounds: Any, n: int, sides: bool) -> tuple[Any, Any]:
    """All lower and all upper bounds, each a number or one for each variable."""
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        return _one_for_all(bounds.lb), _one_for_all(bounds.ub)
    if isinstance(bounds, str) or not isinstance(bounds, Iterable):
        raise OptionError(f"bounds must be pairs (low, high) or a pair of arrays, got {bounds!r}.")
    if hasattr(bounds, "shape"):
        rows = given(bounds, "bounds")
        bounds = [rows[i, ...] for i in range(rows.shape[0])] if rows.ndim else []
    bounds = list(bounds)
    if len(bounds) == n and not (sides and n == 2) and all(map(_is_pair, bounds)):
        return [low for low, _ in map(_entries, bounds)], [high for _, high in map(_entries, bounds)]
    if len(bounds) == 2:
        return bounds[0], bounds[1]
    raise ShapeError(
        f"bounds must be {n} pairs (low, high), one for each variable, or all lower and all upper bounds; "
        f"got {len(bounds)} entries."
    )


def _one_for_all(bound: Any) -> Any:
    """An array of one bound as that bound: SciPy's Bounds makes one of a number."""
    return bound[0] if tuple(getattr(bound, "shape", ())) == (1,) else bound


def _is_pair(b: Any) -> bool:
    return len(b) == 2 if isinstance(b, tuple | list) else tuple(getattr(b, "shape", ())) == (2,)


def _entries(b: Any) -> list[Any]:
    return read_vector(b) if hasattr(b, "shape") else list(b)


def _side(bound: Any, w: Array, missing: float) -> Array:
    """The bounds of one side as a vector like ``w``; ``missing`` takes the place of None."""
    xp = namespace(w)
    if bound is None:
        bound = missing
    if isinstance(bound, list | tuple):
        bound = [missing if b is None else b if isinstance(b, list | tuple) else float(b) for b in bound]
    if not isinstance(bound, int | float):
        bound = given(bound, "bounds")
        bound = xp.astype(xp.asarray(bound, device=device_of(w)), w.dtype)
        if bound.ndim and bound.shape != w.shape:
            raise ShapeError(
                f"A bound must be a number or have shape {tuple(w.shape)}, like the variables; got "
                f"{tuple(bound.shape)}."
            )
    return xp.zeros_like(w) + bound
