"""Methods made of a direction and a search along it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from nnx.backend import namespace
from nnx.errors import OptionError
from nnx.optimizers import searches
from nnx.optimizers.descent.deterministic import Deterministic, Move
from nnx.optimizers.descent.evaluation import Evaluation, Iterate
from nnx.optimizers.descent.stopping import judged, out_of_range
from nnx.optimizers.problem import Problem, Stop, read, register
from nnx.optimizers.searches import Found, Trial
from nnx.optimizers.state import State

Array = Any


class Ray:
    """The problem along the line w + αp, as a search evaluates it; ``at`` makes the points."""

    def __init__(
        self, problem: Problem, w: Array, p: Array, at: Callable[[Problem, Array], Iterate] = Evaluation
    ) -> None:
        self.problem, self.w, self.p, self.at = problem, w, p, at

    def value(self, alpha: float) -> Trial:
        """The cost at α."""
        point = self._at(alpha)
        return Trial(alpha, point.cost, math.nan, point)

    def slope(self, alpha: float) -> Trial:
        """Cost and slope at α."""
        point = self._at(alpha)
        slope = point.slope(self.p)
        return Trial(alpha, point.cost, slope, point)

    def _at(self, alpha: float) -> Iterate:
        return self.at(self.problem, self.w + alpha * self.p)


def known_search(where: str, name: str, value: Any) -> Any:
    """The check of an option that is a search: a name, or a configured search."""
    chosen = searches.get(value)
    if not isinstance(chosen, searches.Search):
        raise OptionError(
            f"{where}: {name} must be the name of a search or a search of nnx.optimizers.searches, "
            f"got {value!r}."
        )
    return chosen


@dataclass(frozen=True)
class Descent(Deterministic):
    """Base class: w ← w + αp, where p is the method's direction and the search chooses α.

    If p is no descent direction, or the search finds nothing lower, the memory is cleared and −g is tried
    once. Where that leads to no lower cost either, the weights stay.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "search", known_search(type(self).__name__, "search", self.search))

    renamed: ClassVar[Mapping[str, str]] = {
        "c1": "search=StrongWolfe(c1=...) of nnx.optimizers.searches",
        "c2": "search=StrongWolfe(c2=...) of nnx.optimizers.searches",
        "line_search_fn": "search",
        "maxls": "search=StrongWolfe(max_trials=...) of nnx.optimizers.searches",
    }

    # -- what a subclass says -----------------------------------------------------------------------

    search: Any = None

    #: whether the first direction is −g, so that nothing is left to try where it leads to no lower cost
    begins_with_gradient: ClassVar[bool] = True

    def direction(self, here: Iterate, state: State) -> Array:
        """The direction p from here, by the memory of the method."""
        raise NotImplementedError

    def learned(self) -> dict[str, float]:
        """The numbers that it learns from steps, as they are at first."""
        return {}

    def learn(self, here: Iterate, there: Iterate, p: Array, alpha: float, state: State) -> None:
        """Updates the memory by the step from ``here`` to ``there`` = ``here`` + αp."""

    def forget(self, here: Iterate, state: State) -> None:
        """Clears the memory: the next direction is −g, up to its length."""

    def first_trial(self, here: Iterate, p: Array, slope: float, state: State) -> float:
        """The α that the search tries first."""
        return 1.0

    def measures(self, state: State) -> dict[str, float]:
        return {"learning_rate": 0.0}

    # -- one iteration --------------------------------------------------------------------------------

    def numbers(self) -> dict[str, float]:
        return {"fresh": float(self.begins_with_gradient), "last_fall": 0.0, **self.learned()}

    def move(self, problem: Problem, here: Iterate, state: State) -> Move:
        fresh = bool(state.values["fresh"])
        p, found = self._along(problem, here, self.direction(here, state), state)
        there = found.trial.point
        if there is here and not fresh:
            self._restart(here, state)
            p, found = self._along(problem, here, -here.projected_gradient, state)
            there = found.trial.point
        if there is here:
            return Move(None, {}, self._stuck(here, found, state))
        alpha = found.trial.alpha
        self.learn(here, there, p, alpha, state)
        state.values["fresh"], state.values["last_fall"] = 0.0, here.cost - there.cost
        length = alpha * read(namespace(p).linalg.vector_norm(p))[0]
        return Move(there, {"learning_rate": alpha, "step": length})

    def _along(self, problem: Problem, here: Iterate, p: Array, state: State) -> tuple[Array, Found]:
        slope = here.slope(p)
        if not _leads_down(slope):
            self._restart(here, state)
            p = -here.projected_gradient
            slope = here.slope(p)
        start = Trial(0.0, here.cost, slope, here)
        if not _leads_down(slope):
            return p, Found(start, False, "The slope is not finite and negative.")
        first = self.first_trial(here, p, slope, state)
        found = self._search(here.w)(Ray(problem, here.w, p, self.evaluate), start, first)
        if found.trial.alpha == 0.0 or not found.trial.point.compute().finite:
            found = found._replace(trial=start)
        return p, found

    def _stuck(self, here: Iterate, found: Found, state: State) -> Stop:
        """The stop where not even −g led to a lower cost."""
        if not _leads_down(found.trial.slope):
            remedy = "Multiply the cost by about {}, or start elsewhere."
            return out_of_range("the entries of the gradient", here.norm, here.w, remedy)
        words = f"No lower cost was found, not even along the negative gradient: {found.message}"
        return judged(5, words, here, state)

    def _search(self, w: Array) -> Any:
        """The search, with no less tolerance for rounding than the weights' type needs."""
        rounding = 100.0 * float(namespace(w).finfo(w.dtype).eps)
        if getattr(self.search, "epsilon", rounding) < rounding / 10.0:
            return replace(self.search, epsilon=rounding)
        return self.search

    def _restart(self, here: Iterate, state: State) -> None:
        self.forget(here, state)
        state.values["fresh"], state.values["last_fall"] = 1.0, 0.0


def _leads_down(slope: float) -> bool:
    return -math.inf < slope < 0.0


def unit_step(p: Array) -> float:
    """1/‖p‖: the α of a step of length 1, whatever the scale of the cost."""
    norm = read(namespace(p).linalg.vector_norm(p))[0]
    return 1.0 / norm if norm > 0.0 else 1.0


def as_before(state: State, slope: float) -> float:
    """The α at which a parabola with this slope has fallen by as much as the cost did in the last step."""
    return -2.0 * state.values["last_fall"] / slope


@register(
    "gradient_descent_with_line_search",
    full_batch=True,
    source="Cauchy 1847",
)
@dataclass(frozen=True)
class SteepestDescent(Descent):
    """Steepest descent with a search in every step: w ← w − αg.

    The lectures' *minimalizacja kierunkowa*: follow the direction while the cost falls. Linear convergence,
    with the ratio ((κ − 1)/(κ + 1))² of costs for exact searches, κ the condition of the Hessian.
    ``search`` (default ``"strong_wolfe"``): a name or an object of :mod:`nnx.optimizers.searches`; further
    options: :class:`nnx.optimizers.Deterministic`.
    Source: A. Cauchy, C. R. Acad. Sci. Paris 25 (1847) 536; J. Nocedal, S. Wright, *Numerical Optimization*,
    2006, section 3.3.

    >>> result = nnx.minimize(lambda w: np.sum((w - 1.0) ** 2), np.zeros(2), method="steepest_descent")
    >>> result.x
    array([1., 1.])
    """

    search: Any = "strong_wolfe"

    def direction(self, here: Iterate, state: State) -> Array:
        return -here.gradient

    def first_trial(self, here: Iterate, p: Array, slope: float, state: State) -> float:
        return unit_step(p) if state.values["fresh"] else as_before(state, slope)
