"""Steps that are tried until one lowers the cost: what Levenberg–Marquardt and the dog-leg share."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, ClassVar, NamedTuple

from nnx.backend import namespace
from nnx.optimizers.descent.deterministic import Move
from nnx.optimizers.problem import Problem, Stop, read
from nnx.optimizers.squares.gauss_newton import SumOfSquares, no_lower, one_of
from nnx.optimizers.state import State

Array = Any


class Step(NamedTuple):
    """A step of the linear model of the residuals, and the step to make: mostly the same."""

    linear: Array
    made: Array


class Attempt(NamedTuple):
    """A step that was tried: where it leads, and how its promise compares with what it kept."""

    there: Any
    fall: float  # cost here − cost there
    promised: float  # the same by the linear model of the residuals
    length: float  # of the step
    scaled: float  # ‖√D·step‖
    size: float  # of the weights

    @property
    def gain(self) -> float:
        """ρ, what was kept of the promise; nan where a cost is not finite."""
        return self.fall / self.promised if self.promised > 0.0 else math.nan


@dataclass(frozen=True)
class Retrying(SumOfSquares):
    """Base class: where a step does not lower the cost, a more careful one is tried from the same point.

    ``scaling`` is D, by which steps are measured: ``"identity"``, in units of the largest number of
    diag(JᵀJ) at the start, so that neither the cost's scale nor the number of samples matters; or
    ``"marquardt"``: D ← max(diag(JᵀJ), D/4), between Marquardt's diag(JᵀJ) and Moré's largest one so far,
    which makes the path independent of the variables' units as well. A step that takes a variable its
    influence (its column of J shrinks to 1e-8 of its length: a plateau, from which nothing leads back) is
    then refused like one that raises the cost, a few times.

    Without a ``scaling`` the problem chooses: a network in ``fit`` takes ``"identity"``, for its weights have
    like units, and a weight without influence now (that of a saturated neuron) must not be free to run away;
    functions take ``"marquardt"``.

    ``bounds`` are kept by projection. Further options: :class:`nnx.optimizers.SumOfSquares`.
    """

    _: KW_ONLY
    scaling: str | None = None
    bounds: Any = field(default=None, compare=False)

    #: what D keeps of itself from step to step; steps onto a plateau that are refused in a row
    kept: ClassVar[float] = 0.25
    patience: ClassVar[int] = 8
    #: steps tried in one iteration: enough to shorten them by 4⁻¹⁰⁰, below any precision
    most_tries: ClassVar[int] = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scaling is not None:
            one_of(type(self).__name__, "scaling", self.scaling, ("identity", "marquardt"))

    # -- what a subclass says -----------------------------------------------------------------------

    def path(
        self, problem: Problem, here: Any, scale: Array, values: dict[str, float]
    ) -> Callable[[], Step | None]:
        """A function that answers the step for ``values`` as they are when it is called; None: there is none.

        ``scale`` is D. Only variables that are ``here.free`` may move.
        """
        raise NotImplementedError

    def succeeded(self, values: dict[str, float], attempt: Attempt) -> None:
        """Takes in a step that will be made."""
        raise NotImplementedError

    def failed(self, values: dict[str, float], attempt: Attempt | None) -> None:
        """Takes in a step that will not be made: the next one is to be more careful."""
        raise NotImplementedError

    def hopeless(self, here: Any, values: dict[str, float]) -> Stop | None:
        """Why no further step is worth a try, if so."""
        return None

    # -- one iteration --------------------------------------------------------------------------------

    def free(self, w: Array, g: Array) -> Array | None:
        return None if self.bounds is None else self.bounds.free(w, g)

    def numbers(self) -> dict[str, float]:
        return {"highest": 0.0, "crawled": 0.0}

    def memory(self, problem: Problem, w: Array) -> dict[str, Array]:
        xp = namespace(w)
        return {"scale": xp.zeros_like(w), "most": xp.zeros_like(w)}

    def move(self, problem: Problem, here: Any, state: State) -> Move:
        values = state.values
        by_columns = (self.scaling or getattr(problem, "scaling", "marquardt")) == "marquardt"
        scale = state.memory["scale"] = self._scale(here, state, by_columns)
        next_step = self.path(problem, here, scale, values)
        patience = self.patience if by_columns else 0
        stop = None
        for _ in range(self.most_tries):
            stop = self.hopeless(here, values)
            if stop is not None:
                break
            attempt = self._attempt(problem, here, scale, next_step())
            if attempt is None or not (self._lower(here, attempt) and attempt.there.finite):
                if attempt is not None and self._nothing_left(here, attempt):
                    break
            elif patience and self._plateau(here, attempt.there, state.memory["most"]):
                patience -= 1
            else:
                self.succeeded(values, attempt)
                stop = self._done(here, attempt) or self._crawls(here, attempt, values)
                return Move(attempt.there, {"step": attempt.length}, stop)
            self.failed(values, attempt)
        return Move(None, {}, stop or no_lower(here))

    def _attempt(self, problem: Problem, here: Any, scale: Array, step: Step | None) -> Attempt | None:
        if step is None:
            return None
        xp = namespace(here.w)
        p, s = step
        target = here.w + s
        if self.bounds is not None:
            target = self.bounds.project(target)
            p = s = target - here.w
        there = here.moved(problem, target)
        # What the linear model promises for p: −gᵀp − ½‖Jp‖².
        promised = -xp.vecdot(here.gradient, p) - 0.5 * xp.vecdot(p, here.system.image(p))
        norm = xp.linalg.vector_norm
        found = read(here.fall_to(there), promised, norm(s), norm(xp.sqrt(scale) * s), norm(here.w))
        return Attempt(there, *found)

    def _scale(self, here: Any, state: State, by_columns: bool) -> Array:
        """D: filled at the start; with Marquardt's scaling it follows the columns of J."""
        xp, before = namespace(here.w), state.memory["scale"]
        diagonal = here.system.diagonal
        largest = xp.max(diagonal)
        state.memory["most"] = xp.maximum(state.memory["most"], diagonal)
        if not by_columns:
            return xp.where(before > 0.0, before, largest)
        # A column of zeros has no scale of its own: it takes that of the others.
        now = xp.maximum(self.kept * before, diagonal)
        return xp.where(now > 0.0, now, largest)

    def _plateau(self, here: Any, there: Any, most: Array) -> bool:
        """Whether a variable that has influence here, beside the ``most`` it ever had, has none there."""
        xp, now = namespace(here.w), here.system.diagonal
        lost = (there.system.diagonal <= 1e-16 * now) & (now > 1e-16 * most)
        return bool(read(xp.astype(xp.any(lost), here.w.dtype))[0])

    # -- when to stop -------------------------------------------------------------------------------------

    def _crawls(self, here: Any, attempt: Attempt, values: dict[str, float]) -> Stop | None:
        """The stop for residuals that vanish beside the first ones, and slowly.

        Where more weights than residuals, or weights without influence, let the cost fall for ever.
        """
        eps = float(namespace(here.w).finfo(here.w.dtype).eps)
        highest = values["highest"] = max(values["highest"], here.total)
        slow = here.total <= eps * highest and attempt.fall <= 0.01 * here.total
        values["crawled"] = values["crawled"] + 1.0 if slow else 0.0
        if values["crawled"] < 10.0:
            return None
        words = f"The cost is {here.total:.1e}, next to nothing beside the {highest:.1e} that it was"
        return Stop(2, f"{words}, and falls by less than a hundredth in a step.", True)

    def _least_step(self, here: Any) -> float:
        return max(self.xtol, float(namespace(here.w).finfo(here.w.dtype).eps))

    def _lower(self, here: Any, attempt: Attempt) -> bool:
        """Whether the cost fell; where the promised fall is lost in rounding, one that stayed level did."""
        lost = float(namespace(here.w).finfo(here.w.dtype).eps) * here.total
        return attempt.fall > 0.0 or (abs(attempt.fall) <= lost and 0.0 <= attempt.promised <= lost)

    def _nothing_left(self, here: Any, attempt: Attempt) -> bool:
        """Whether shorter steps than this one, which failed, are not worth a try either."""
        eps = float(namespace(here.w).finfo(here.w.dtype).eps)
        rounding = 0.0 <= attempt.promised <= eps * here.total and here.cosine**2 <= eps
        return rounding or attempt.length <= self._least_step(here) * attempt.size

    def _done(self, here: Any, attempt: Attempt) -> Stop | None:
        eps = float(namespace(here.w).finfo(here.w.dtype).eps)
        there, ftol = attempt.there, max(self.ftol, eps)
        change = max(attempt.fall, attempt.promised) / here.total
        words = f"The cost no longer falls: by {attempt.fall:.1e} of {here.total:.6g}"
        if change <= ftol and attempt.gain <= 2.0 and there.cosine**2 <= 20.0 * ftol:
            return Stop(2, f"{words}, and promises {attempt.promised:.1e}.", True)
        # A strong damping makes steps short as well: where it does, this is no minimum.
        if change <= eps and attempt.gain <= 2.0:
            end = no_lower(there)
            return Stop(2, f"{words}. {end.message}", end.success)
        if attempt.length <= self._least_step(here) * attempt.size:
            words = f"The weights no longer move: by {attempt.length:.1e} of {attempt.size:.6g}."
            return Stop(3, words, self.xtol > eps or no_lower(there).success)
        return None
