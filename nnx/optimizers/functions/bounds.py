"""Bounds as users write them: for the methods that keep them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from nnx.backend import asarray, device_of, namespace
from nnx.errors import OptionError, ShapeError
from nnx.optimizers.descent.box import Box
from nnx.optimizers.functions.run import Start
from nnx.optimizers.problem import read, registry

Array = Any


def bounded(optimizer: Any, bounds: Any, start: Start, sides: bool = False) -> tuple[Any, Start]:
    """The optimizer with these bounds (see :func:`as_box`), and the start moved into them."""
    if not _knows_bounds(type(optimizer)):
        able = [entry.name for entry in registry if _knows_bounds(entry.target)]
        raise OptionError(f"{type(optimizer).__name__} knows no bounds; methods that do: {', '.join(able)}.")
    box = as_box(bounds, start, sides)
    # a copy: the run writes into its start
    w = namespace(start.w).asarray(box.project(start.w), copy=True)
    return replace(optimizer, bounds=box), start._replace(w=w)


def _knows_bounds(method: Any) -> bool:
    own = getattr(method, "__dataclass_fields__", {}).get("bounds")
    return own is not None and own.init


def as_box(bounds: Any, start: Start, sides: bool = False) -> Box:
    """The box of ``[(low, high), ...]``, of ``(lower, upper)``, or of an object with ``lb`` and ``ub``.

    Two pairs for two variables may be either: with ``sides`` they are all lower and all upper bounds.
    """
    w, n = start.w, int(start.w.shape[0])
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        lower, upper = bounds.lb, bounds.ub
    elif not isinstance(bounds, Sequence):
        raise OptionError(f"bounds must be pairs (low, high) or a pair of arrays, got {bounds!r}.")
    elif (
        not (sides and len(bounds) == 2)
        and len(bounds) == n
        and all(isinstance(b, tuple | list) and len(b) == 2 for b in bounds)
    ):
        lower = [-math.inf if low is None else float(low) for low, _ in bounds]
        upper = [math.inf if high is None else float(high) for _, high in bounds]
    elif len(bounds) == 2:
        lower, upper = bounds
    else:
        raise ShapeError(f"bounds must be {n} pairs (low, high), one for each variable, got {len(bounds)}.")
    box = Box(_side(lower, w), _side(upper, w))
    xp = namespace(w)
    if read(xp.astype(xp.any(box.lower > box.upper), w.dtype))[0]:
        raise OptionError("No lower bound may be above the upper one.")
    return box


def _side(bound: Any, w: Array) -> Array:
    xp = namespace(w)
    if isinstance(bound, list | tuple):
        bound = asarray([float(b) for b in bound])
    if not isinstance(bound, int | float):
        bound = xp.astype(xp.asarray(bound, device=device_of(w)), w.dtype)
        if bound.ndim == 1 and bound.shape[0] == 1:  # as SciPy's Bounds makes of a number
            bound = bound[0]
        if bound.ndim and bound.shape != w.shape:
            raise ShapeError(f"A bound must be a number or have shape {tuple(w.shape)}, got {bound.shape}.")
    return xp.zeros_like(w) + bound
