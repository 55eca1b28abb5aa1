"""Bayesian regularization: Levenberg–Marquardt with a penalty on the weights that the data choose."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Any, ClassVar

from nnx.backend import namespace
from nnx.errors import OptionError
from nnx.optimizers.descent.deterministic import Move
from nnx.optimizers.problem import Problem, Stop, read, register
from nnx.optimizers.squares.gauss_newton import SumOfSquares
from nnx.optimizers.squares.levenberg_marquardt import damped_path, damping_field, geodesic_field
from nnx.optimizers.squares.linearized import Linearization, Penalized
from nnx.optimizers.squares.step_control import GainRatio, scaling_field
from nnx.optimizers.state import State
from nnx.options import number

Array = Any

_MEASURES = ("effective_parameters", "alpha", "beta", "sum_of_squared_weights")


@register(
    "bayesian",
    "trainbr",
    full_batch=True,
    least_squares=True,
    source="MacKay 1992; Foresee & Hagan 1997",
)
@dataclass(frozen=True)
class BayesianRegularization(SumOfSquares):
    """Bayesian regularization: minimises F = β·E_D + α·E_W, with the α and β that the data make likely.

    E_D is the sum of the squared errors, E_W = Σ w². Each iteration makes one step of Levenberg–Marquardt on
    F and takes then, with H = 2βJᵀJ + 2αI and N errors, γ = n − 2α·tr H⁻¹, α ← γ/(2E_W), β ← (N − γ)/(2E_D).
    γ, between 0 and the number n of weights, is how many of them the data determine: a network that is too
    large stays smooth, without data set aside for validation. All of this holds near a minimum of F: while
    the errors are still large, it would take signal for noise, and weights that have shrunk to 0 stay there.
    Therefore α/β starts at nearly nothing and rises at most ``rise``-fold from step to step.

    The measures, and the result of ``least_squares``, have ``effective_parameters`` (γ), ``alpha``, ``beta``
    and ``sum_of_squared_weights`` (E_W). The run ends where a rule of Levenberg–Marquardt fires on F while
    α/β changes by less than ``settled``; the answer is the last point, as the cost, which is E_D without
    E_W, may rise while F falls. All weights should be of a size, so inputs and targets too: scale them.

    Defaults are those of MATLAB's ``trainbr``, with its μ rule. Options as in
    :class:`nnx.optimizers.LevenbergMarquardt` but for bounds; ``solver`` ``"cholesky"`` or ``"qr"``. Raises
    :class:`nnx.errors.OptionError` for ``solver="products"``, for an n × n matrix above ``memory_limit``, and
    for a problem that has a penalty of its own.

    Source: D. J. C. MacKay, Neural Computation 4 (1992) 415–447 and 448–472; F. D. Foresee, M. T. Hagan,
    *Gauss-Newton approximation to Bayesian learning*, Proc. ICNN 1997, 1930–1935.

    >>> x = np.linspace(-1.0, 1.0, 40)
    >>> powers = x[:, None] ** np.arange(15)
    >>> y = np.sin(3.0 * x) + 0.1 * np.cos(37.0 * np.arange(40) ** 2)
    >>> result = nnx.least_squares(lambda w: powers @ w - y, np.ones(15), method="bayesian")
    >>> round(result.effective_parameters, 1), round((2.0 * result.beta) ** -0.5, 2)  # and σ of the errors
    (8.5, 0.08)
    """

    mu: float = number(5e-3, above=0.0)
    mu_dec: float = number(0.1, above=0.0, below=1.0)
    mu_inc: float = number(10.0, above=1.0)
    mu_max: float = number(1e10, above=0.0)
    _: KW_ONLY
    damping: str = damping_field("matlab")
    factor: float = number(100.0, above=0.0)
    geodesic: bool | None = geodesic_field()
    scaling: str | None = scaling_field("identity")
    max_fail: int | None = number(None, least=1, whole=True, optional=True)
    rise: float = number(1.5, above=1.0)
    settled: float = number(1e-7, least=0.0)

    keeps_last: ClassVar[bool] = True
    #: α/β at the start, in units of what it would be if the data determined half of what they can
    first: ClassVar[float] = 1e-8

    @cached_property
    def control(self) -> GainRatio:
        """Levenberg–Marquardt's damped path and its control of the step, for penalized points."""
        return GainRatio(damped_path(self), self.scaling, None, self.ftol, self.xtol)

    @property
    def linearization(self) -> Linearization:
        """How its points are linearized, before the penalty is added."""
        return Linearization(self.solver, self.memory_limit)

    def check_problem(self, problem: Problem, w: Array) -> None:
        if not self.linearization.has_matrix(w):
            raise OptionError(
                "BayesianRegularization counts the weights that the data determine, for which it needs an "
                f"n × n matrix: {w.shape[0]} weights are too many for solver='{self.solver}' and "
                f"memory_limit={self.memory_limit:g}. Choose solver='cholesky' and a larger limit."
            )
        if problem.at(w).ridge is not None:
            raise OptionError(
                "BayesianRegularization finds the penalty on the weights itself, and this problem has one "
                "already: leave out the L2 regularizers, or train with 'levenberg_marquardt'."
            )

    def memory(self, problem: Problem, w: Array) -> dict[str, Array]:
        return self.control.memory(w)

    def numbers(self) -> dict[str, float]:
        own = dict.fromkeys(_MEASURES, 0.0)
        return {**self.control.numbers(), **own, "ratio": -1.0, "change": 1.0}  # a ratio < 0 is unknown

    def measures(self, state: State) -> dict[str, float]:
        return {**self.control.path.measures(state.values), **self.extras(state)}

    def extras(self, state: State) -> dict[str, Any]:
        return {name: state.values[name] for name in _MEASURES}

    def evaluate(self, problem: Problem, w: Array) -> Penalized:
        return Penalized(self.linearization.at(problem, w), 0.0)

    def prepare(self, here: Any, state: State) -> Penalized:
        """The point with the present penalty; before the first step the penalty is chosen here."""
        values = state.values
        if values["ratio"] < 0.0:
            values["ratio"] = self._first(here) if math.isfinite(here.cost) else 0.0
        return here if here.ratio == values["ratio"] else here.with_ratio(values["ratio"])

    def move(self, problem: Problem, here: Any, state: State) -> Move:
        values = state.values
        move = self.control.move(problem, here, state)
        stop = move.stop
        if stop is not None and not stop.success:
            return move
        # At a minimum of F the weights stay, and α and β may still move.
        there: Penalized = move.there or here
        unsupported = self._estimate(there, values)
        if stop is not None and not self._steady(here, values):
            stop = None
            values["mu"] = min(values["mu"], self.mu_max)
        return Move(there.with_ratio(values["ratio"]), move.measures, unsupported or stop)

    def may_end(self, here: Any, state: State) -> bool:
        return here.norm == 0.0 or self._steady(here, state.values)

    def after_run(self, state: State) -> None:
        if self.control.path.limit(state.values) is not None:
            state.values |= self.numbers()

    def _estimate(self, there: Penalized, values: dict[str, float]) -> Stop | None:
        """Writes γ, α, β and their ratio into ``values``; the stop for data that determine no weight."""
        xp, ratio = namespace(there.w), there.ratio
        spectrum = there.plain.system.spectrum
        part = spectrum / xp.where(spectrum + ratio > 0.0, spectrum + ratio, 1.0)
        gamma = read(xp.sum(part))[0]
        n, errors = there.w.shape[0], there.point.residual.shape[0]
        values["effective_parameters"] = gamma
        values["sum_of_squared_weights"] = squares = there.squares
        unit = there.point.residual_scale**2  # β is that of the errors
        values["alpha"] = _over(gamma, 2.0 * squares)
        values["beta"] = _over(max(errors - gamma, 0.0) * unit, 4.0 * there.cost)
        after = min(_ratio(there, gamma), self.rise * ratio) if ratio > 0.0 else self._first(there)
        values["ratio"], values["change"] = after, _over(abs(after - ratio), max(after, ratio))
        if gamma <= n * float(xp.finfo(there.w.dtype).eps):
            reason = f"The data determine no weight: their effective number fell to {gamma:.1e}."
            return Stop(3, reason, True)
        return None

    def _first(self, here: Penalized) -> float:
        return self.first * _ratio(here, 0.5 * min(here.w.shape[0], here.point.residual.shape[0]))

    def _steady(self, here: Any, values: dict[str, float]) -> bool:
        rounding = 100.0 * float(namespace(here.w).finfo(here.w.dtype).eps)
        return values["change"] <= max(self.settled, rounding)


def _ratio(here: Penalized, gamma: float) -> float:
    """α/β = (γ/E_W)·(E_D/(N − γ)) for the residuals as they are; the present one where all weights are 0."""
    errors = here.point.residual.shape[0]
    if not here.squares > 0.0:
        return here.ratio
    rest = max(errors - gamma, errors * float(namespace(here.w).finfo(here.w.dtype).eps))
    return gamma / here.squares * (2.0 * here.cost / rest)


def _over(a: float, b: float) -> float:
    """a/b; 0/0 is 0, a/0 infinite."""
    return a / b if b > 0.0 else 0.0 if a == 0.0 else math.inf
