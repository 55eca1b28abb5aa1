"""Control of the step by the gain ratio: what Levenberg–Marquardt and the dog-leg share."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from nnx.backend import namespace
from nnx.optimizers.descent.box import Box
from nnx.optimizers.descent.deterministic import Move
from nnx.optimizers.descent.evaluation import precision
from nnx.optimizers.problem import Problem, Stop, read
from nnx.optimizers.squares import scale
from nnx.optimizers.squares.attempts import Attempt, Path, TrialStep
from nnx.optimizers.squares.gauss_newton import SumOfSquares
from nnx.optimizers.squares.linearized import Linearization, Unpenalized
from nnx.optimizers.squares.second_look import look_again
from nnx.optimizers.squares.verdict import UNITS, flat, nothing_left
from nnx.optimizers.state import State
from nnx.options import one_of

Array = Any


def scaling_field(default: str | None) -> Any:
    """A dataclass field for the matrix D by which steps are measured, see :class:`TrialSteps`."""
    return one_of(None, "identity", "jac", "relative", default=default)


@dataclass(frozen=True)
class GainRatio:
    """Accepts a step of ``path`` that lowers the total as promised; after a rejected one tries a shorter one.

    ``scaling`` and ``box`` are the options ``scaling`` and ``bounds`` of :class:`TrialSteps`, ``ftol`` and
    ``xtol`` those of :class:`nnx.optimizers.Deterministic`.
    """

    path: Path
    scaling: str | None
    box: Box | None
    ftol: float
    xtol: float
    #: whether the first step of all moves only the weights in which the residuals are linear
    linear_start: bool = False

    #: the least gain of a step that is accepted; steps onto a plateau that are rejected in one iteration
    least_gain: ClassVar[float] = 1e-4
    patience: ClassVar[int] = 8
    #: steps tried in one iteration: enough to shorten them by 4⁻¹⁰⁰, below any precision
    most_tries: ClassVar[int] = 100
    #: how often a run starts anew, with the present D, where it is stuck and no lower cost follows
    most_restarts: ClassVar[int] = 3

    def numbers(self) -> dict[str, float]:
        """The floats that are kept from step to step, with those of the path, as they are at first."""
        own = {"before": 0.0, "restarts": 0.0, "restarted_at": math.inf}
        return own | scale.numbers() | self.path.numbers()

    def memory(self, w: Array) -> dict[str, Array]:
        """The vectors that are kept from step to step, as they are at first."""
        return scale.memory(w)

    def measure(self, problem: Problem) -> str | None:
        """D's name; None, where neither the method nor the problem says: by columns or relative, in turn."""
        return self.scaling or getattr(problem, "scaling", None if self.path.turns else "jac")

    def move(self, problem: Problem, here: Any, state: State) -> Move:
        """One iteration: the first step of the path that is accepted."""
        while True:
            move = self._one(problem, here, state)
            if move is not None:
                return move
            words = "No lower cost could be found along the step"
            move = self._looked(problem, here, state, Move(None, {}, Stop(5, words, False)))
            if move is not None:
                return move

    def _one(self, problem: Problem, here: Any, state: State) -> Move | None:
        """The move to the first step that is accepted, or a stop; None where no step is."""
        values, path = state.values, self.path
        measure = self.measure(problem)
        metric = scale.lengths(here, state, measure, getattr(problem, "units", None))
        next_step = path.steps(problem, here, metric, values)
        linear = getattr(problem, "linear_weights", None) if self.linear_start and not state.step else None
        patience = 0 if measure == "identity" else self.patience
        for _ in range(self.most_tries):
            if (reason := path.limit(values)) is not None:
                return Move(None, {}, Stop(6, reason, nothing_left(here)))
            first, linear = linear, None
            step = next_step() if first is None else _linear_step(here, metric, first)
            attempt = self._planned(problem, here, metric, step)
            if attempt is not None and state.step and self._promises_nothing(here, attempt, values):
                words = f"The cost no longer falls: the linear model promises {attempt.promised:.1e}"
                return Move(None, {}, Stop(2, f"{words} of {here.total:.6g}.", True))
            if attempt is not None and attempt.there is not None:
                attempt = attempt._replace(fall=read(here.fall_to(attempt.there))[0])
            # A step that lowers the total makes the next Jacobian, which must be finite too.
            if attempt is not None and self._lower(attempt) and not attempt.there.compute().finite:
                attempt = attempt._replace(fall=-math.inf)
            if attempt is None or not self._lower(attempt):
                if first is None and attempt is not None and self._too_short(here, attempt):
                    return None
            else:
                flat = patience > 0 and scale.plateau(here, attempt.there, state.memory["most"])
                if not flat or attempt.exact:
                    return self._accepted(problem, here, attempt, state, measure, flat)
                patience -= 1
                attempt = attempt._replace(fall=-math.inf)
            path.rejected(values, attempt)
        return None

    def _planned(self, problem: Problem, here: Any, metric: Array, step: TrialStep | None) -> Attempt | None:
        """The attempt, before the residuals are evaluated: its ``fall`` is not known."""
        if step is None:
            return None
        xp = namespace(here.w)
        p, s, binds, refused = step
        target = here.w + s
        if self.box is not None:
            target = self.box.project(target)
            p = s = target - here.w
        # The fall that the linear model predicts for p: −gᵀp − ½‖Jp‖².
        slope = xp.vecdot(here.gradient, p)
        promised = -slope - 0.5 * xp.vecdot(p, here.system.image(p))
        norm, size = xp.linalg.vector_norm, xp.abs(here.w)
        from_zero = xp.where(s == 0.0, 0.0, xp.full_like(s, math.inf))
        moved = xp.max(xp.where(size > 0.0, xp.abs(s) / xp.where(size > 0.0, size, 1.0), from_zero))
        there = None if refused else here.moved(problem, target)
        scaled = norm(xp.sqrt(metric) * p)
        promised, slope, length, scaled, moved = read(promised, slope, norm(s), scaled, moved)
        return Attempt(there, here.total, -math.inf, promised, slope, length, scaled, moved, binds)

    # -- what becomes of an attempt -------------------------------------------------------------------------

    def _accepted(
        self, problem: Problem, here: Any, attempt: Attempt, state: State, measure: str | None, flat: bool
    ) -> Move:
        """The move of a step that lowers the total; where a column of J became ``flat``, D begins anew."""
        self.path.accepted(state.values, attempt)
        if flat:
            scale.forget(state)
            self._new_region(state)
        return self._moved(problem, here, attempt, state, measure)

    def _moved(
        self, problem: Problem, here: Any, attempt: Attempt, state: State, measure: str | None
    ) -> Move:
        """The move of a step that is accepted, with the stop where it is the last one."""
        there, eps = attempt.there, precision(here.w).eps
        move = Move(there, {"step": attempt.length}, self._met(here, attempt))
        if move.stop is not None:
            return move
        change = max(abs(attempt.fall), attempt.promised)
        still = not attempt.binds and attempt.moved <= eps ** (2.0 / 3.0)
        if change <= eps * here.total or (still and not there.vanishes):
            words = f"The cost no longer falls: by {attempt.fall:.1e} of {here.total:.6g}"
            last = move._replace(stop=Stop(2, words, False))
            return self._looked(problem, there, state, last) or move
        slow = attempt.binds and attempt.fall < there.total
        if measure is None and scale.turns(slow, state):
            self._new_region(state)
        elif measure != "identity" and scale.crawls(there, attempt.fall, state):
            self._anew(state, there.total)
        return move

    def _looked(self, problem: Problem, at: Any, state: State, last: Move) -> Move | None:
        """The move after a second look at a point: ``last``, judged; or a better step; None: try anew.

        Is this a minimum, is there a lower point, or is D out of date?
        """
        verdict = look_again(problem, at)
        if verdict.lower is not None:
            self._anew(state, at.total)
            return Move(verdict.lower, last.measures)
        if not verdict.minimum and self._anew(state, at.total):
            return None
        assert last.stop is not None
        words = f"{last.stop.message}; {verdict.words}."
        return last._replace(stop=Stop(last.stop.status, words, verdict.minimum))

    def _anew(self, state: State, total: float) -> bool:
        """Forgets D and the region; whether that is worth another try."""
        values = state.values
        if total <= 0.99 * values["restarted_at"]:
            values["restarts"] = 0.0
        if values["restarts"] >= self.most_restarts:
            return False
        scale.forget(state)
        self._new_region(state)
        values["restarts"], values["restarted_at"] = values["restarts"] + 1.0, total
        return True

    def _new_region(self, state: State) -> None:
        state.values |= {**self.path.numbers(), "before": 0.0}

    def _promises_nothing(self, here: Any, attempt: Attempt, values: dict[str, float]) -> bool:
        """Whether a step need not be made: a whole Gauss–Newton step, with nothing to gain."""
        rounding = precision(here.w).eps * here.total
        if attempt.binds:
            values["before"] = 0.0
            return attempt.promised <= UNITS * rounding and nothing_left(here)
        # Where the steps converge linearly, with ratio q, the way that is left is 1/(1 − q) times the step.
        before, values["before"] = values["before"], attempt.promised
        q = min(math.sqrt(attempt.promised / before), 0.95) if 0.0 <= attempt.promised < before else 0.0
        enough = max(UNITS * (1.0 - q) ** 2, 0.1) * rounding
        return attempt.promised <= enough and nothing_left(here)

    def _lower(self, attempt: Attempt) -> bool:
        return attempt.fall > 0.0 and attempt.gain >= self.least_gain

    def _too_short(self, here: Any, attempt: Attempt) -> bool:
        """Whether shorter steps than this one, which was rejected, are not worth a try either."""
        lost = math.isfinite(attempt.fall) and max(abs(attempt.fall), attempt.promised) <= here.rounding
        return lost or attempt.moved <= precision(here.w).eps

    def _met(self, here: Any, attempt: Attempt) -> Stop | None:
        """The stop of a user's own tolerances."""
        change = max(abs(attempt.fall), attempt.promised)
        if change <= self.ftol * here.total and attempt.gain <= 2.0:
            words = f"The cost no longer falls: by {attempt.fall:.1e} of {here.total:.6g}"
            return Stop(2, f"{words}, and promised {attempt.promised:.1e}.", True)
        if attempt.moved <= self.xtol:
            return Stop(
                3, f"The variables no longer move: none by more than {attempt.moved:.1e} of it.", True
            )
        return None


def _linear_step(here: Any, metric: Array, mask: Array) -> TrialStep | None:
    """The step to the best values of the weights in which the residuals are linear, whatever they are now.

    After it the output of a network has the size of its targets, and no other weight had to move for that.
    The ridge keeps the weights from what fits noise of the first features.
    """
    ridge = 1e-3 * mask * metric
    p = here.system.solve(ridge, mask, here.gradient + ridge * here.w)
    return None if p is None else TrialStep(p, p)


@dataclass(frozen=True)
class TrialSteps(SumOfSquares):
    """Base class of the methods whose steps lie on a :class:`Path` and are controlled by the gain ratio.

    A step is accepted if the cost falls by at least 1e-4 of what the linear model predicts.

    ``scaling`` is D, by which steps are measured: ``"identity"``, in units of the largest entry of diag(JᵀJ)
    at the start, so that neither the cost's scale nor the number of samples matters; or ``"jac"``:
    D ← max(diag(JᵀJ), D), the largest so far (Moré), which makes the path independent of the variables' units
    as well. There an entry of D above 1e8 times the present one of diag(JᵀJ) falls a hundredfold in each
    step, and where a run is stuck or crawls D is made anew: a column that was large once does not hold its
    variable for ever. A step after which a column of J is shorter than 1e-8 of what it was (a plateau, from
    which nothing leads back) is rejected, at most eight times in an iteration; unless the linear model was
    right to a millionth, as where the data are in far smaller units than the start: D begins anew then.

    ``"relative"`` measures changes relative to the variables: Dᵢ = max(√diag(JᵀJ)·s)²/sᵢ², with s the largest
    |w| so far.

    Without a ``scaling`` the problem chooses: a network in ``fit`` takes ``"identity"``, for its weights have
    like units, and a weight without influence now (that of a saturated neuron) must not be free to run away;
    functions take ``"jac"``. There Levenberg–Marquardt in a trust region changes to ``"relative"``, and back,
    after 30 (45, 68, ...) steps in a row that the region held short and that did not halve the cost.

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
        return GainRatio(self.path, self.scaling, self.bounds, self.ftol, self.xtol, linear_start=True)

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

    def confirmed(self, problem: Problem, here: Any, state: State, stop: Stop) -> Stop:
        memory, measured = state.memory, self.control.measure(problem) != "identity"
        known = measured and stop.success and here.system.has_matrix
        if not (known and flat(problem, here, memory["most"], memory["last"])):
            return stop
        words = "variables with influence elsewhere have none here or nearby: a plateau. Start elsewhere."
        return Stop(stop.status, f"{stop.message} But {words}", False)

    def after_run(self, state: State) -> None:
        # a limit of the path that ended this run does not end the next one as well
        if self.control.path.limit(state.values) is not None:
            state.values |= self.numbers()
