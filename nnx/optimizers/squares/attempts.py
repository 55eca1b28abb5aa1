"""A step that is tried, what it leads to, and the paths from which steps are taken."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Protocol

from nnx.optimizers.problem import Problem
from nnx.optimizers.squares.linearized import Linearized

Array = Any


class TrialStep(NamedTuple):
    """The step p of the linear model of the residuals, and the step to make: mostly the same.

    ``binds`` says whether the step is shorter than the Gauss–Newton step for the sake of the region;
    ``refused``, that it is too long for the linear model to hold, and not to be made.
    """

    linear: Array
    made: Array
    binds: bool = True
    refused: bool = False


class Attempt(NamedTuple):
    """A step that was tried: where it leads, and the actual and the predicted fall of the cost."""

    there: Any  # None for a step that is not to be made
    total: float  # here
    fall: float  # total here − total there; −∞ for a step that is not to be made
    promised: float  # the same by the linear model of the residuals
    slope: float  # gᵀp
    length: float  # of the step
    scaled: float  # ‖√D·p‖
    moved: float  # the largest change of a variable, relative to it
    binds: bool

    @property
    def gain(self) -> float:
        """The gain ratio ρ, actual fall / predicted fall; NaN where a cost is not finite."""
        return self.fall / self.promised if self.promised > 0.0 else math.nan

    @property
    def exact(self) -> bool:
        """Whether the cost fell as the linear model had said: what changed on the way does not matter."""
        return abs(self.gain - 1.0) <= 1e-6


class Path(Protocol):
    """Which steps are tried from a point: a curve of steps with one parameter, which follows the gain ratio.

    ``values`` are those of the state, among them those of the path.
    """

    #: whether D may change its kind on the way: not where a damping of its own remembers μ in D's units
    turns: ClassVar[bool]

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
