"""When a deterministic method stops, and whether that is a success."""

from __future__ import annotations

import math
from typing import Any, Protocol

from nnx.backend import namespace
from nnx.optimizers.descent.evaluation import Evaluation, Iterate, precision
from nnx.optimizers.descent.outlook import Outlook, Verdict, contradiction, lost, stationary, verdict
from nnx.optimizers.problem import Stop, read
from nnx.optimizers.state import State

Array = Any

#: What the status of a Stop means (results have SciPy's, nnx.optimizers.OptimizeResult). 4 is a success; 2
#: and 3 by an option of the user's are, and 1 but where the function shows no minimum; what the precision of
#: the type ends is a success at a minimum only.
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

#: Steps in a row without a fall beyond rounding, nor half the gradient: so many, and the model is asked
#: whether anything is left to gain; so many, and the run ends whatever it says
_PATIENCE, _MOST_STALLED = 2.0, 8.0
#: A fall of so many units of rounding is one, whatever was promised
_SURELY = 1e4
#: What the rules remember: those steps, the least gradient in them, the largest magnitude of the cost, and
#: the largest fall that the last step of the method could bring where the cost is convex
PROGRESS = {"stalled": 0.0, "least_gradient": 0.0, "largest_cost": 0.0, "promised": 0.0}


class StoppingRules(Protocol):
    """The rules of a method, which has the tolerances."""

    def at_rest(self, method: Any, here: Any, state: State) -> Stop | None:
        """Why no step can be made from here, if so."""

    def settled(self, method: Any, here: Any, there: Any, state: State) -> Stop | None:
        """Which of the tolerances the step from ``here`` to ``there`` meets, if any."""


class SmallGradient:
    """The rules of the methods for any cost: SciPy's tolerances where they are given, else what is left."""

    def at_rest(self, method: Any, here: Evaluation, state: State) -> Stop | None:
        if not here.finite:
            return not_finite(here)
        state.values["largest_cost"] = max(state.values["largest_cost"], abs(here.cost))
        if here.norm == 0.0:
            success, words, _ = stationary(here, state.step > 0)
            return Stop(1, f"{words}." if success else f"{words}. Start elsewhere.", success)
        return _at_most_gtol(method, here)

    def settled(self, method: Any, here: Evaluation, there: Evaluation, state: State) -> Stop | None:
        if (stop := _at_most_gtol(method, there)) is not None:
            return stop
        fell, size = here.cost - there.cost, max(abs(here.cost), abs(there.cost))
        if method.ftol and fell <= method.ftol * size:
            return Stop(2, f"The cost no longer falls: by {fell:.1e} of {size:.6g} in the last step.", True)
        if method.xtol:
            xp = namespace(here.w)
            excess = read(xp.max(xp.abs(there.w - here.w) - method.xtol * xp.abs(there.w)))[0]
            if excess <= 0.0:
                words = f"by at most {method.xtol:g} of each variable in the last step"
                return Stop(3, f"The weights no longer move: {words}.", True)
        self._count(fell, here, there, state.values)
        return None

    def _count(self, fell: float, here: Evaluation, there: Evaluation, values: dict[str, float]) -> None:
        """Counts the steps in a row after which the cost is the same but for rounding.

        It is also where the fall is larger than any that the slope could promise: a chance of the rounding.
        While each halves the gradient, they still bring something, but not where the cost is next to 0.
        """
        nothing = max(lost(here, values["largest_cost"]), lost(there, values["largest_cost"]))
        if fell > nothing and (values["promised"] > nothing or fell > _SURELY * nothing):
            values["stalled"] = values["least_gradient"] = 0.0
            return
        halved = not there.norm > 0.5 * values["least_gradient"] or not values["least_gradient"]
        if halved and abs(there.cost) > nothing:
            values["stalled"], values["least_gradient"] = 0.0, there.norm
        else:
            values["stalled"] += 1.0


def stalled(here: Evaluation, outlook: Outlook | None, state: State) -> tuple[Stop | None, Verdict | None]:
    """The stop where the last steps brought nothing and the model says that nothing is left to gain.

    And the verdict where they brought nothing, and yet something is left: what the method learned is of no
    use.
    """
    count = state.values["stalled"]
    if count < _PATIENCE:
        return None, None
    found = verdict(here, outlook, state.values["largest_cost"])
    if found.success:
        return small(found.words), None
    if count < _MOST_STALLED:
        return None, found
    words = doubt(here) or f"But {found.words}."
    return Stop(2, f"The cost no longer falls beyond rounding. {words}", False), found


def doubt(here: Evaluation) -> str:
    """In words, that a gradient which the user gave contradicts the function at ``here``, by two values."""
    if not getattr(here.problem, "given_gradient", False):
        return ""
    xp = namespace(here.w)
    p = -here.projected_gradient / here.norm
    slope, size, longest = read(
        xp.vecdot(p, here.projected_gradient), xp.max(xp.abs(here.w)), xp.max(xp.abs(p))
    )
    near = precision(here.w).eps ** (1.0 / 3.0)
    return contradiction(here, p, slope, near * (size or 1.0) / (longest or 1.0))


def small(words: str) -> Stop:
    """The stop where nothing is left to gain."""
    return Stop(1, f"The gradient is small: nothing is left to gain ({words}).", True)


def _at_most_gtol(method: Any, here: Iterate) -> Stop | None:
    if method.gtol is None or not here.norm <= method.gtol:
        return None
    return Stop(1, f"The gradient is small: its max-norm is {here.norm:.1e}, gtol is {method.gtol:g}.", True)


def not_finite(here: Iterate) -> Stop:
    """The stop at a point whose cost or gradient is not finite."""
    what = f"the cost is {here.cost}" if not math.isfinite(here.cost) else "the gradient is not finite"
    return Stop(-1, f"No step was made: {what} at this point. Start elsewhere.", False)


def out_of_range(what: str, size: float, like: Array, remedy: str) -> Stop:
    """The stop for entries, the largest of magnitude ``size``, whose squares over- or underflow in a type.

    ``like`` is an array of that type; ``remedy`` says what to do, with ``{}`` for the factor that is missing.
    """
    much, factor = "large" if size > 1.0 else "small", f"1e{-round(math.log10(size))}"
    words = f"{what}, up to {size:.1e}, are too {much} for their squares in {like.dtype}"
    return Stop(-1, f"No step was made: {words}. {remedy.format(factor)}", False)
