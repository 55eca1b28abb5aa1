"""Optimizers of first order: an elementwise rule that turns a gradient into a step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, ClassVar

from nnx.backend import adapter_of, namespace
from nnx.errors import OptionError
from nnx.optimizers.first_order.update import Plan, make_plan
from nnx.optimizers.method import Method
from nnx.optimizers.options import LearningRate, as_rate, learning_rate, patterns
from nnx.optimizers.problem import Info, Point, Problem
from nnx.optimizers.state import State
from nnx.options import Number, flag, number, option

Array = Any
#: A rule: (xp, w, g, *slots, *watched, *scalars) → (w, *slots). Elementwise, in standard calls, no branches,
#: and no arithmetic between two scalars (see averages.py).
Rule = Callable[..., tuple[Array, ...]]


def _mask(where: str, name: str, value: Any) -> Any:
    """The check that an option is None, regular expressions for names, or a vector of bools.

    A vector is checked when the weights are known.
    """
    is_names = isinstance(value, str) or (
        isinstance(value, tuple | list) and all(isinstance(v, str) for v in value)
    )
    if is_names:
        return patterns(where, name, value)
    if not (value is None or isinstance(value, tuple | list) or hasattr(value, "dtype")):
        raise OptionError(f"{where}: mask must be names, a vector of bools or None, got {value!r}.")
    return list(value) if isinstance(value, tuple) else value  # a tuple is of names from here on


@dataclass(frozen=True)
class FirstOrder(Method):
    """Base class: w, slots ← rule(w, g, slots), where g is the gradient at w.

    A subclass is a frozen dataclass that says ``rule`` (the equation, a function of arrays), ``slots`` (the
    vectors that the rule updates, and what they start from) and ``scalars`` (the floats it needs in this
    step). Registered with ``nnx.optimizers.register`` it is known by its name.

    Common options, all Keras':

    - ``learning_rate``: a number ≥ 0, or a schedule (step → number).
    - ``weight_decay``: w ← w − w·weight_decay·learning_rate before the rule (decoupled decay), except for
      weights whose name contains one of the ``exclude_from_weight_decay`` (regular expressions).
    - ``clipnorm`` > 0: the gradient of each weight array is scaled down to this norm; ``global_clipnorm``:
      that of all together; ``clipvalue``: each entry is cut to ±clipvalue. One of them at most.
    - ``use_ema``: the moving average of the weights is kept, a ← ema_momentum·a + (1 − ema_momentum)·w (the
      first is w itself); it replaces the weights every ``ema_overwrite_frequency`` steps and in ``finalize``.
    - ``mask``: which weights move: names (regular expressions) or a vector of bools; None is all of them.

    The caller owns ``w`` and the state: :meth:`step` writes into both in place, and gives them back.
    No step waits for the device.

    Raises :class:`nnx.errors.OptionError` for options out of range and for more than one kind of clipping.
    Source: Keras' ``Optimizer``, for the common options.

    >>> from dataclasses import dataclass
    >>> def by_sign(xp, w, g, rate):
    ...     return (w - rate * xp.sign(g),)
    >>> @dataclass(frozen=True)
    ... class SignDescent(nnx.optimizers.FirstOrder):
    ...     @property
    ...     def rule(self):
    ...         return by_sign
    >>> two = {"maxiter": 2}
    >>> nnx.minimize(lambda w: np.sum(w * w), [1.0, -2.0], method=SignDescent(0.5), options=two).x
    array([ 0., -1.])
    """

    optional_numbers: ClassVar[frozenset[str]] = frozenset({"learning_rate"})
    instead: ClassVar[str] = (
        "A model's learning rate is set by model.learning_rate = ..., the rest by compile."
    )

    learning_rate: LearningRate = 0.01
    _: KW_ONLY
    weight_decay: float | None = number(None, least=0.0, optional=True)
    exclude_from_weight_decay: tuple[str, ...] = option(patterns, ())
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
        """The vectors that the rule updates, in its order, with their first value."""
        return {}

    def scalars(self, rate: float, state: State) -> tuple[float, ...]:
        """The floats that the rule needs in this step, in its order; ``rate`` is the learning rate, ≥ 0."""
        return (rate,)

    # -- the protocol ---------------------------------------------------------------------------------

    def init(self, problem: Problem, w: Array) -> State:
        """The state before the first step on the weights ``w``."""
        xp = namespace(w)
        self.check_weights(problem, w)
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

    def bound(self, w: Array, g: Array, state: State) -> Callable[[float], None] | None:
        """:meth:`move` for gradients that are always in ``g``, as a function of the rate; None if it is more.

        The number of the step is the caller's to change.
        """
        own = type(self).step is FirstOrder.step and type(self).move is FirstOrder.move
        plan = state.plan
        if not own or type(plan) is not Plan or not plan.plain or self.watches or state.memory:
            return None
        slots = tuple(state.slots.values())
        known: list[Callable[[tuple[float, ...]], None]] = []

        def move(rate: float) -> None:
            scalars = self.scalars(rate, state)  # which may change the state: once in a step
            if not known:
                made = adapter_of(w).mapping(plan.function, (w, g, *slots), (w, *slots), len(scalars))
                known.append(made)
            known[0](scalars)

        return move

    def finalize(self, w: Array, state: State) -> Array:
        """``w`` at the end of training: with ``use_ema`` the average is written into it."""
        if self.use_ema:
            w[...] = state.memory["ema"]
        return w

    # -- details ----------------------------------------------------------------------------------------

    #: how many vectors :meth:`watched` gives
    watches: ClassVar[int] = 0

    def watched(self, w: Array, point: Point, state: State) -> tuple[Array, ...]:
        """Vectors that the rule reads in addition to its slots."""
        return ()

    def rate(self, state: State) -> float:
        """The learning rate of the next step.

        Raises :class:`nnx.errors.OptionError` for one that is no finite number ≥ 0.
        """
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
        """``value`` as a learning rate that is set in the course of training, checked.

        Raises :class:`nnx.errors.OptionError` for other than a finite number ≥ 0, and where a schedule says
        the rate.
        """
        if callable(self.learning_rate):
            raise OptionError(
                f"{type(self).__name__} has a schedule, which says the learning rate of each step: it "
                "cannot be set as well, nor changed by LearningRateScheduler or ReduceLROnPlateau. "
                "Compile the model with a number as learning_rate."
            )
        rate: Any = Number(least=0.0)("model", "learning_rate", value)
        return rate

    def move(self, w: Array, point: Point, state: State, rate: float) -> None:
        """Writes the next weights into ``w`` and the next slots into ``state``.

        ``rate`` ≥ 0 is the learning rate of this step.
        """
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
