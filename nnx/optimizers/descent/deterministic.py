"""What all methods share that see the whole function in every step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, NamedTuple

from nnx.backend import namespace
from nnx.errors import OptionError
from nnx.optimizers.descent.evaluation import Evaluation
from nnx.optimizers.descent.stopping import PROGRESS, SmallGradient, StoppingRules
from nnx.optimizers.method import Method
from nnx.optimizers.problem import Info, Problem, Stop, offers, read
from nnx.optimizers.state import State
from nnx.options import number

Array = Any


class Move(NamedTuple):
    """What one iteration found: the new point (None: stay), and measures for the history."""

    there: Any
    measures: Mapping[str, float] = {}
    stop: Stop | None = None


@dataclass(frozen=True)
class Deterministic(Method):
    """Base class of the methods that compare costs from step to step: the function must stay the same.

    They stop where nothing is left to gain: the decrease that the method's model predicts is below the
    rounding error of the cost, or its step below that of every variable, and a check in another direction
    agrees. That has no units, and does not ask what was seen on the way. Common options:

    - ``gtol``: stop, earlier, when the max-norm of the (projected) gradient is at most ``gtol``, in the units
      of the cost over those of the variables, as in SciPy and as MATLAB's ``min_grad``; None: do not;
    - ``ftol``: ... when the cost fell by at most ``ftol`` of its own size (0: do not);
    - ``xtol``: ... when no variable moved by more than ``xtol`` of its own size (0: do not);
    - ``max_fail``: in ``fit`` with validation data, stop after this many epochs in a row without a better
      validation loss, and go back to the best one (MATLAB's rule; None: never).

    >>> isinstance(nnx.optimizers.Newton(gtol=1e-6), nnx.optimizers.Deterministic)
    True
    """

    #: what the method asks of a point beyond value and gradient
    needs: ClassVar[tuple[str, ...]] = ()
    #: whether the answer is the last point and not the one of lowest cost: the method minimises more than it
    keeps_last: ClassVar[bool] = False
    stopping: ClassVar[StoppingRules] = SmallGradient()

    renamed: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("diff_step", "eps", "epsfcn", "finite_diff_rel_step", "workers"),
        "nothing in its place (derivatives are not differences, unless jac='2-point' asks for them)",
    ) | {
        "norm": "nothing in its place (gtol is for the max-norm of the gradient)",
        "xrtol": "xtol",
    }

    _: KW_ONLY
    gtol: float | None = number(None, least=0.0, optional=True)
    ftol: float = number(0.0, least=0.0)
    xtol: float = number(0.0, least=0.0)
    max_fail: int | None = number(6, least=1, whole=True, optional=True)

    # -- what a subclass may say: each has nothing to do by default -----------------------------------

    def check_problem(self, problem: Problem, w: Array) -> None:
        """Raises :class:`nnx.errors.OptionError` for a problem that the method cannot solve."""

    def memory(self, problem: Problem, w: Array) -> dict[str, Array]:
        """The arrays that the method keeps from step to step, as they are at first."""
        return {}

    def numbers(self) -> dict[str, float]:
        """The floats that it keeps from step to step, as they are at first."""
        return {}

    def extras(self, state: State) -> dict[str, Any]:
        """Further fields of the result of ``minimize``, from the last state."""
        return {}

    def measures(self, state: State) -> dict[str, float]:
        """Measures for the history from the state, also for an iteration without an accepted step.

        ``learning_rate`` is one of them where steps are multiples of a direction.
        """
        return {}

    def evaluate(self, problem: Problem, w: Array) -> Any:
        """The point at ``w``, an :class:`Iterate` that owns it from now on."""
        return Evaluation(problem, w)

    def prepare(self, here: Any, state: State) -> Any:
        """The point ``here``, where a step starts, as the method sees it now."""
        return here

    def after_run(self, state: State) -> None:
        """Prepares the state for another run."""

    def confirmed(self, problem: Problem, here: Any, state: State, stop: Stop) -> Stop:
        """The stop at ``here``, after a last check of it."""
        return stop

    def move(self, problem: Problem, here: Any, state: State) -> Move:
        """One iteration from ``here``, where cost and gradient are finite and the gradient is not zero."""
        raise NotImplementedError(f"{type(self).__name__} must say its iteration.")

    # -- the protocol ---------------------------------------------------------------------------------

    def init(self, problem: Problem, w: Array) -> State:
        """The state before the first step on the weights ``w``."""
        self.check_weights(problem, w)
        self._check_needs(problem, w)
        self.check_problem(problem, w)
        values = {**PROGRESS, **self.numbers()}
        return State(None, {}, self.memory(problem, w), values)

    def step(self, problem: Problem, w: Array, state: State) -> tuple[Array, State, Info]:
        """``(w, state, info)`` after one step; ``w`` and ``state`` are the given ones, written in place."""
        here = self.here(problem, w, state)
        stop = self.stopping.at_rest(self, here.compute(), state)
        move = Move(None) if stop else self.move(problem, here, state)
        there = move.there
        measures = {"step": 0.0, **self.measures(state), **move.measures}
        if there is not None:
            w[...] = there.w
            state.point = there
        state.step += 1
        stop = stop or move.stop
        if stop is None and there is not None:
            stop = self.stopping.settled(self, here, there, state)
        if stop is not None:
            stop = self.confirmed(problem, there or here, state, stop)
        counts = getattr(problem, "counts", None)
        if counts:
            measures["evaluations"] = sum(counts.values())
        last = there or here
        measures["gradient_norm"] = last.norm
        return w, state, Info(last.point, measures.get("learning_rate"), there is not None, measures, stop)

    def here(self, problem: Problem, w: Array, state: State) -> Any:
        """The point at ``w``: the one that the last step ended at, where it is still that."""
        if not _is_at(state.point, problem, w):
            state.point = self.evaluate(problem, namespace(w).asarray(w, copy=True))
        state.point = self.prepare(state.point, state)
        return state.point

    def finalize(self, w: Array, state: State) -> Array:
        """``w`` at the end of training."""
        self.after_run(state)
        state.point = None
        return w

    def rate(self, state: State) -> float:
        """Raises :class:`nnx.errors.OptionError`: these methods find the length of each step themselves."""
        raise OptionError(
            f"{type(self).__name__} has no learning rate: it finds the length of each step itself. Callbacks "
            "and schedules of the learning rate are for first-order optimizers, such as 'adam'."
        )

    constant_rate = rate

    def _check_needs(self, problem: Problem, w: Array) -> None:
        if not self.needs:
            return
        name, refuse = type(self).__name__, getattr(problem, "need_residuals", None)
        squares = "residual" in self.needs
        if squares and refuse is not None:
            refuse(name)
            return
        point = problem.at(w)
        missing = [part for part in self.needs if not offers(point, part)]
        if missing and squares:
            raise OptionError(
                f"{name} needs residuals, whose squares are summed up: use nnx.least_squares, "
                "or another method, such as 'lbfgs'."
            )
        if missing:
            raise OptionError(
                f"{name} needs a problem whose points have {' and '.join(missing)} (nnx.optimizers.Point); "
                "this one's have not. Methods that need gradients only: 'bfgs', 'lbfgs', 'cg'."
            )


def _is_at(kept: Any, problem: Problem, w: Array) -> bool:
    """Whether the point ``kept`` is that of ``w``, and the problem is still the same function."""
    if kept is None or kept.version != getattr(problem, "version", 0):
        return False
    xp = namespace(w)
    return bool(read(xp.astype(xp.all(kept.w == w), w.dtype))[0])
