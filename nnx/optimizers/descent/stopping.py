"""When a deterministic method stops, and whether that is a success."""

from __future__ import annotations

import math
from typing import Any, Protocol

from nnx.backend import namespace
from nnx.optimizers.descent.evaluation import Iterate
from nnx.optimizers.problem import Stop, read
from nnx.optimizers.state import State

Array = Any

#: What the status of a Stop means; results have SciPy's (nnx.optimizers.OptimizeResult).
#: 4 is a success, 1 too but where the Jacobian is zero; 2, 3, 5, 6 at a minimum only.
REASONS = {
    -1: "the cost or its gradient is not finite at the start, or their squares over- or underflow",
    0: "a limit was reached (iterations, evaluations or time)",
    1: "the gradient is small",
    2: "the cost no longer falls",
    3: "the weights no longer move",
    4: "the goal is reached",
    5: "no lower cost could be found along the way",
    6: "the damping exceeds its limit",
    99: "the callback asked for it",
}


class StoppingRules(Protocol):
    """The rules of a method, which has the tolerances."""

    def at_rest(self, method: Any, here: Any, state: State) -> Stop | None:
        """Why no step can be made from here, if so."""

    def settled(self, method: Any, here: Any, there: Any, state: State) -> Stop | None:
        """Which of the tolerances the step from ``here`` to ``there`` meets, if any."""


class SmallGradient:
    """The rules that compare the max-norm of the gradient with the largest so far."""

    def at_rest(self, method: Any, here: Iterate, state: State) -> Stop | None:
        if not here.finite:
            return not_finite(here)
        largest = state.values["largest_gradient"] = max(state.values["largest_gradient"], here.norm)
        if here.norm == 0.0:
            return Stop(1, "The gradient is zero.", True)
        return _small_gradient(here.norm, largest) if here.norm <= method.gtol * largest else None

    def settled(self, method: Any, here: Iterate, there: Iterate, state: State) -> Stop | None:
        xp = namespace(here.w)
        eps = float(xp.finfo(here.w.dtype).eps)
        largest = max(state.values["largest_gradient"], there.norm)
        if there.norm <= method.gtol * largest:
            return _small_gradient(there.norm, largest)
        fell, size = here.cost - there.cost, max(abs(here.cost), abs(there.cost))
        if fell <= max(method.ftol, eps) * size:
            words = f"The cost no longer falls: by {fell:.1e} of {size:.6g} in the last step."
            return judged(2, words, there, state)
        norm = xp.linalg.vector_norm
        moved, length = read(norm(there.w - here.w), norm(there.w))
        if moved <= max(method.xtol, eps) * length < math.inf:
            words = f"The weights no longer move: by {moved:.1e} of {length:.6g}."
            return judged(3, words, there, state)
        return None


def _small_gradient(norm: float, largest: float) -> Stop:
    return Stop(1, f"The gradient is small: its max-norm fell to {norm / largest:.1e} of the largest.", True)


def not_finite(here: Iterate) -> Stop:
    """The stop at a point whose cost or gradient is not finite."""
    what = f"the cost is {here.cost}" if not math.isfinite(here.cost) else "the gradient is not finite"
    return Stop(-1, f"No step was made: {what} at this point. Start elsewhere.", False)


def judged(status: int, words: str, here: Iterate, state: State) -> Stop:
    """A stop because nothing moves any more: a success where the gradient is that of a minimum.

    It is if it is small compared with the largest so far, or if each entry of it, times the whole length of
    its variable, is less than a thousandth of the cost: a measure without units.
    """
    xp = namespace(here.w)
    eps = float(xp.finfo(here.w.dtype).eps)
    part = here.norm / max(state.values["largest_gradient"], here.norm)
    reach = read(xp.max(xp.abs(here.projected_gradient * here.w)))[0]
    if part <= eps ** (2.0 / 3.0) or reach <= 1e-3 * abs(here.cost):
        return Stop(status, words, True)
    return Stop(status, f"{words} But the gradient is still {part:.1e} of the largest so far.", False)


def out_of_range(what: str, size: float, like: Array, remedy: str) -> Stop:
    """The stop for entries, the largest of magnitude ``size``, whose squares over- or underflow in a type.

    ``like`` is an array of that type; ``remedy`` says what to do, with ``{}`` for the factor that is missing.
    """
    much, factor = "large" if size > 1.0 else "small", f"1e{-round(math.log10(size))}"
    words = f"{what}, up to {size:.1e}, are too {much} for their squares in {like.dtype}"
    return Stop(-1, f"No step was made: {words}. {remedy.format(factor)}", False)
