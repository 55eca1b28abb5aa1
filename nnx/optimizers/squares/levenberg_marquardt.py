"""Levenberg–Marquardt: between Gauss–Newton and gradient descent, in a trust region or by a damping."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar

from nnx.backend import namespace
from nnx.optimizers.problem import Problem, read, register
from nnx.optimizers.squares.attempts import Attempt, Path, TrialStep
from nnx.optimizers.squares.linearized import Linearized
from nnx.optimizers.squares.radius import first_radius, follow
from nnx.optimizers.squares.regions import region
from nnx.optimizers.squares.step_control import TrialSteps
from nnx.options import number, one_of

Array = Any


def bent(
    problem: Problem, here: Linearized, p: Array, scale: Array, solve: Callable[[Array], Array | None]
) -> Array | None:
    """The step p + a/2, where a = −(JᵀJ + μD)⁻¹Jᵀ r''(p, p) is the acceleration along the geodesic.

    ``solve`` multiplies by −(JᵀJ + μD)⁻¹. None where a is not small compared with p in D's norm: the linear
    model does not hold that far.
    """
    xp, h = namespace(p), 0.1  # at this fraction of p the residuals are evaluated for their second derivative
    # r'' by a difference: ½h²r'' = r(w + hp) − r(w) − hJp.
    change = here.moved(problem, here.w + h * p).point.residual - here.point.residual
    moved, ridge = here.point.vjp(change) / h, here.ridge
    moved = moved if ridge is None else moved + ridge * p
    a = solve((2.0 / h) * (moved - here.system.image(p)))
    if a is None:
        return None
    norm, root = xp.linalg.vector_norm, xp.sqrt(scale)
    long, short = read(norm(root * a), norm(root * p))
    return p + 0.5 * a if long <= 0.75 * short else None


@dataclass(frozen=True)
class TrustRegion:
    """The path of the best steps of length Δ; the options are those of :class:`LevenbergMarquardt`."""

    factor: float
    geodesic: bool | None

    turns: ClassVar[bool] = True
    #: steps in a row that did not halve the total, after which the path is taken to bend
    slow: ClassVar[int] = 10

    def numbers(self) -> dict[str, float]:
        return {"radius": 0.0, "mu": 0.0, "slow": 0.0}  # a radius of 0 is not known yet

    def measures(self, values: dict[str, float]) -> dict[str, float]:
        return {"mu": values["mu"], "radius": values["radius"]}

    def steps(
        self, problem: Problem, here: Linearized, scale: Array, values: dict[str, float]
    ) -> Callable[[], TrialStep | None]:
        inside = region(here.system, scale, here.free)
        new = first_radius(here, scale, values, self.factor)

        def step() -> TrialStep | None:
            nonlocal new
            found = inside.step(values["radius"], values["mu"])
            if found is None:
                return None
            p, values["mu"], length = found
            if new:
                values["radius"], new = min(values["radius"], length), False
            binds = values["mu"] > 0.0
            if not self._bends(values, binds):
                return TrialStep(p, p, binds)
            s = bent(problem, here, p, scale, lambda right: inside.solve(values["mu"], right))
            return TrialStep(p, p if s is None else s, binds, refused=s is None)

        return step

    def _bends(self, values: dict[str, float], binds: bool) -> bool:
        return binds and values["slow"] > self.slow if self.geodesic is None else self.geodesic

    def accepted(self, values: dict[str, float], attempt: Attempt) -> None:
        slow = attempt.fall < attempt.there.total
        if self._bends(values, attempt.binds) and attempt.gain < 0.25:
            slow = False  # the bent step does not hold either: it is not worth its evaluation
        values["slow"] = values["slow"] + 1.0 if slow else 0.0
        follow(values, attempt)

    def rejected(self, values: dict[str, float], attempt: Attempt | None) -> None:
        if self.geodesic is None and values["slow"] > self.slow:
            values["slow"] = 0.0
        follow(values, attempt)

    def limit(self, values: dict[str, float]) -> str | None:
        return None


@dataclass(frozen=True)
class Damped:
    """The path p(μ) with a μ of its own, which grows and shrinks by MATLAB's factors or by Nielsen's rule."""

    mu: float
    mu_dec: float
    mu_inc: float
    mu_max: float
    geodesic: bool | None

    turns: ClassVar[bool] = False
    #: the least μ: below, μD is negligible compared with JᵀJ in any precision
    least: ClassVar[float] = 1e-24

    nielsen: bool = False

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
            if p is None or not bends:
                return None if p is None else TrialStep(p, p)
            s = bent(problem, here, p, scale, lambda right: here.system.solve(damping, here.free, right))
            return None if s is None else TrialStep(p, s)

        return step

    def accepted(self, values: dict[str, float], attempt: Attempt) -> None:
        gain, factor = attempt.gain, self.mu_dec
        if self.nielsen:
            factor = max(1.0 / 3.0, 1.0 - (2.0 * min(gain, 1.0) - 1.0) ** 3)
        values["mu"], values["nu"] = max(values["mu"] * factor, self.least), 2.0
        values["slow"] = float(attempt.fall < attempt.there.total)

    def rejected(self, values: dict[str, float], attempt: Attempt | None) -> None:
        if not self.nielsen:
            values["mu"] *= self.mu_inc
        else:
            values["mu"] *= values["nu"]
            values["nu"] *= 2.0

    def limit(self, values: dict[str, float]) -> str | None:
        if values["mu"] <= self.mu_max:
            return None
        return f"The damping exceeds mu_max = {self.mu_max:g}: no step, however short, lowers the cost."


@dataclass(frozen=True)
class ByProblem:
    """Of two paths that of the problem: ``alike`` where its weights have like units, as a network's have."""

    alike: Damped
    others: TrustRegion

    turns: ClassVar[bool] = True

    def numbers(self) -> dict[str, float]:
        return self.others.numbers() | self.alike.numbers() | {"alike": 0.0}

    def measures(self, values: dict[str, float]) -> dict[str, float]:
        return self._path(values).measures(values)

    def steps(
        self, problem: Problem, here: Linearized, scale: Array, values: dict[str, float]
    ) -> Callable[[], TrialStep | None]:
        values["alike"] = float(getattr(problem, "scaling", None) == "identity")
        return self._path(values).steps(problem, here, scale, values)

    def accepted(self, values: dict[str, float], attempt: Attempt) -> None:
        self._path(values).accepted(values, attempt)

    def rejected(self, values: dict[str, float], attempt: Attempt | None) -> None:
        self._path(values).rejected(values, attempt)

    def limit(self, values: dict[str, float]) -> str | None:
        return self._path(values).limit(values)

    def _path(self, values: dict[str, float]) -> Path:
        return self.alike if values["alike"] else self.others


def damping_field(default: str | None) -> Any:
    """A dataclass field for the rule by which steps are kept short."""
    return one_of(None, "trust_region", "nielsen", "matlab", default=default)


def geodesic_field() -> Any:
    """A dataclass field for the acceleration: always, never, or (None) where the valley bends."""
    return one_of(None, True, False, default=None)


def damped_path(method: Any) -> Path:
    """The path that the options of a method ask for."""
    region = TrustRegion(method.factor, method.geodesic)
    constants = method.mu, method.mu_dec, method.mu_inc, method.mu_max, method.geodesic
    damped = Damped(*constants, nielsen=method.damping != "matlab")
    if method.damping is None:
        return ByProblem(damped, region)
    return region if method.damping == "trust_region" else damped


@register(
    "lm",
    "trainlm",
    full_batch=True,
    least_squares=True,
    source="Levenberg 1944; Marquardt 1963; Moré 1978; Hagan & Menhaj 1994; Nielsen 1999",
)
@dataclass(frozen=True)
class LevenbergMarquardt(TrialSteps):
    """Levenberg–Marquardt: p = −(JᵀJ + μD)⁻¹Jᵀr, accepted if it lowers the cost ½‖r‖².

    ``damping`` says what keeps the step short (None, the default: ``"trust_region"`` for functions, whose
    variables have units of their own, and ``"nielsen"`` for networks in ``fit``, which need fewer iterations
    with it):

    - ``"trust_region"`` (Moré, as in MINPACK): μ is the least with ‖√D·p‖ ≤ Δ, so 0 where the
      Gauss–Newton step is short enough. With ρ = actual fall of the cost / predicted fall, Δ shrinks to
      between a tenth and a half where ρ ≤ ¼ (or the cost is not finite), and becomes 2‖√D·p‖ where ρ ≥ ¾ or
      μ = 0. The first Δ is ``factor``·‖√D·w‖, cut to the first step;
    - ``"nielsen"``: μ ← μ·max(⅓, 1 − (2ρ − 1)³) after an accepted step; else μ ← νμ, ν ← 2ν, and another try;
    - ``"matlab"``: ``trainlm``'s rule and constants: μ ← ``mu_dec``·μ after an accepted step; else
      μ ← ``mu_inc``·μ and another try. ``mu`` is the first μ; above ``mu_max`` the run ends.

    ``scaling`` is D (MATLAB's is ``"identity"``), see
    :class:`nnx.optimizers.squares.step_control.TrialSteps`.

    ``geodesic`` bends the step by the second derivative of the residuals along p (Transtrum & Sethna):
    p + a/2 with a = −(JᵀJ + μD)⁻¹Jᵀr''(p, p), if ‖√D a‖ ≤ ¾‖√D p‖, and else the step is rejected. r'' is a
    difference, which takes one more evaluation of the residuals and a product with Jᵀ. None (default): where
    the valley bends, which is after a step (in a trust region that binds, after ten in a row) that did not
    halve the cost; True and False: always and never.

    :func:`nnx.least_squares` runs it a second time, with ``factor=0.1`` and ``scaling="relative"``, where it
    failed or a variable lost its influence on the way, unless these options were set (docs/success.md).

    ``bounds`` are kept by projection. Further options: :class:`nnx.optimizers.SumOfSquares` (``solver``,
    ``memory_limit``, ...).

    Sources: K. Levenberg, Q. Appl. Math. 2 (1944) 164–168; D. Marquardt, SIAM J. 11 (1963) 431–441; J. Moré,
    LNM 630 (1978) 105–116; M. Hagan, M. Menhaj, IEEE Trans. Neural Networks 5 (1994) 989–993; H. B. Nielsen,
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
    damping: str | None = damping_field(None)
    factor: float = number(100.0, above=0.0)
    geodesic: bool | None = geodesic_field()

    @property
    def path(self) -> Path:
        return damped_path(self)

    @property
    def cautious(self) -> LevenbergMarquardt | None:
        least, regions = 0.1, self.damping in (None, "trust_region")
        if self.scaling is not None or self.factor <= least or not regions:
            return None  # the user chose how steps are measured
        return replace(self, scaling="relative", factor=least)
