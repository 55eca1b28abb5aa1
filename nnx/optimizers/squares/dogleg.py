"""Powell's dog-leg: a trust region between the steepest descent and Gauss–Newton."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from nnx.backend import namespace
from nnx.optimizers.problem import Problem, read, register
from nnx.optimizers.squares.attempts import Attempt, Path, TrialStep
from nnx.optimizers.squares.gauss_newton import solver_field
from nnx.optimizers.squares.linearized import Linearized
from nnx.optimizers.squares.radius import first_radius, follow
from nnx.optimizers.squares.step_control import TrialSteps
from nnx.optimizers.squares.stopping import least_damped
from nnx.options import number

Array = Any


@dataclass(frozen=True)
class DoglegPath:
    """The path from 0 over the Cauchy step to the Gauss–Newton step, up to the length Δ."""

    factor: float | None

    turns: ClassVar[bool] = False

    def numbers(self) -> dict[str, float]:
        return {"radius": 0.0, "mu": 0.0}  # a radius of 0 is not known yet; there is no μ

    def measures(self, values: dict[str, float]) -> dict[str, float]:
        return {"radius": values["radius"]}

    def steps(
        self, problem: Problem, here: Linearized, scale: Array, values: dict[str, float]
    ) -> Callable[[], TrialStep | None]:
        dot = namespace(here.w).vecdot
        g = here.gradient if here.free is None else here.free * here.gradient
        down = g / scale
        slope, bend = read(dot(g, down), dot(down, here.system.image(down)))
        if not (slope > 0.0 and bend > 0.0):  # no variable is free, or rounding leaves no descent direction
            return lambda: None
        cauchy, near = -(slope / bend) * down, slope / bend * math.sqrt(slope)
        newton = least_damped(here)
        newton = cauchy if newton is None else newton
        rest = newton - cauchy
        far, across, along = read(
            dot(scale * newton, newton), dot(scale * rest, rest), dot(scale * cauchy, rest)
        )
        far = math.sqrt(far)
        if not math.isfinite(across):  # beyond the range of squares
            newton, far = cauchy, near
        factor = getattr(problem, "first_radius", 100.0) if self.factor is None else self.factor
        new = first_radius(here, scale, values, factor)

        def step() -> TrialStep:
            nonlocal new
            if new:
                values["radius"], new = min(values["radius"], far), False
            radius = values["radius"]
            if radius >= far:
                p = newton
            elif radius <= near:
                p = (radius / near) * cauchy
            else:
                # the τ > 0 with ‖cauchy + τ·rest‖ = Δ, without cancellation, all lengths as multiples of Δ
                onward, whole = along / radius / radius, across / radius / radius
                room = 1.0 - (near / radius) * (near / radius)
                root = math.sqrt(onward * onward + whole * room)
                p = cauchy + (room / (onward + root) if onward > 0.0 else (root - onward) / whole) * rest
            return TrialStep(p, p, radius < far)

        return step

    def accepted(self, values: dict[str, float], attempt: Attempt) -> None:
        follow(values, attempt)

    def rejected(self, values: dict[str, float], attempt: Attempt | None) -> None:
        follow(values, attempt)

    def limit(self, values: dict[str, float]) -> str | None:
        return None


@register(
    full_batch=True,
    least_squares=True,
    source="Powell 1970; Madsen, Nielsen & Tingleff 2004",
)
@dataclass(frozen=True)
class Dogleg(TrialSteps):
    """Powell's dog-leg: w ← w + p, the Gauss–Newton step if it is at most Δ long, else a step of length Δ.

    The step lies on a line with a bend, from 0 to the minimum of the linear model along the steepest descent
    (the Cauchy step −(qᵀg/‖Jq‖²)·q, q = D⁻¹g) and on to the Gauss–Newton step. Lengths are those of √D·p,
    where D is ``scaling``; Δ follows the gain ratio as in :class:`nnx.optimizers.LevenbergMarquardt`, and a
    step that does not lower the cost is rejected and tried again with a smaller Δ. One system is solved in
    each iteration, however many steps are tried. Where JᵀJ is singular to working precision, the least
    damping that makes it solvable is added.

    The first Δ is ``factor``·‖√D·w‖, cut to the Gauss–Newton step; ``factor`` None is 100, and 0.1 for the
    weights of a network, whose linear model holds not far from a random start. ``scaling`` and ``bounds``
    as in :class:`nnx.optimizers.squares.step_control.TrialSteps`; further options:
    :class:`nnx.optimizers.SumOfSquares`.

    Source: M. J. D. Powell, in P. Rabinowitz (ed.), *Numerical Methods for Nonlinear Algebraic Equations*,
    1970, 87–114; K. Madsen, H. B. Nielsen, O. Tingleff, *Methods for Non-Linear Least Squares Problems*, 2nd
    ed., 2004, section 3.3; radius: J. Moré, LNM 630 (1978) 105–116.

    >>> def rosenbrock(x):
    ...     return np.stack([10.0 * (x[1] - x[0] ** 2), 1.0 - x[0]])
    >>> result = nnx.least_squares(rosenbrock, [-1.2, 1.0], method="dogleg")
    >>> result.x.round(6), result.success
    (array([1., 1.]), True)
    """

    factor: float | None = number(None, above=0.0, optional=True)
    _: KW_ONLY
    solver: str = solver_field("qr")

    @property
    def path(self) -> Path:
        return DoglegPath(self.factor)
