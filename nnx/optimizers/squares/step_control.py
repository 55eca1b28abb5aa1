"""Control of the step by the gain ratio: what Levenberg–Marquardt and the dog-leg share."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Protocol

from nnx.backend import namespace
from nnx.optimizers.descent.box import Box
from nnx.optimizers.descent.deterministic import Move
from nnx.optimizers.problem import Problem, Stop, read
from nnx.optimizers.squares.gauss_newton import SumOfSquares
from nnx.optimizers.squares.linearized import Linearization, Linearized, Unpenalized
from nnx.optimizers.squares.stopping import no_lower
from nnx.optimizers.state import State
from nnx.options import one_of

Array = Any


class TrialStep(NamedTuple):
    """The step p of the linear model of the residuals, and the step to make: mostly the same."""

    linear: Array
    made: Array


class Attempt(NamedTuple):
    """A step that was tried: where it leads, the actual and the predicted fall of the cost."""

    there: Any
    fall: float  # cost here − cost there
    promised: float  # the same by the linear model of the residuals
    length: float  # of the step
    scaled: float  # ‖√D·step‖
    size: float  # of the weights

    @property
    def gain(self) -> float:
        """The gain ratio ρ, actual fall / predicted fall; NaN where a cost is not finite."""
        return self.fall / self.promised if self.promised > 0.0 else math.nan


class Path(Protocol):
    """Which steps are tried from a point: a curve of steps with one parameter, which follows the gain ratio.

    ``values`` are those of the state, among them those of the path.
    """

    def numbers(self) -> dict[str, float]:
        """The floats that the path keeps from step to step, as they are at first."""

    def measures(self, values: dict[str, float]) -> dict[str, float]:
        """Its measures for the history."""

    def steps(
        self, problem: Problem, here: Linearized, scale: Array, values: dict[str, float]
    ) -> Callable[[], TrialStep | None]:
        """A function that returns the step for ``values`` as they are when it is called; None: there is none.

        ``scale`` is D. Only variables that are ``here.free`` may move.
        """

    def accepted(self, values: dict[str, float], attempt: Attempt) -> None:
        """Moves the parameter after a step that is accepted."""

    def rejected(self, values: dict[str, float], attempt: Attempt | None) -> None:
        """Moves the parameter after a step that is rejected (None: there was none): the next is shorter."""

    def limit(self, values: dict[str, float]) -> str | None:
        """Why no further step is worth a try, in words, if so."""


def scaling_field(default: str | None) -> Any:
    """A dataclass field for the matrix D by which steps are measured, see :class:`TrialSteps`."""
    return one_of(None, "identity", "marquardt", default=default)


@dataclass(frozen=True)
class GainRatio:
    """Accepts a step of ``path`` if it lowers the total; after a rejected one, a shorter step is tried.

    ``scaling`` and ``box`` are the options ``scaling`` and ``bounds`` of :class:`TrialSteps`, ``ftol`` and
    ``xtol`` those of :class:`nnx.optimizers.Deterministic`.
    """

    path: Path
    scaling: str | None
    box: Box | None
    ftol: float
    xtol: float

    #: the part of D that is kept from step to step; steps onto a plateau that are rejected in one iteration
    kept: ClassVar[float] = 0.25
    patience: ClassVar[int] = 8
    #: steps tried in one iteration: enough to shorten them by 4⁻¹⁰⁰, below any precision
    most_tries: ClassVar[int] = 100

    def numbers(self) -> dict[str, float]:
        """The floats that are kept from step to step, with those of the path, as they are at first."""
        return {"highest": 0.0, "crawled": 0.0, **self.path.numbers()}

    def memory(self, w: Array) -> dict[str, Array]:
        """The vectors that are kept from step to step, as they are at first."""
        xp = namespace(w)
        return {"scale": xp.zeros_like(w), "most": xp.zeros_like(w)}

    def move(self, problem: Problem, here: Any, state: State) -> Move:
        """One iteration: the first step of the path that is accepted."""
        values, path = state.values, self.path
        by_columns = (self.scaling or getattr(problem, "scaling", "marquardt")) == "marquardt"
        scale = state.memory["scale"] = self._scale(here, state, by_columns)
        next_step = path.steps(problem, here, scale, values)
        patience = self.patience if by_columns else 0
        stop = None
        for _ in range(self.most_tries):
            if (reason := path.limit(values)) is not None:
                stop = Stop(6, reason, no_lower(here).success)
                break
            attempt = self._attempt(problem, here, scale, next_step())
            # A step that lowers the total makes the next Jacobian, which must be finite too.
            if attempt is None or not (self._lower(here, attempt) and attempt.there.compute().finite):
                if attempt is not None and self._nothing_left(here, attempt):
                    break
            elif patience and _plateau(here, attempt.there, state.memory["most"]):
                patience -= 1
            else:
                path.accepted(values, attempt)
                stop = self._done(here, attempt) or self._crawls(here, attempt, values)
                return Move(attempt.there, {"step": attempt.length}, stop)
            path.rejected(values, attempt)
        return Move(None, {}, stop or no_lower(here))

    def _attempt(self, problem: Problem, here: Any, scale: Array, step: TrialStep | None) -> Attempt | None:
        if step is None:
            return None
        xp = namespace(here.w)
        p, s = step
        target = here.w + s
        if self.box is not None:
            target = self.box.project(target)
            p = s = target - here.w
        there = here.moved(problem, target)
        # The fall that the linear model predicts for p: −gᵀp − ½‖Jp‖².
        promised = -xp.vecdot(here.gradient, p) - 0.5 * xp.vecdot(p, here.system.image(p))
        norm = xp.linalg.vector_norm
        found = read(here.fall_to(there), promised, norm(s), norm(xp.sqrt(scale) * s), norm(here.w))
        return Attempt(there, *found)

    def _scale(self, here: Any, state: State, by_columns: bool) -> Array:
        """D: set at the start; with Marquardt's scaling it follows the columns of J."""
        xp, before = namespace(here.w), state.memory["scale"]
        diagonal = here.system.diagonal
        largest = xp.max(diagonal)
        state.memory["most"] = xp.maximum(state.memory["most"], diagonal)
        if not by_columns:
            return xp.where(before > 0.0, before, largest)
        # A column of zeros has no scale of its own: it takes that of the others.
        now = xp.maximum(self.kept * before, diagonal)
        return xp.where(now > 0.0, now, largest)

    # -- when to stop -------------------------------------------------------------------------------------

    def _crawls(self, here: Any, attempt: Attempt, values: dict[str, float]) -> Stop | None:
        """The stop for residuals that vanish, compared with the first ones, and slowly.

        Where more weights than residuals, or weights without influence, let the cost fall for ever.
        """
        eps = float(namespace(here.w).finfo(here.w.dtype).eps)
        highest = values["highest"] = max(values["highest"], here.total)
        slow = here.total <= eps * highest and attempt.fall <= 0.01 * here.total
        values["crawled"] = values["crawled"] + 1.0 if slow else 0.0
        if values["crawled"] < 10.0:
            return None
        words = f"The cost is {here.total:.1e}, negligible compared with the {highest:.1e} that it was"
        return Stop(2, f"{words}, and falls by less than a hundredth in a step.", True)

    def _least_step(self, here: Any) -> float:
        return max(self.xtol, float(namespace(here.w).finfo(here.w.dtype).eps))

    def _lower(self, here: Any, attempt: Attempt) -> bool:
        """Whether the cost fell, or, where the predicted fall is lost in rounding, stayed level."""
        lost = float(namespace(here.w).finfo(here.w.dtype).eps) * here.total
        return attempt.fall > 0.0 or (abs(attempt.fall) <= lost and 0.0 <= attempt.promised <= lost)

    def _nothing_left(self, here: Any, attempt: Attempt) -> bool:
        """Whether shorter steps than this one, which was rejected, are not worth a try either."""
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


def _plateau(here: Any, there: Any, most: Array) -> bool:
    """Whether a column of J that is not negligible here, compared with its longest so far, is so there."""
    xp, now = namespace(here.w), here.system.diagonal
    lost = (there.system.diagonal <= 1e-16 * now) & (now > 1e-16 * most)
    return bool(read(xp.astype(xp.any(lost), here.w.dtype))[0])


@dataclass(frozen=True)
class TrialSteps(SumOfSquares):
    """Base class of the methods whose steps lie on a :class:`Path` and are controlled by the gain ratio.

    ``scaling`` is D, by which steps are measured: ``"identity"``, in units of the largest entry of diag(JᵀJ)
    at the start, so that neither the cost's scale nor the number of samples matters; or ``"marquardt"``:
    D ← max(diag(JᵀJ), D/4), between Marquardt's diag(JᵀJ) and Moré's largest one so far, which makes the path
    independent of the variables' units as well. A step after which a column of J is shorter than 1e-8 of what
    it was (a plateau, from which nothing leads back) is then rejected, at most eight times in an iteration.

    Without a ``scaling`` the problem chooses: a network in ``fit`` takes ``"identity"``, for its weights have
    like units, and a weight without influence now (that of a saturated neuron) must not be free to run away;
    functions take ``"marquardt"``.

    ``bounds`` are kept by projection. Further options: :class:`nnx.optimizers.SumOfSquares`.
    """

    _: KW_ONLY
    scaling: str | None = scaling_field(None)
    bounds: Any = field(default=None, compare=False)

    @property
    def path(self) -> Path:
        """The steps that are tried."""
        raise NotImplementedError

    @cached_property
    def control(self) -> GainRatio:
        """The control of the step, along the method's path."""
        return GainRatio(self.path, self.scaling, self.bounds, self.ftol, self.xtol)

    def numbers(self) -> dict[str, float]:
        return self.control.numbers()

    def memory(self, problem: Problem, w: Array) -> dict[str, Array]:
        return self.control.memory(w)

    def measures(self, state: State) -> dict[str, float]:
        return self.control.path.measures(state.values)

    def evaluate(self, problem: Problem, w: Array) -> Unpenalized:
        return Linearization(self.solver, self.memory_limit, self.bounds).at(problem, w)

    def move(self, problem: Problem, here: Any, state: State) -> Move:
        return self.control.move(problem, here, state)

    def after_run(self, state: State) -> None:
        # a limit of the path that ended this run does not end the next one as well
        if self.control.path.limit(state.values) is not None:
            state.values |= self.numbers()
