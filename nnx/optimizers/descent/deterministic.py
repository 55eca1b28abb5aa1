"""What all methods share that see the whole function in every step: the kept point, and when to stop."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

from nnx.backend import namespace
from nnx.errors import DtypeError, FileFormatError, OptionError, ShapeError
from nnx.optimizers.options import Options
from nnx.optimizers.problem import Info, Problem, Stop, read
from nnx.optimizers.state import State, restored
from nnx.options import number

Array = Any

#: What a status means. 4 is a success, 1 too but where the Jacobian is zero; 2, 3, 5, 6 at a minimum only.
REASONS = {
    -1: "the cost or its gradient is not finite at the start, or too large or small for its squares",
    0: "a limit was reached (iterations, evaluations or time)",
    1: "the gradient is small",
    2: "the cost no longer falls",
    3: "the weights no longer move",
    4: "the goal is reached",
    5: "no lower cost could be found along the way",
    6: "the damping exceeds its limit",
    99: "the callback asked for it",
}


class Evaluation:
    """A point of a problem whose numbers have come to the host. It owns its arrays."""

    def __init__(self, problem: Problem, w: Array) -> None:
        self.w = w
        self.point: Any = problem.at(w)
        self.version = getattr(problem, "version", 0)

    @cached_property
    def cost(self) -> float:
        """The value."""
        return read(self.point.value)[0]

    @cached_property
    def gradient(self) -> Array:
        """The gradient: a copy, since a problem may use one buffer for all of its points."""
        return namespace(self.w).asarray(self.point.gradient, copy=True)

    @cached_property
    def norm(self) -> float:
        """The largest number of the gradient without its sign; nan where one of them is."""
        xp = namespace(self.w)
        return read(xp.max(xp.abs(self.gradient)))[0] if self.w.shape[0] else 0.0

    @property
    def pull(self) -> Array:
        """The gradient, without what bounds hold."""
        return self.gradient

    def slope(self, p: Array) -> float:
        """The derivative of the cost along ``p``; the cost comes with it in one transfer."""
        slope = namespace(p).vecdot(self.gradient, p)
        if "cost" in self.__dict__:
            return read(slope)[0]
        self.__dict__["cost"], found = read(self.point.value, slope)
        return found

    @property
    def finite(self) -> bool:
        """Whether one can stand here: cost and gradient are finite."""
        return math.isfinite(self.norm) and math.isfinite(self.cost)  # the gradient brings the value along


def out_of_range(what: str, size: float, like: Array, remedy: str) -> Stop:
    """The stop for numbers, the largest of them ``size``, whose squares are infinite, or nothing, in a type.

    ``like`` is an array of that type; ``remedy`` says what to do, with ``{}`` for the factor that is missing.
    """
    much, factor = "large" if size > 1.0 else "small", f"1e{-round(math.log10(size))}"
    words = f"{what}, up to {size:.1e}, are too {much} for their squares in {like.dtype}"
    return Stop(-1, f"No step was made: {words}. {remedy.format(factor)}", False)


class Move(NamedTuple):
    """What one iteration of a method found: the new point (None: stay), and numbers for the history."""

    there: Evaluation | None
    measures: Mapping[str, float] = {}
    stop: Stop | None = None


@dataclass(frozen=True)
class Deterministic(Options):
    """Base class of the methods that compare costs from step to step: the function must stay the same.

    Common options, all free of the cost's scale:

    - ``gtol``: stop when the largest number of the gradient is at most ``gtol`` times the largest so far;
    - ``ftol``: ... when the cost fell by at most ``ftol`` of its own size;
    - ``xtol``: ... when the step's length is at most ``xtol`` of that of the weights;
    - ``max_fail``: in ``fit`` with validation data, stop after this many epochs in a row without a better
      validation loss, and go back to the best one (MATLAB's rule; None: never).

    ``ftol`` and ``xtol`` are never taken smaller than the precision of the weights' type.
    """

    kind: ClassVar[str] = "optimizer"
    #: what the method asks of a point beside value and gradient
    needs: ClassVar[tuple[str, ...]] = ()
    #: whether the answer is the last point and not that of the lowest cost: the method makes less of more
    keeps_last: ClassVar[bool] = False

    renamed: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("diff_step", "eps", "epsfcn", "finite_diff_rel_step", "workers"),
        "nothing in its place (derivatives are not differences)",
    ) | {
        "norm": "nothing in its place (gtol compares the largest number of the gradient)",
        "xrtol": "xtol",
    }

    _: KW_ONLY
    gtol: float = number(1e-11, least=0.0)
    ftol: float = number(0.0, least=0.0)
    xtol: float = number(0.0, least=0.0)
    max_fail: int | None = number(6, least=1, whole=True, optional=True)

    # -- what a subclass says -----------------------------------------------------------------------

    def memory(self, problem: Problem, w: Array) -> dict[str, Array]:
        """The arrays that the method keeps from step to step, as they are at first."""
        return {}

    def numbers(self) -> dict[str, float]:
        """The numbers that it keeps."""
        return {}

    def extras(self, state: State) -> dict[str, Any]:
        """Further fields of the result of ``minimize``, from the last state."""
        return {}

    def measures(self, state: State) -> dict[str, float]:
        """Numbers of the state for the history, and what stands there for a step that is not made.

        ``learning_rate`` is one of them where steps are multiples of a direction.
        """
        return {}

    def move(self, problem: Problem, here: Evaluation, state: State) -> Move:
        """One iteration from ``here``, where cost and gradient are finite and the gradient is not zero."""
        raise NotImplementedError

    # -- the protocol -------------------------------------------------------------------------------

    def init(self, problem: Problem, w: Array) -> State:
        """The state before the first step on the weights ``w``."""
        name = type(self).__name__
        xp = namespace(w)
        if len(w.shape) != 1:
            raise ShapeError(f"{name} needs the weights as one vector, got shape {tuple(w.shape)}.")
        if not xp.isdtype(w.dtype, "real floating"):
            raise DtypeError(f"{name} needs weights of a floating-point type, got {w.dtype}.")
        missing = [part for part in self.needs if part not in dir(problem.at(w))]  # seen, not computed
        if missing:
            raise OptionError(
                f"{name} needs a problem whose points have {' and '.join(missing)} (nnx.optimizers.Point); "
                "this one's have not. Methods that need gradients only: 'bfgs', 'lbfgs', 'cg'."
            )
        values = {"largest_gradient": 0.0, **self.numbers()}
        return State(None, {}, self.memory(problem, w), values)

    def step(self, problem: Problem, w: Array, state: State) -> tuple[Array, State, Info]:
        """``(w, state, info)`` after one step; ``w`` and ``state`` are the given ones, written in place."""
        here = self.here(problem, w, state)
        stop = self._at_rest(here, state)
        move = Move(None) if stop else self.move(problem, here, state)
        there = move.there
        measures = {"step": 0.0, **self.measures(state), **move.measures}
        if there is not None:
            w[...] = there.w
            state.point = there
        state.step += 1
        stop = stop or move.stop or (None if there is None else self._settled(here, there, state))
        counts = getattr(problem, "counts", None)
        if counts:
            measures["evaluations"] = sum(counts.values())
        last = there or here
        measures["gradient_norm"] = last.norm
        return w, state, Info(last.point, measures.get("learning_rate"), there is not None, measures, stop)

    def here(self, problem: Problem, w: Array, state: State) -> Evaluation:
        """The point at ``w``: the one that the last step ended at, where it is still that."""
        kept = state.point
        if kept is not None and kept.version == getattr(problem, "version", 0):
            xp = namespace(w)
            if read(xp.astype(xp.all(kept.w == w), w.dtype))[0]:
                return kept
        state.point = self.evaluate(problem, namespace(w).asarray(w, copy=True))
        return state.point

    def evaluate(self, problem: Problem, w: Array) -> Evaluation:
        """The point at ``w``, which it owns from now on."""
        return Evaluation(problem, w)

    def finalize(self, w: Array, state: State) -> Array:
        """``w`` at the end of training."""
        state.point = None
        return w

    def restore(
        self, problem: Problem, w: Array, vectors: Mapping[str, Array], numbers: Mapping[str, int | float]
    ) -> State:
        """The state of a checkpoint: of what ``state.vectors()`` and ``state.numbers()`` gave."""
        state = self.init(problem, w)
        foreign = [*(vectors.keys() ^ state.memory.keys()), *(numbers.keys() ^ state.numbers().keys())]
        if foreign:
            raise FileFormatError(
                f"This is not a state of {type(self).__name__} with these options: "
                f"{', '.join(sorted(foreign))} should not, or should, be there."
            )
        for name, own in state.memory.items():
            state.memory[name] = restored(name, vectors[name], own, own.dtype)
        state.take_numbers(numbers)
        return state

    def rate(self, state: State) -> float:
        """There is none: these methods find the length of each step themselves."""
        raise OptionError(
            f"{type(self).__name__} has no learning rate: it finds the length of each step itself. Callbacks "
            "and schedules of the learning rate are for first-order optimizers, such as 'adam'."
        )

    constant_rate = rate

    # -- when to stop -------------------------------------------------------------------------------

    def _at_rest(self, here: Evaluation, state: State) -> Stop | None:
        """Why no step can be made from here, if so."""
        if not here.finite:
            what = (
                f"the cost is {here.cost}" if not math.isfinite(here.cost) else "the gradient is not finite"
            )
            return Stop(-1, f"No step was made: {what} at this point. Start elsewhere.", False)
        largest = state.values["largest_gradient"] = max(state.values["largest_gradient"], here.norm)
        if here.norm == 0.0:
            return Stop(1, "The gradient is zero.", True)
        if here.norm <= self.gtol * largest:
            return self._small_gradient(here.norm, largest)
        return None

    def nothing_lower(self, here: Evaluation, state: State, words: str) -> Stop:
        """The stop where no lower cost was found: a success if the gradient is small for this precision."""
        return self._judged(5, words, here, state)

    def _judged(self, status: int, words: str, here: Evaluation, state: State) -> Stop:
        """A stop because nothing moves any more: a success where the gradient is that of a minimum.

        It is if it is small beside the largest so far, or if each variable's part of it, taken over the whole
        length of the variable, is less than a thousandth of the cost: a measure without units.
        """
        xp = namespace(here.w)
        eps = float(xp.finfo(here.w.dtype).eps)
        part = here.norm / max(state.values["largest_gradient"], here.norm)
        reach = read(xp.max(xp.abs(here.pull * here.w)))[0]
        if part <= eps ** (2.0 / 3.0) or reach <= 1e-3 * abs(here.cost):
            return Stop(status, words, True)
        return Stop(status, f"{words} But the gradient is still {part:.1e} of the largest so far.", False)

    def _small_gradient(self, norm: float, largest: float) -> Stop:
        return Stop(
            1, f"The gradient is small: its largest number fell to {norm / largest:.1e} of what it was.", True
        )

    def _settled(self, here: Evaluation, there: Evaluation, state: State) -> Stop | None:
        """Which of the tolerances the step from ``here`` to ``there`` meets."""
        xp = namespace(here.w)
        eps = float(xp.finfo(here.w.dtype).eps)
        largest = max(state.values["largest_gradient"], there.norm)
        if there.norm <= self.gtol * largest:
            return self._small_gradient(there.norm, largest)
        fell, size = here.cost - there.cost, max(abs(here.cost), abs(there.cost))
        if fell <= max(self.ftol, eps) * size:
            words = f"The cost no longer falls: by {fell:.1e} of {size:.6g} in the last step."
            return self._judged(2, words, there, state)
        norm = xp.linalg.vector_norm
        moved, length = read(norm(there.w - here.w), norm(there.w))
        if moved <= max(self.xtol, eps) * length < math.inf:
            words = f"The weights no longer move: by {moved:.1e} of {length:.6g}."
            return self._judged(3, words, there, state)
        return None
