"""Levenberg–Marquardt: between Gauss–Newton and gradient descent, by a damping that follows success."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from nnx.backend import namespace
from nnx.optimizers.problem import Problem, read, register
from nnx.optimizers.squares.linearized import Linearized
from nnx.optimizers.squares.step_control import Attempt, Path, TrialStep, TrialSteps
from nnx.options import number, one_of

Array = Any


@dataclass(frozen=True)
class Damped:
    """The path p(μ) = −(JᵀJ + μD)⁻¹Jᵀr; the options are those of :class:`LevenbergMarquardt`."""

    mu: float
    mu_dec: float
    mu_inc: float
    mu_max: float
    damping: str
    geodesic: bool | None

    #: the least μ: below, μD is negligible compared with JᵀJ in any precision
    least: ClassVar[float] = 1e-24
    #: at this fraction of p the residuals are evaluated for their second derivative
    ahead: ClassVar[float] = 0.1

    def numbers(self) -> dict[str, float]:
        return {"mu": self.mu, "nu": 2.0, "slow": 0.0}

    def measures(self, values: dict[str, float]) -> dict[str, float]:
        return {"mu": values["mu"]}

    def steps(
        self, problem: Problem, here: Linearized, scale: Array, values: dict[str, float]
    ) -> Callable[[], TrialStep | None]:
        bends = self.geodesic if self.geodesic is not None else bool(values["slow"])

        def step() -> TrialStep | None:
            damping = values["mu"] * scale
            p = here.system.solve(damping, here.free)
            if p is None:
                return None
            s = self._bent(problem, here, p, damping) if bends else p
            return None if s is None else TrialStep(p, s)

        return step

    def _bent(self, problem: Problem, here: Linearized, p: Array, damping: Array) -> Array | None:
        """The step p + a/2, where a = −(JᵀJ + μD)⁻¹Jᵀ r''(p, p) is the acceleration along the geodesic.

        None where a is not small compared with p in D's norm: the linear model does not hold that far.
        """
        xp, h = namespace(p), self.ahead
        # r'' by a difference: ½h²r'' = r(w + hp) − r(w) − hJp.
        change = here.moved(problem, here.w + h * p).point.residual - here.point.residual
        moved, ridge = here.point.vjp(change) / h, here.ridge
        moved = moved if ridge is None else moved + ridge * p
        bend = (2.0 / h) * (moved - here.system.image(p))
        a = here.system.solve(damping, here.free, right=bend)
        if a is None:
            return None
        norm, root = xp.linalg.vector_norm, xp.sqrt(damping)
        long, short = read(norm(root * a), norm(root * p))
        return p + 0.5 * a if long <= 0.75 * short else None

    def accepted(self, values: dict[str, float], attempt: Attempt) -> None:
        gain = attempt.gain
        if self.damping == "matlab":
            factor = self.mu_dec
        else:
            factor = max(1.0 / 3.0, 1.0 - (2.0 * min(gain, 1.0) - 1.0) ** 3) if gain > 0.0 else 1.0
        values["mu"], values["nu"] = max(values["mu"] * factor, self.least), 2.0
        values["slow"] = float(attempt.fall < attempt.there.total)

    def rejected(self, values: dict[str, float], attempt: Attempt | None) -> None:
        if self.damping == "matlab":
            values["mu"] *= self.mu_inc
        else:
            values["mu"] *= values["nu"]
            values["nu"] *= 2.0

    def limit(self, values: dict[str, float]) -> str | None:
        if values["mu"] <= self.mu_max:
            return None
        return f"The damping exceeds mu_max = {self.mu_max:g}: no step, however short, lowers the cost."


def damping_field(default: str) -> Any:
    """A dataclass field for the rule by which μ follows."""
    return one_of("matlab", "nielsen", default=default)


def geodesic_field() -> Any:
    """A dataclass field for the acceleration: always, never, or (None) where the valley bends."""
    return one_of(None, True, False, default=None)


@register(
    "lm",
    "trainlm",
    full_batch=True,
    least_squares=True,
    source="Levenberg 1944; Marquardt 1963; Hagan & Menhaj 1994; Nielsen 1999",
)
@dataclass(frozen=True)
class LevenbergMarquardt(TrialSteps):
    """Levenberg–Marquardt: p = −(JᵀJ + μD)⁻¹Jᵀr, accepted if it lowers the cost ½‖r‖².

    ``damping`` says how μ follows:

    - ``"nielsen"`` (default): with ρ = actual fall of the cost / predicted fall,
      μ ← μ·max(⅓, 1 − (2ρ − 1)³) after an accepted step; else μ ← νμ, ν ← 2ν, and another try;
    - ``"matlab"``: ``trainlm``'s rule and constants: μ ← ``mu_dec``·μ after an accepted step;
      else μ ← ``mu_inc``·μ and another try.

    ``scaling`` is D (MATLAB's is ``"identity"``), see
    :class:`nnx.optimizers.squares.step_control.TrialSteps`.

    ``mu`` is the first μ; above ``mu_max`` the run ends.

    ``geodesic`` bends the step by the second derivative of the residuals along p (Transtrum & Sethna):
    p + a/2 with a = −(JᵀJ + μD)⁻¹Jᵀr''(p, p), accepted if ‖√D a‖ ≤ ¾‖√D p‖, and else rejected. r'' is a
    difference, which takes one more evaluation of the residuals and a product with Jᵀ. None (default): in
    steps after one that did not halve the cost, where the valley bends; True and False: always and never.

    ``bounds`` are kept by projection. Further options: :class:`nnx.optimizers.SumOfSquares` (``solver``,
    ``memory_limit``, ...).

    Sources: K. Levenberg, Q. Appl. Math. 2 (1944) 164–168; D. Marquardt, SIAM J. 11 (1963) 431–441; M. Hagan,
    M. Menhaj, IEEE Trans. Neural Networks 5 (1994) 989–993; J. Moré, LNM 630 (1978) 105–116; H. B. Nielsen,
    IMM-REP-1999-05; M. Transtrum, J. Sethna, arXiv:1201.5885.

    >>> x = np.linspace(0.0, 1.0, 20)
    >>> result = nnx.least_squares(lambda b: b[0] * np.exp(-b[1] * x) - 3.0 * np.exp(-2.0 * x), [1.0, 1.0])
    >>> result.x.round(6), result.success
    (array([3., 2.]), True)
    """

    mu: float = number(1e-3, above=0.0)
    mu_dec: float = number(0.1, above=0.0, below=1.0)
    mu_inc: float = number(10.0, above=1.0)
    mu_max: float = number(1e10, above=0.0)
    _: KW_ONLY
    damping: str = damping_field("nielsen")
    geodesic: bool | None = geodesic_field()

    @property
    def path(self) -> Path:
        return Damped(self.mu, self.mu_dec, self.mu_inc, self.mu_max, self.damping, self.geodesic)
