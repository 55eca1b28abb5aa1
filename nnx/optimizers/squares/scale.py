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
#: a length that is more than so many times that of the present column falls by this factor in each step
MOST, FALL = 1e4, 0.1
#: the other measure is tried after so many slow steps in a row that the region held short; then after longer
HELD, LONGER = 30.0, 1.5


def numbers() -> dict[str, float]:
    """The floats that are kept from step to step."""
    return {"relative": 0.0, "held": 0.0, "patience": HELD, "crawled": 0.0}


def memory(w: Array) -> dict[str, Array]:
    """The vectors that are kept from step to step."""
    return {name: namespace(w).zeros_like(w) for name in ("scale", "most", "last", "size")}


def lengths(here: Linearized, state: State, measure: str | None, units: Array | None) -> Array:
    """D at ``here``, in squares of lengths, by the ``measure`` (None: relative or by columns, in turn)."""
    xp, memory, values, diagonal = namespace(here.w), state.memory, state.values, here.system.diagonal
    if measure == "identity":
        now = _constant(diagonal, memory["scale"], units)
        memory["scale"] = now
        return xp.where(now > 0.0, now, 1.0)
    memory["most"] = xp.maximum(memory["most"], diagonal)
    memory["last"] = xp.where(diagonal > 0.0, diagonal, memory["last"])
    memory["size"] = xp.maximum(memory["size"], xp.abs(here.w))
    if measure == "relative" or values["relative"]:
        now = _relative(diagonal, memory["size"])
    else:
        now = memory["scale"] = _columns(diagonal, memory["scale"])
    return xp.where(now > 0.0, now, 1.0)


def _constant(diagonal: Array, before: Array, units: Array | None) -> Array:
    """The largest entry of diag(JᵀJ) at the start, in the ``units`` of the weights."""
    xp = namespace(diagonal)
    now = xp.max(diagonal if units is None else diagonal * units * units)
    return xp.where(before > 0.0, before, now if units is None else now / (units * units))


def _columns(diagonal: Array, before: Array) -> Array:
    """The largest diag(JᵀJ) so far."""
    xp = namespace(diagonal)
    highest = xp.maximum(MOST**2 * diagonal, FALL**2 * before)
    now = xp.maximum(xp.minimum(before, highest), diagonal)
    # a column of zeros has no scale of its own: it takes that of the others
    return xp.where(now > 0.0, now, xp.max(diagonal))


def _relative(diagonal: Array, size: Array) -> Array:
    """By changes relative to the sizes of the variables; a variable that was always 0 takes the largest."""
    xp = namespace(diagonal)
    size = xp.where(size > 0.0, size, xp.max(size))
    size = xp.where(size > 0.0, size, 1.0)
    longest = xp.max(xp.sqrt(diagonal) * size)
    return (longest / size) ** 2


def forget(state: State) -> None:
    """Makes the next D of the present Jacobian only."""
    for name in ("scale", "most", "last"):
        state.memory[name] = 0.0 * state.memory[name]
    state.values["crawled"] = 0.0


def turns(slow: bool, state: State) -> bool:
    """Whether the region held so many slow steps short that the other measure was taken.

    ``slow``: the last step was held short, and did not halve the total.
    """
    values = state.values
    values["held"] = values["held"] + 1.0 if slow else 0.0
    if values["held"] < values["patience"]:
        return False
    values["held"], values["patience"] = 0.0, LONGER * values["patience"]
    values["relative"] = 1.0 - values["relative"]
    forget(state)
    return True


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
