"""Methods made of a direction and a search along it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from nnx.backend import namespace
from nnx.errors import OptionError
from nnx.optimizers import searches
from nnx.optimizers.descent.deterministic import Deterministic, Move
from nnx.optimizers.descent.evaluation import Evaluation, Iterate, precision
from nnx.optimizers.descent.outlook import verdict
from nnx.optimizers.descent.ray import Ray
from nnx.optimizers.descent.stopping import out_of_range, small, stalled
from nnx.optimizers.problem import Problem, Stop, read, register
from nnx.optimizers.searches import Found
from nnx.optimizers.state import State

Array = Any


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

    ``search`` is a name or an object of :mod:`nnx.optimizers.searches`; raises
    :class:`nnx.errors.OptionError` for another.

    >>> isinstance(nnx.optimizers.BFGS(), nnx.optimizers.Descent), nnx.optimizers.BFGS().search
    (True, StrongWolfe(c1=0.0001, c2=0.9, max_trials=50, epsilon=1e-14))
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
        """Updates the memory by the step from ``here`` to ``there`` = ``here`` + αp; α = ``alpha`` > 0."""

    def forget(self, here: Iterate, state: State) -> None:
        """Clears the memory: the next direction is −g, up to its length."""

    def first_trial(self, here: Iterate, p: Array, slope: float, state: State) -> float:
        """The α > 0 that the search tries first; ``slope`` = gᵀp < 0."""
        return 1.0

    def measures(self, state: State) -> dict[str, float]:
        return {"learning_rate": 0.0}

    # -- one iteration --------------------------------------------------------------------------------

    def numbers(self) -> dict[str, float]:
        return {"fresh": float(self.begins_with_gradient), "last_fall": 0.0, **self.learned()}

    def move(self, problem: Problem, here: Evaluation, state: State) -> Move:
        values = state.values
        line = self._line(problem, here, self.direction(here, state), state)
        if values["stalled"]:
            stop, left = stalled(here, line.outlook(self._model(line, state)), state)
            if stop is not None:
                return Move(None, {}, stop)
            if left is not None and left.lower is not None:
                return self._to_lower(here, left.lower, state)
            if left is not None and not values["fresh"]:
                line = self._steepest(problem, here, state)
        found = self._found(line, state)
        if found.trial.point is here:
            seen = line.outlook(self._model(line, state)) if line.leads_down else None
            judged = verdict(here, seen, values["largest_cost"])
            if judged.success:
                return Move(None, {}, small(judged.words))
            if judged.lower is not None:
                return self._to_lower(here, judged.lower, state)
            if not values["fresh"]:
                line = self._steepest(problem, here, state)
                found = self._found(line, state)
        there, alpha = found.trial.point, found.trial.alpha
        if there is here:
            return self._stuck(line, found, state)
        return self._moved(here, there, line.p, alpha, state)

    def _to_lower(self, here: Evaluation, lower: Evaluation, state: State) -> Move:
        """The move to the point that a last look met."""
        return self._moved(here, lower, lower.w - here.w, 1.0, state)

    def _moved(self, here: Evaluation, there: Evaluation, p: Array, alpha: float, state: State) -> Move:
        """The move from here to ``there`` = ``here`` + αp, from which the method learns."""
        self.learn(here, there, p, alpha, state)
        state.values["fresh"], state.values["last_fall"] = 0.0, here.cost - there.cost
        state.values["promised"] = -alpha * here.slope(p)
        length = alpha * read(namespace(p).linalg.vector_norm(p))[0]
        return Move(there, {"learning_rate": alpha, "step": length})

    def _line(self, problem: Problem, here: Evaluation, p: Array, state: State) -> Ray:
        """The line along ``p``, or along −g where p does not lead down."""
        noise = 1e3 * precision(here.w).eps * state.values["largest_cost"]
        line = Ray(problem, here, p, self.evaluate, noise)
        return line if line.leads_down or state.values["fresh"] else self._steepest(problem, here, state)

    def _steepest(self, problem: Problem, here: Evaluation, state: State) -> Ray:
        """The line along −g, after which the method begins anew."""
        self.forget(here, state)
        state.values["fresh"], state.values["last_fall"] = 1.0, 0.0
        return self._line(problem, here, -here.projected_gradient, state)

    def _found(self, line: Ray, state: State) -> Found:
        first = self.first_trial(line.here, line.p, line.start.slope, state) if line.leads_down else 1.0
        return line.search(self._search(line.here.w), first)

    def _model(self, line: Ray, state: State) -> float | None:
        """The α of the minimum by the method's own model; None where it has none yet."""
        if not line.leads_down or (state.values["fresh"] and self.begins_with_gradient):
            return None
        return (
            1.0
            if not self.begins_with_gradient
            else self.first_trial(line.here, line.p, line.start.slope, state)
        )

    def _stuck(self, line: Ray, found: Found, state: State) -> Move:
        """The stop where not even −g led to a lower cost, or the move to where a last look did."""
        here = line.here
        if not line.leads_down:
            remedy = "Multiply the cost by about {}, or start elsewhere."
            return Move(None, {}, out_of_range("the entries of the gradient", here.norm, here.w, remedy))
        words = f"No lower cost was found, not even along the negative gradient: {found.message}"
        judged = verdict(here, line.outlook(), state.values["largest_cost"])
        if judged.success:
            return Move(None, {}, small(judged.words))
        if judged.lower is not None:
            return self._to_lower(here, judged.lower, state)
        wrong = line.contradiction() if getattr(line.problem, "given_gradient", False) else ""
        return Move(None, {}, Stop(5, f"{words} {wrong or f'But {judged.words}.'}", False))

    def _search(self, w: Array) -> Any:
        """The search, with no less tolerance for rounding than the weights' type needs."""
        rounding = 100.0 * precision(w).eps
        if getattr(self.search, "epsilon", rounding) < rounding / 10.0:
            return replace(self.search, epsilon=rounding)
        return self.search


def unit_step(p: Array) -> float:
    """1/‖p‖: the α of a step of length 1, whatever the scale of the cost."""
    norm = read(namespace(p).linalg.vector_norm(p))[0]
    return 1.0 / norm if norm > 0.0 else 1.0


def as_before(state: State, slope: float) -> float:
    """The α at which a parabola with this slope has fallen by as much as the cost did in the last step; or 1.

    That is where the cost did not fall in it.
    """
    fell = state.values["last_fall"]
    return -2.0 * fell / slope if fell > 0.0 else 1.0


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
