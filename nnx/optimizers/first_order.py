"""Optimizers of first order: a rule that turns a gradient into a step, number by number."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, ClassVar

from nnx.backend import namespace
from nnx.errors import DtypeError, FileFormatError, OptionError, ShapeError
from nnx.optimizers.options import LearningRate, Options, as_rate, learning_rate, patterns
from nnx.optimizers.problem import Info, Point, Problem
from nnx.optimizers.state import State, restored
from nnx.optimizers.update import make_plan
from nnx.options import Number, flag, number

Array = Any
#: A rule: (xp, w, g, *slots, *watched, *scalars) → (w, *slots). Elementwise, in standard calls, no branches,
#: and no arithmetic between two scalars (see averages.py).
Rule = Callable[..., tuple[Array, ...]]


def _mask(where: str, name: str, value: Any) -> Any:
    """Names stay names, anything else is a vector that is looked at when the weights are known."""
    is_names = isinstance(value, str) or (
        isinstance(value, tuple | list) and all(isinstance(v, str) for v in value)
    )
    if is_names:
        return patterns(where, name, value)
    return list(value) if isinstance(value, tuple) else value  # a tuple is of names from here on


@dataclass(frozen=True)
class FirstOrder(Options):
    """Base class: w, slots ← rule(w, g, slots), where g is the gradient at w.

    A subclass is a frozen dataclass that says ``rule`` (the equation, a function of arrays), ``slots`` (the
    vectors that the rule updates, and what they start from) and ``scalars`` (the numbers it needs in this
    step). Registered with ``nnx.optimizers.register`` it is known by its name.

    Common options, all Keras':

    - ``learning_rate``: a number, or a schedule (step → number).
    - ``weight_decay``: w ← w − w·weight_decay·learning_rate before the rule (decoupled decay), except for
      weights whose name contains one of the ``exclude_from_weight_decay`` (regular expressions).
    - ``clipnorm``: the gradient of each weight array is scaled down to this norm; ``global_clipnorm``: that
      of all together; ``clipvalue``: each number is cut to ±clipvalue. One of them at most.
    - ``use_ema``: the moving average of the weights is kept, a ← ema_momentum·a + (1 − ema_momentum)·w (the
      first is w itself); it replaces the weights every ``ema_overwrite_frequency`` steps and in ``finalize``.
    - ``mask``: which weights move: names (regular expressions) or a vector of bools; None is all of them.

    The caller owns ``w`` and the state: :meth:`step` writes into both in place, and gives them back.
    No step waits for the device.
    """

    kind: ClassVar[str] = "optimizer"
    instead: ClassVar[str] = (
        "A model's learning rate is set by model.learning_rate = ..., the rest by compile."
    )

    learning_rate: LearningRate = 0.01
    _: KW_ONLY
    weight_decay: float | None = number(None, least=0.0, optional=True)
    exclude_from_weight_decay: tuple[str, ...] = field(default=(), metadata={"check": patterns})
    clipnorm: float | None = number(None, above=0.0, optional=True)
    clipvalue: float | None = number(None, above=0.0, optional=True)
    global_clipnorm: float | None = number(None, above=0.0, optional=True)
    use_ema: bool = flag(False)
    ema_momentum: float = number(0.99, least=0.0, most=1.0)
    ema_overwrite_frequency: int | None = number(None, least=1, whole=True, optional=True)
    mask: Any = field(default=None, compare=False, metadata={"check": _mask})

    def __post_init__(self) -> None:
        super().__post_init__()
        checked = learning_rate(type(self).__name__, "learning_rate", self.learning_rate)
        object.__setattr__(self, "learning_rate", checked)
        clips = {n: getattr(self, n) for n in ("clipnorm", "clipvalue", "global_clipnorm")}
        given = {name: value for name, value in clips.items() if value is not None}
        if len(given) > 1:
            raise OptionError(
                f"{type(self).__name__}: only one of {', '.join(clips)} can be set, got {given}."
            )

    # -- what a subclass says -------------------------------------------------------------------------

    @property
    def rule(self) -> Rule:
        """The equation: always the same function for the same options."""
        raise NotImplementedError(f"{type(self).__name__} must say its rule.")

    def slots(self) -> dict[str, float]:
        """The vectors that the rule updates, in its order, with the number that they are filled with."""
        return {}

    def scalars(self, rate: float, state: State) -> tuple[float, ...]:
        """The numbers that the rule needs in this step, in its order."""
        return (rate,)

    # -- the protocol ---------------------------------------------------------------------------------

    def init(self, problem: Problem, w: Array) -> State:
        """The state before the first step on the weights ``w``."""
        xp = namespace(w)
        self._check_weights(problem, w)
        slots = {name: xp.full_like(w, fill) for name, fill in self.slots().items()}
        plan = make_plan(self, problem, w).around(self.rule, len(slots) + self.watches)
        memory = {"ema": xp.asarray(w, copy=True)} if self.use_ema else {}
        return State(plan, slots, memory)

    def step(self, problem: Problem, w: Array, state: State) -> tuple[Array, State, Info]:
        """``(w, state, info)`` after one step; ``w`` and ``state`` are the given ones, written in place."""
        point = problem.at(w)
        rate = self.rate(state)
        self.move(w, point, state, rate)
        return w, state, Info(point, rate)

    def finalize(self, w: Array, state: State) -> Array:
        """``w`` at the end of training: with ``use_ema`` the average is written into it."""
        if self.use_ema:
            w[...] = state.memory["ema"]
        return w

    def restore(
        self, problem: Problem, w: Array, vectors: Mapping[str, Array], numbers: Mapping[str, int | float]
    ) -> State:
        """The state of a checkpoint: of what ``state.vectors()`` and ``state.numbers()`` gave."""
        state = self.init(problem, w)
        own, known = state.vectors(), state.numbers()
        missing = [*(own.keys() - vectors.keys()), *(known.keys() - numbers.keys())]
        foreign = [*(vectors.keys() - own.keys()), *(numbers.keys() - known.keys() - {"learning_rate"})]
        if missing or foreign:
            raise FileFormatError(
                f"This is not a state of {type(self).__name__} with these options: "
                f"it lacks {missing or 'nothing'}, and {foreign or 'nothing'} in it has no place."
            )
        for name, mine in own.items():
            dtype = mine.dtype if name in state.slots or mine.shape == w.shape else None
            saved = restored(name, vectors[name], mine, dtype)
            (state.slots if name in state.slots else state.memory)[name] = saved
        state.take_numbers(numbers)
        return state

    # -- details ----------------------------------------------------------------------------------------

    #: how many vectors :meth:`watched` gives
    watches: ClassVar[int] = 0

    def watched(self, w: Array, point: Point, state: State) -> tuple[Array, ...]:
        """Vectors that the rule reads besides its slots."""
        return ()

    def rate(self, state: State) -> float:
        """The learning rate of the next step."""
        given: Any = state.learning_rate
        if given is None:
            given = self.learning_rate
            if not callable(given):
                return given
            given = given(state.step)
        rate = as_rate(given)
        if not 0.0 <= rate < math.inf:
            source = "its schedule" if state.learning_rate is None else "state.learning_rate"
            raise OptionError(
                f"{type(self).__name__}: the learning rate of a step must be a finite number >= 0, "
                f"got {given!r} from {source} in step {state.step}."
            )
        return rate

    def constant_rate(self, value: Any) -> float:
        """``value`` as a learning rate that is set in the course of training, checked."""
        if callable(self.learning_rate):
            raise OptionError(
                f"{type(self).__name__} has a schedule, which says the learning rate of each step: it "
                "cannot be set, nor changed by LearningRateScheduler or ReduceLROnPlateau, beside it. "
                "Compile the model with a number as learning_rate."
            )
        rate: Any = Number(least=0.0)("model", "learning_rate", value)
        return rate

    def move(self, w: Array, point: Point, state: State, rate: float) -> None:
        """Writes the next weights into ``w`` and the next slots into ``state``."""
        g, plan = point.gradient, state.plan
        slots = tuple(state.slots.values())
        read = (*slots, *self.watched(w, point, state)) if self.watches else slots
        scalars = self.scalars(rate, state)
        if plan.plain:
            plan.run((w, g, *read), (w, *slots), rate, state.step, scalars)
            state.step += 1
            return
        average = state.memory.get("ema")
        vectors = (w, plan.clipped(g), *plan.vectors(average), *read)
        targets = (w, *slots) if average is None else (w, *slots, average)
        plan.run(vectors, targets, rate, state.step, scalars)
        state.step += 1
        if (
            average is not None
            and self.ema_overwrite_frequency
            and state.step % self.ema_overwrite_frequency == 0
        ):
            w[...] = average

    def _check_weights(self, problem: Problem, w: Array) -> None:
        if len(w.shape) != 1:
            raise ShapeError(
                f"{type(self).__name__} needs the weights as one vector, got shape {tuple(w.shape)}."
            )
        if not namespace(w).isdtype(w.dtype, "real floating"):
            raise DtypeError(f"{type(self).__name__} needs weights of a floating-point type, got {w.dtype}.")
        if problem.layout is not None and problem.layout.size != w.shape[0]:
            raise ShapeError(f"The layout names {problem.layout.size} weights, the vector has {w.shape[0]}.")
