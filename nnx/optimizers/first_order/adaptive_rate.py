"""One learning rate that follows the cost: MATLAB's traingda and traingdx, for full batches."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nnx.backend import namespace, to_numpy
from nnx.errors import OptionError
from nnx.optimizers.first_order.base import FirstOrder, Rule
from nnx.optimizers.options import LearningRate
from nnx.optimizers.problem import Info, Problem, register
from nnx.optimizers.state import State
from nnx.options import fraction, number

Array = Any


def move_with_momentum(xp: Any, w: Array, g: Array, m: Array, step: float, keep: float) -> tuple[Array, ...]:
    """The rule of :class:`AdaptiveLearningRate`: ``step`` = η(1−μ), ``keep`` = μ."""
    m = keep * m
    m -= step * g
    return w + m, m


@register(
    "traingdx",
    source="Vogl et al. 1988; Demuth & Beale, Neural Network Toolbox",
    full_batch=True,
    reads_the_cost=True,
)
@dataclass(frozen=True)
class AdaptiveLearningRate(FirstOrder):
    """MATLAB's ``traingdx``: m ← μm − η(1−μ)g; w ← w + m, with a learning rate η that follows the cost E.

    Each step is tried, and judged by the cost after it:

    - E fell: η ← η·``lr_inc``;
    - E did not fall: η ← η·``lr_dec``, and the next step is −ηg, without momentum;
    - E rose above ``max_perf_inc``·E, or is not finite: the step is rejected as well, that is, weights (and
      their average) stay as they were.

    ``momentum`` is μ (``traingda``: 0); ``learning_rate`` is the first η. For a negative E, "above" means by
    more than (``max_perf_inc`` − 1)·``|E|``. Deterministic: the problem must be the same function in every
    step, so the whole data set as one batch. Each step reads the cost twice (this waits for the device) and
    needs one gradient and two values. MATLAB itself lowers η and clears the momentum only with a rejection;
    there a smaller rise leaves η as it is, so the iteration can oscillate endlessly. Further options:
    :class:`nnx.optimizers.FirstOrder`. Raises :class:`nnx.errors.OptionError` for a schedule.
    Source: T. P. Vogl et al., "Accelerating the convergence of the back-propagation method", Biological
    Cybernetics 59 (1988) 257–263.

    >>> problem = nnx.optimizers.FunctionProblem(lambda w: np.sum(w * w))
    >>> method, w = nnx.optimizers.AdaptiveLearningRate(learning_rate=2.0), np.asarray([1.0])
    >>> w, state, info = method.step(problem, w, method.init(problem, w))
    >>> w, info.accepted, state.learning_rate
    (array([1.]), False, 1.4)
    """

    renamed: ClassVar[Mapping[str, str]] = {"mc": "momentum"}

    learning_rate: LearningRate = 0.01
    lr_inc: float = number(1.05, least=1.0)
    lr_dec: float = number(0.7, above=0.0, below=1.0)
    max_perf_inc: float = number(1.04, least=1.0)
    momentum: float = fraction(0.9)

    def __post_init__(self) -> None:
        super().__post_init__()
        if callable(self.learning_rate):
            raise OptionError(
                f"{type(self).__name__}: learning_rate must be a number, the cost decides how it changes; "
                f"got {self.learning_rate!r}."
            )

    @property
    def rule(self) -> Rule:
        return move_with_momentum

    def slots(self) -> dict[str, float]:
        return {"momentum": 0.0}

    def init(self, problem: Problem, w: Array) -> State:
        state = super().init(problem, w)
        state.values["fresh"] = 1.0  # no move to go on with: at first, and after a cost that did not fall
        return state

    def scalars(self, rate: float, state: State) -> tuple[float, ...]:
        keep = 0.0 if state.values["fresh"] else self.momentum
        return rate * (1.0 - keep), keep

    def step(self, problem: Problem, w: Array, state: State) -> tuple[Array, State, Info]:
        """As in the base class; with ``info.accepted`` False, ``w`` is as it was."""
        xp, point, rate = namespace(w), problem.at(w), self.rate(state)
        own = (w, *state.vectors().values())
        kept = [xp.asarray(vector, copy=True) for vector in own]
        accepted = False
        _, before = point.gradient, _number(point.value)
        try:
            self.move(w, point, state, rate)
            after = _number(problem.at(w).value)
            accepted = after - before <= (self.max_perf_inc - 1.0) * abs(before) and math.isfinite(after)
        finally:
            if not accepted:
                for vector, old in zip(own, kept, strict=True):
                    vector[...] = old
        fell = accepted and after < before
        state.values["fresh"] = 0.0 if fell else 1.0
        state.learning_rate = rate * (self.lr_inc if fell else self.lr_dec)
        return w, state, Info(point, rate, accepted)


def _number(value: Array) -> float:
    return float(to_numpy(value))
