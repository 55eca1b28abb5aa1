"""Methods that trust a quadratic model of the cost within a radius, which follows their success."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from nnx.backend import namespace
from nnx.optimizers.descent.deterministic import Deterministic, Move
from nnx.optimizers.descent.evaluation import Evaluation, Iterate, precision
from nnx.optimizers.descent.outlook import Outlook, contradiction, verdict
from nnx.optimizers.descent.stopping import small, stalled
from nnx.optimizers.problem import Problem, Stop, read
from nnx.optimizers.state import State
from nnx.options import number

Array = Any

#: No radius is longer, so that its square does not overflow
_LONGEST = 1e100
#: Steps tried in one iteration: enough to shrink the radius by 4⁻⁶⁰, below any precision
_MOST_TRIES = 60
#: A step is accepted if the cost falls by more than this fraction of the predicted fall
_LEAST_GAIN = 1e-3
#: A trial is learned from if the cost rises by no more than so many predicted falls
_WALL = 1e3
#: Differences of costs up to so many units of rounding are not judged
_ROUNDING = 10.0


class Minimizer(NamedTuple):
    """A step p that approximately minimises gᵀp + ½pᵀBp, g + Bp there, and whether it ends at the radius."""

    p: Array
    residual: Array
    at_edge: bool


@dataclass(frozen=True)
class TrustRegion(Deterministic):
    """Base class: w ← w + p, where p nearly minimises gᵀp + ½pᵀBp for ‖p‖ ≤ Δ. A subclass says what B is.

    p comes from conjugate gradients that end at the radius (:func:`steihaug`), or as soon as ‖g + Bp‖ is at
    most min(½, √η)·‖g‖, η the max-norm of g relative to the largest so far. With ρ = actual fall of the cost
    / predicted fall, Δ ← ‖p‖/4 if ρ < ¼, and Δ ← 2Δ if ρ > ¾ at the radius. A step with ρ ≤ 0.001 is rejected
    and tried again with the smaller radius: one iteration is one accepted step.

    ``initial_trust_radius`` is the first Δ; further options: :class:`nnx.optimizers.Deterministic`.
    Source: J. Nocedal, S. Wright, *Numerical Optimization*, 2nd ed., 2006, algorithm 4.1 (p. 69).

    >>> isinstance(nnx.optimizers.SR1(), nnx.optimizers.TrustRegion)
    True
    """

    renamed: ClassVar[Mapping[str, str]] = {
        "initial_tr_radius": "initial_trust_radius",
        "max_trust_radius": "nothing in its place (the radius grows only as far as the model is right)",
        "radius": "initial_trust_radius",
    }

    initial_trust_radius: float = number(1.0, above=0.0, most=_LONGEST)

    # -- what a subclass says -----------------------------------------------------------------------

    def product(self, here: Iterate, state: State, v: Array) -> Array:
        """B·v."""
        raise NotImplementedError

    def learned(self) -> dict[str, float]:
        """The numbers that it learns from steps, as they are at first."""
        return {}

    def learn(self, here: Iterate, there: Iterate, state: State) -> None:
        """Learns from a step that was tried, whether it is accepted or not."""

    def forget(self, problem: Problem, here: Iterate, state: State) -> bool:
        """Clears what was learned, where no step lowered the cost; False if nothing was learned."""
        return False

    # -- one iteration --------------------------------------------------------------------------------

    def numbers(self) -> dict[str, float]:
        return {"radius": self.initial_trust_radius, "largest_gradient": 0.0, **self.learned()}

    def move(self, problem: Problem, here: Evaluation, state: State, again: bool = True) -> Move:
        xp, values, unit = namespace(here.w), state.values, here.norm
        norm, eps = xp.linalg.vector_norm, precision(here.w).eps
        values["largest_gradient"] = max(values["largest_gradient"], unit)
        # The model in units of the gradient, so that squares do not overflow.
        g, eta = here.gradient / unit, unit / values["largest_gradient"]
        end = End(here, values["largest_cost"])
        for tries in range(_MOST_TRIES):
            p, residual, at_edge = steihaug(
                lambda v: self.product(here, state, v) / unit, g, values["radius"], min(0.5, math.sqrt(eta))
            )
            fall, slope, length, size = read(
                -0.5 * xp.vecdot(p, g + residual), xp.vecdot(p, g), norm(p), norm(here.w)
            )
            promised = unit * fall
            if not tries and not at_edge and values["stalled"]:
                stop, left = stalled(here, Outlook(p, promised), state)
                if stop is not None:
                    return Move(None, {}, stop)
                if left is not None and left.lower is not None:
                    return self._to_lower(here, left.lower, state)
            there = self.evaluate(problem, here.w + p)
            gain = _gain(here, there, promised, _ROUNDING * eps * abs(here.cost))
            # a point far up a wall knows nothing of the curvature here
            if there.cost - here.cost <= _WALL * promised:
                self.learn(here, there, state)
            if not gain >= 0.25:
                values["radius"] = 0.25 * length
            elif gain > 0.75 and at_edge:
                values["radius"] = min(2.0 * values["radius"], _LONGEST)
            if gain > _LEAST_GAIN:
                values["promised"] = -unit * slope
                return Move(there, {"radius": values["radius"], "step": length})
            if not at_edge and end.reached(p, promised, there.cost):
                return Move(None, {}, small(end.words))
            if end.lower is not None:
                return self._to_lower(here, end.lower, state)
            end.remember(p, unit * slope, there.cost)
            if not length > eps * size or not promised > eps * abs(here.cost):
                break
        values["radius"] = self.initial_trust_radius
        if again and self.forget(problem, here, state):
            return self.move(problem, here, state, again=False)
        if not end.words and end.reached(p, promised, there.cost, surely=True):
            return Move(None, {}, small(end.words))
        if end.lower is not None:
            return self._to_lower(here, end.lower, state)
        found = f"No lower cost was found, not even by a step of {length:.1e}."
        return Move(None, {"step": length}, Stop(5, f"{found} {end.why_not(problem)}", False))

    def _to_lower(self, here: Evaluation, lower: Evaluation, state: State) -> Move:
        """The move to the point that a last look met."""
        self.learn(here, lower, state)
        state.values["promised"] = -here.slope(lower.w - here.w)
        return Move(lower)


class End:
    """What the rejected steps from a point tell: whether it is a minimum, or the gradient a wrong one."""

    def __init__(self, here: Evaluation, largest: float) -> None:
        self.here, self.largest = here, largest
        self.eps = precision(here.w).eps
        self.words = ""
        self.lower: Evaluation | None = None
        self._clear: tuple[Array, float] | None = None

    def reached(self, p: Array, promised: float, cost: float, surely: bool = False) -> bool:
        """Whether ``p`` promises nothing, and a second look agrees: asked once, if values say so."""
        fell = self.here.cost - cost
        hidden = max(promised, abs(fell)) <= 1e3 * self.eps * self.largest
        if self.words or not (surely or hidden or promised <= _ROUNDING * self.eps * abs(self.here.cost)):
            return False
        missed = abs(fell - promised) if math.isfinite(fell) else math.inf
        success, self.words, self.lower = verdict(
            self.here, Outlook(p, promised, missed, fell == 0.0), self.largest
        )
        return success

    def remember(self, p: Array, slope: float, cost: float) -> None:
        """Keeps the shortest step whose change of the cost is more than rounding."""
        if 1e3 * self.eps * abs(self.here.cost) < abs(cost - self.here.cost) < math.inf:
            self._clear = p, slope

    def why_not(self, problem: Problem) -> str:
        """What is wrong, in a sentence."""
        wrong = ""
        if getattr(problem, "given_gradient", False) and self._clear is not None:
            wrong = contradiction(self.here, *self._clear, 1.0)
        return wrong or f"But {self.words}."


def _gain(here: Iterate, there: Iterate, promised: float, rounding: float) -> float:
    """ρ, which is 1 where all differences are within the rounding of the cost; NaN for a bad point.

    A point that is not lower, but not higher by more than rounding, is good if its gradient is smaller.
    Source: A. Conn, N. Gould, P. Toint, *Trust-Region Methods*, SIAM 2000, section 17.4.2.
    """
    if not math.isfinite(there.cost) or not promised + rounding > 0.0:
        return math.nan
    gain = (here.cost - there.cost + rounding) / (promised + rounding)
    if gain > _LEAST_GAIN and not there.norm < (math.inf if there.cost < here.cost else here.norm):
        return math.nan
    return gain


def steihaug(product: Callable[[Array], Array], g: Array, radius: float, tolerance: float) -> Minimizer:
    """The step of conjugate gradients towards the minimum of gᵀp + ½pᵀBp for ‖p‖ ≤ ``radius``.

    ``product`` gives B·v for a symmetric B, which may have negative eigenvalues. The iteration ends where
    ‖g + Bp‖ ≤ ``tolerance``·‖g‖; where it would leave the radius, and along a direction of negative
    curvature, it ends at the radius. One transfer to the host in each iteration.
    Source: T. Steihaug, SIAM J. Numer. Anal. 20 (1983) 626–637; Nocedal & Wright 2006, algorithm 7.2.
    """
    xp = namespace(g)
    dot = xp.vecdot
    p, r, d = xp.zeros_like(g), g, -g
    pp, rr = 0.0, read(dot(g, g))[0]
    enough = tolerance**2 * rr
    for _ in range(2 * g.shape[0] + 10):
        bd = product(d)
        curvature = dot(d, bd)
        # Computed before it is known whether this step stays inside: one transfer brings all.
        alpha = rr / xp.where(curvature > 0.0, curvature, xp.ones_like(curvature))
        p_next, r_next = p + alpha * d, r + alpha * bd
        bend, rr_next, pp_next = read(curvature, dot(r_next, r_next), dot(p_next, p_next))
        if not bend > 0.0 or not pp_next < radius**2:
            if not math.isfinite(bend):
                bd = xp.zeros_like(d)  # no curvature is known here: the model is taken as linear along d
            pd, dd = read(dot(p, d), dot(d, d))
            room = radius**2 - pp
            length = pd + math.sqrt(pd * pd + dd * room)
            # a radius whose square underflows leaves no room
            tau = room / length if length > 0.0 else 0.0
            return Minimizer(p + tau * d, r + tau * bd, True)
        p, r, pp = p_next, r_next, pp_next
        if rr_next <= enough:
            break
        d = (rr_next / rr) * d - r
        rr = rr_next
    return Minimizer(p, r, False)
