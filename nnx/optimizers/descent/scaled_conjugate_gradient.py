"""Møller's conjugate gradients: no search, the step comes from the curvature."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from nnx.backend import namespace
from nnx.optimizers.descent.deterministic import Deterministic, Move
from nnx.optimizers.descent.evaluation import Evaluation, Iterate
from nnx.optimizers.descent.outlook import Outlook, verdict
from nnx.optimizers.descent.stopping import doubt, small, stalled
from nnx.optimizers.problem import Problem, Stop, read, register
from nnx.optimizers.state import State
from nnx.options import number

Array = Any


@register(
    "scg",
    "SCG",
    "trainscg",
    full_batch=True,
    source="Møller 1993",
)
@dataclass(frozen=True)
class ScaledConjugateGradient(Deterministic):
    r"""Scaled conjugate gradients (SCG): w ← w + αp with α = −gᵀp/δ, δ = pᵀHp + λpᵀp.

    No search: λ ≥ 0 is raised until δ > 0, and then steered by how well the parabola of curvature δ predicts
    the cost, Δ = 2δ(E(w) − E(w + αp))/(gᵀp)². A step is accepted if Δ ≥ 0; Δ ≥ ¾ divides λ by 4; Δ < ¼ adds
    δ(1 − Δ)/pᵀp to it. Then p ← −n + βp with β = (nᵀn − nᵀg)/(−gᵀp), n the new gradient; p = −n after every n
    steps, n the number of weights.

    Two things differ from the paper. Hp is the exact product with the Hessian instead of a difference of
    gradients, so that there is no σ to choose. And ``lambda_start`` (5e-7), where λ begins, is relative to
    the first curvature, \|pᵀHp\|/pᵀp: the cost's scale does not matter. An iteration asks for one gradient,
    one product with the Hessian, and one value for each trial, ``max_trials`` (60) at most. Further options:
    :class:`nnx.optimizers.Deterministic`.
    Source: M. F. Møller, "A scaled conjugate gradient algorithm for fast supervised learning", Neural
    Networks 6 (1993) 525–533.

    >>> f = lambda w: w[0] ** 2 + 5.0 * w[1] ** 2 + w[0] * w[1]
    >>> result = nnx.minimize(f, [3.0, -2.0], method="scg", tol=1e-5)
    >>> bool(result.fun < 1e-10), result.nit
    (True, 3)
    """

    renamed: ClassVar = {"lambda_": "lambda_start", "lambda0": "lambda_start"}

    lambda_start: float = number(5e-7, above=0.0)
    max_trials: int = number(60, least=1, whole=True)

    def memory(self, problem: Problem, w: Array) -> dict[str, Array]:
        return {"direction": namespace(w).zeros_like(w)}

    def measures(self, state: State) -> dict[str, float]:
        return {"learning_rate": 0.0}

    def numbers(self) -> dict[str, float]:
        return {"beta": 0.0, "lambda": 0.0, "since_restart": 0.0}

    def move(self, problem: Problem, here: Evaluation, state: State) -> Move:
        # p is in units of the max-norm of g, so that its products with g and Hp do not overflow
        values, g, unit = state.values, here.gradient, here.norm
        dot, down = namespace(g).vecdot, -g / unit
        p = values["beta"] * state.memory["direction"] + down
        slope, length2 = read(dot(g, p), dot(p, p))
        if not slope < 0.0:
            p, values["since_restart"] = down, 0.0
            slope, length2 = read(dot(g, p), dot(p, p))
        curvature = read(dot(p, here.point.hvp(p)))[0]
        if not math.isfinite(curvature):
            curvature = 0.0
        if not values["lambda"]:
            # where the function is straight along p, a step of unit length
            start = self.lambda_start * abs(curvature) / length2
            values["lambda"] = start or -slope / math.sqrt(length2)
        along = Parabola(slope, curvature, length2)
        if values["stalled"]:
            stop, left = stalled(here, along.outlook(p), state)
            if stop is not None:
                return Move(None, {}, stop)
            if left is not None and left.lower is not None:
                return self._to_lower(here, left.lower, values)
        there, alpha = self._trials(problem, here, p, along, values)
        if there is None:
            return self._stuck(here, p, along, state)
        self._turn(here, there, p, slope, state)
        values["promised"] = -alpha * slope
        step = alpha * math.sqrt(length2)
        return Move(there, {"learning_rate": alpha / unit, "step": step, "lambda": values["lambda"]})

    def _trials(
        self, problem: Problem, here: Iterate, p: Array, along: Parabola, values: dict[str, float]
    ) -> tuple[Iterate | None, float]:
        """The point that is accepted, and its α; None if there is none. Steers λ."""
        lam = values["lambda"]
        for _ in range(self.max_trials):
            delta = along.curvature + lam * along.length2
            if delta <= 0.0:
                lam = 2.0 * (lam - delta / along.length2)
                delta = along.curvature + lam * along.length2
            alpha = -along.slope / delta if delta else math.inf
            there = self.evaluate(problem, here.w + alpha * p)
            ratio = 2.0 * delta * ((here.cost - there.cost) / along.slope) / along.slope
            good = ratio >= 0.0 and there.compute().finite
            if good and ratio >= 0.75:
                lam *= 0.25
            elif not good or ratio < 0.25:
                # a cost that is not finite does not tell the size of the error: 100 times the curvature
                wrong = 1.0 - ratio if math.isfinite(ratio) else 100.0
                lam += max(delta * wrong, delta) / along.length2
            values["lambda"] = lam
            if good:
                return there, alpha
        return None, 0.0

    def _stuck(self, here: Evaluation, p: Array, along: Parabola, state: State) -> Move:
        """The stop where no λ led to a lower cost, or the move to a lower point that a last look met."""
        judged = verdict(here, along.outlook(p), state.values["largest_cost"])
        if judged.lower is not None:
            return self._to_lower(here, judged.lower, state.values)
        reason = f"No lower cost was found along the direction in {self.max_trials} trials of growing λ."
        stop = Stop(5, f"{reason} {doubt(here) or f'But {judged.words}.'}", False)
        return Move(None, {"lambda": state.values["lambda"]}, small(judged.words) if judged.success else stop)

    @staticmethod
    def _to_lower(here: Evaluation, lower: Evaluation, values: dict[str, float]) -> Move:
        """The move to the point that a last look met, after which the directions begin anew."""
        values["beta"], values["promised"] = 0.0, -here.slope(lower.w - here.w)
        return Move(lower)

    def _turn(self, here: Iterate, there: Iterate, p: Array, slope: float, state: State) -> None:
        """Sets what the next direction is made of."""
        values, n = state.values, there.gradient
        values["since_restart"] += 1.0
        if values["since_restart"] >= p.shape[0]:
            values["since_restart"] = values["beta"] = 0.0
        else:
            change = read(namespace(n).vecdot(n / (there.norm or 1.0), n - here.gradient))[0]
            values["beta"] = change / -slope
        state.memory["direction"][...] = p


class Parabola(NamedTuple):
    """What is known of the cost along p: gᵀp, pᵀHp and pᵀp."""

    slope: float
    curvature: float
    length2: float

    def outlook(self, p: Array) -> Outlook | None:
        """Its minimum and the fall to it; None where it has none."""
        if not self.curvature > 0.0:
            return None
        alpha = -self.slope / self.curvature
        return Outlook(alpha * p, -0.5 * alpha * self.slope)
