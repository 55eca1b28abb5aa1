"""Bayesian regularization: Levenberg–Marquardt with a penalty on the weights that the data choose."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from nnx.backend import namespace
from nnx.errors import OptionError
from nnx.optimizers.descent.deterministic import Evaluation, Move
from nnx.optimizers.problem import Problem, Stop, read, registry
from nnx.optimizers.squares.gauss_newton import Linearized
from nnx.optimizers.squares.levenberg_marquardt import LevenbergMarquardt
from nnx.optimizers.state import State
from nnx.options import number

Array = Any


class Ridged:
    """The linear system of another one's residuals with the penalty ½·``ratio``·‖w‖² beside them."""

    def __init__(self, plain: Any, ratio: float, w: Array) -> None:
        self.plain, self.ratio = plain, ratio
        self.gradient = plain.gradient + ratio * w
        self.diagonal = plain.diagonal + ratio

    def image(self, p: Array) -> Array:
        """(JᵀJ + ratio·I)·p, a vector."""
        return self.plain.image(p) + self.ratio * p

    def solve(self, damping: Array, free: Array | None = None, right: Array | None = None) -> Array | None:
        """The p with (JᵀJ + ratio·I + diag(d)) p = −g (or = −``right``)."""
        return self.plain.solve(damping + self.ratio, free, self.gradient if right is None else right)


class Penalized(Linearized):
    """A point with the penalty ½·``ratio``·‖w‖² in the system and in the total, but not in the cost."""

    def __init__(self, plain: Linearized, ratio: float) -> None:
        self.plain, self.ratio = plain, ratio
        self.w, self.point, self.version = plain.w, plain.point, plain.version
        self._method = plain._method

    def moved(self, problem: Problem, w: Array) -> Penalized:
        return Penalized(self.plain.moved(problem, w), self.ratio)

    @cached_property
    def cost(self) -> float:
        return self.plain.cost

    @property
    def ridge(self) -> Array:
        return namespace(self.w).zeros_like(self.w) + self.ratio

    @cached_property
    def squares(self) -> float:
        """E_W = Σ w²."""
        return read(namespace(self.w).vecdot(self.w, self.w))[0]

    @property
    def total(self) -> float:
        return self.cost + 0.5 * self.ratio * self.squares

    @cached_property
    def system(self) -> Ridged:
        return Ridged(self.plain.system, self.ratio, self.w)

    def fall_to(self, there: Evaluation) -> Array:
        w, v = self.w, there.w
        return self.plain.fall_to(there) + (0.5 * self.ratio) * namespace(w).vecdot(w - v, w + v)


@registry.register(
    "bayesian",
    "trainbr",
    full_batch=True,
    least_squares=True,
    formula="min β·Σr² + α·Σw²,  γ = n − 2α·tr H⁻¹,  α ← γ/(2Σw²),  β ← (N − γ)/(2Σr²)",
    source="MacKay 1992; Foresee & Hagan 1997",
)
@dataclass(frozen=True)
class BayesianRegularization(LevenbergMarquardt):
    """Bayesian regularization: makes F = β·E_D + α·E_W least, with the α and β that the data make likely.

    E_D is the sum of the squared errors, E_W = Σ w². Each iteration makes one step of Levenberg–Marquardt on
    F and takes then, with H = 2βJᵀJ + 2αI and N errors, γ = n − 2α·tr H⁻¹, α ← γ/(2E_W), β ← (N − γ)/(2E_D).
    γ, between 0 and the number n of weights, is how many of them the data determine: a network that is too
    large stays smooth, without data set aside for validation. All of this holds near a minimum of F: while
    the errors are still large, it would take signal for noise, and weights once shrunk to 0 stay there.
    Therefore α/β starts at nearly nothing and rises at most ``rise``-fold from step to step.

    The measures, and the result of ``least_squares``, have ``effective_parameters`` (γ), ``alpha``, ``beta``
    and ``sum_of_squared_weights`` (E_W). The run ends where a rule of Levenberg–Marquardt fires on F while
    α/β changes by less than ``settled``; the answer is the last point, as the cost, which is E_D without
    E_W, may rise while F falls. All weights should be of a size, so inputs and targets too: scale them.

    Defaults are those of MATLAB's ``trainbr``, with its μ rule. Options as in
    :class:`nnx.optimizers.LevenbergMarquardt` but for bounds; ``solver`` ``"cholesky"`` or ``"qr"``. Raises
    :class:`nnx.errors.OptionError` for ``solver="products"``, for more weights than ``memory_limit`` lets it
    keep n × n numbers of, and for a problem that has a penalty of its own.

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
    _: KW_ONLY
    damping: str = "matlab"
    scaling: str | None = "identity"
    max_fail: int | None = number(None, least=1, whole=True, optional=True)
    rise: float = number(1.5, above=1.0)
    settled: float = number(1e-7, least=0.0)
    bounds: Any = field(default=None, init=False, compare=False, repr=False)

    keeps_last: ClassVar[bool] = True
    #: α/β at the start, in units of what it would be if the data determined half of what they can
    first: ClassVar[float] = 1e-8

    def init(self, problem: Problem, w: Array) -> State:
        """As in the base class; :class:`nnx.errors.OptionError` where α and β could not be found."""
        state = super().init(problem, w)
        if not self.has_matrix(w):
            raise OptionError(
                "BayesianRegularization counts the weights that the data determine, for which it needs n × n "
                f"numbers: {w.shape[0]} weights are too many for solver='{self.solver}' and "
                f"memory_limit={self.memory_limit:g}. Choose solver='cholesky' and a larger limit."
            )
        if problem.at(w).ridge is not None:  # type: ignore[attr-defined]
            raise OptionError(
                "BayesianRegularization finds the penalty on the weights itself, and this problem has one "
                "already: leave out the L2 regularizers, or train with 'levenberg_marquardt'."
            )
        return state

    def numbers(self) -> dict[str, float]:
        known = dict.fromkeys(("alpha", "beta", "effective_parameters", "sum_of_squared_weights"), 0.0)
        return {**super().numbers(), **known, "ratio": -1.0, "change": 1.0}  # a ratio < 0 is unknown

    def measures(self, state: State) -> dict[str, float]:
        return {**super().measures(state), **self.extras(state)}

    def extras(self, state: State) -> dict[str, Any]:
        names = ("effective_parameters", "alpha", "beta", "sum_of_squared_weights")
        return {name: state.values[name] for name in names}

    def evaluate(self, problem: Problem, w: Array) -> Penalized:
        return Penalized(Linearized(problem, w, self), 0.0)

    def here(self, problem: Problem, w: Array, state: State) -> Penalized:
        here: Any = super().here(problem, w, state)
        values = state.values
        if values["ratio"] < 0.0:
            values["ratio"] = self._first(here) if math.isfinite(here.cost) else 0.0
        if here.ratio != values["ratio"]:
            here = state.point = Penalized(here.plain, values["ratio"])
        return here

    def move(self, problem: Problem, here: Any, state: State) -> Move:
        values = state.values
        move = super().move(problem, here, state)
        stop = move.stop
        if stop is not None and not stop.success:
            return move
        # At a minimum of F the weights stay, and α and β may still move.
        there: Any = move.there or here
        unsupported = self._estimate(there, values)
        if stop is not None and not self._steady(here, values):
            stop = None
            values["mu"] = min(values["mu"], self.mu_max)
        return Move(Penalized(there.plain, values["ratio"]), move.measures, unsupported or stop)

    def _estimate(self, there: Penalized, values: dict[str, float]) -> Stop | None:
        """Writes γ, α, β and their ratio into ``values``; the stop for data that determine no weight."""
        xp, ratio = namespace(there.w), there.ratio
        spectrum = there.plain.system.spectrum
        part = spectrum / xp.where(spectrum + ratio > 0.0, spectrum + ratio, 1.0)
        gamma = read(xp.sum(part))[0]
        n, errors = there.w.shape[0], there.point.residual.shape[0]
        values["effective_parameters"] = gamma
        values["sum_of_squared_weights"] = squares = there.squares
        unit = there.point.residual_scale**2  # β is told for the errors
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

    def _orthogonal(self, here: Any, state: State) -> Stop | None:
        steady = here.norm == 0.0 or self._steady(here, state.values)
        return super()._orthogonal(here, state) if steady else None


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
