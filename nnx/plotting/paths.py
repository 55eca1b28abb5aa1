"""The paths that optimizers take down a function of two variables, by their own steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nnx import optimizers
from nnx.backend import adapter_of, given, namespace, to_numpy
from nnx.errors import OptionError, ShapeError
from nnx.optimizers import FunctionProblem
from nnx.options import Number

_STEPS = Number(least=1, whole=True)


def start_of(start: Any) -> Any:
    """The start as a vector of two floating-point numbers."""
    w = given(start, "race: start")
    if tuple(w.shape) != (2,):
        raise ShapeError(f"race: start must be two numbers, got an array of shape {tuple(w.shape)}.")
    home = adapter_of(w)
    return w if home.is_floating(w.dtype) else home.xp.astype(w, home.dtype("float64"))


def paths_of(function: Any, w: Any, chosen: Any, steps: Any) -> dict[str, Any]:
    """The path of each optimizer by its label."""
    count = _STEPS("race", "steps", steps)
    if not isinstance(chosen, Mapping):
        if not isinstance(chosen, list | tuple) or not all(isinstance(name, str) for name in chosen):
            raise OptionError(
                "race: optimizers must be a dict from labels to optimizers or their names, or a list of "
                f"names; got {chosen!r}."
            )
        chosen = {name: name for name in chosen}
    if not chosen:
        raise OptionError("race: optimizers is empty: name at least one, such as {'Adam': 'adam'}.")
    return {str(label): path(function, w, spec, count) for label, spec in chosen.items()}


def path(function: Callable[[Any], Any], start: Any, optimizer: Any, steps: int) -> Any:
    """The points (k + 1, 2) of at most ``steps`` steps of an optimizer on ``function``, as NumPy's array."""
    method = optimizers.get(optimizer)
    if not (hasattr(method, "init") and hasattr(method, "step")):
        raise OptionError(f"race: an optimizer must be one of nnx.optimizers or a name, got {optimizer!r}.")
    w = namespace(start).asarray(start, copy=True)
    problem, points = FunctionProblem(function), [to_numpy(start).astype(np.float64)]
    # A path that leaves for infinity is drawn as far as it goes: that is no surprise to warn of.
    with np.errstate(all="ignore"):
        state = method.init(problem, w)
        for _ in range(steps):
            w, state, info = method.step(problem, w, state)
            point = np.array(to_numpy(w), dtype=np.float64)
            if not np.isfinite(point).all():
                break
            if info.accepted:
                points.append(point)
            if info.stop is not None:
                break
    return np.stack(points)
