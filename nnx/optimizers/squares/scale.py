"""D: the lengths by which steps are measured, and when what was seen on the way is out of date."""

from __future__ import annotations

from typing import Any

from nnx.backend import namespace
from nnx.optimizers.problem import read
from nnx.optimizers.squares.linearized import Linearized
from nnx.optimizers.squares.regions import region
from nnx.optimizers.state import State

Array = Any

#: a run crawls if so many steps in a row lower the total by less than this fraction of it
STEPS, SLOW = 20, 1e-9


def lengths(here: Linearized, memory: dict[str, Array], by_columns: bool) -> Array:
    """D at ``here``, in squares of lengths: constant, or the largest diag(JᵀJ) so far."""
    xp, before, diagonal = namespace(here.w), memory["scale"], here.system.diagonal
    largest = xp.max(diagonal)
    if not by_columns:
        now = xp.where(before > 0.0, before, largest)
    else:
        memory["most"] = xp.maximum(memory["most"], diagonal)
        # beyond 1/ε the decomposition of J·D^(-1/2) loses the column
        highest = diagonal / float(xp.finfo(diagonal.dtype).eps)
        now = xp.maximum(xp.minimum(before, highest), diagonal)
        # a column of zeros has no scale of its own: it takes that of the others
        now = xp.where(now > 0.0, now, largest)
    memory["scale"] = now
    return xp.where(now > 0.0, now, 1.0)


def forget(state: State) -> None:
    """Makes the next D of the present Jacobian only."""
    for name in ("scale", "most"):
        state.memory[name] = 0.0 * state.memory[name]
    state.values["crawled"] = 0.0


def plateau(here: Any, there: Any, most: Array) -> bool:
    """Whether a column of J that is not negligible here, compared with its longest so far, is so there."""
    xp, now = namespace(here.w), here.system.diagonal
    lost = (there.system.diagonal <= 1e-16 * now) & (now > 1e-16 * most)
    return bool(read(xp.astype(xp.any(lost), here.w.dtype))[0])


def crawls(there: Linearized, fall: float, state: State) -> bool:
    """Whether steps are held short by lengths that columns of J had once, and no longer have."""
    values = state.values
    values["crawled"] = values["crawled"] + 1.0 if fall < SLOW * there.total else 0.0
    if values["crawled"] < STEPS:
        return False
    values["crawled"] = 0.0
    xp, scale, diagonal = namespace(there.w), state.memory["scale"], there.system.diagonal
    if not read(xp.astype(xp.any(scale > 100.0 * diagonal), scale.dtype))[0]:
        return False
    now = xp.where(diagonal > 0.0, diagonal, 1.0)
    return fall <= 1e-6 * region(there.system, now, there.free).decrement
