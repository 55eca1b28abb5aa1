"""What the methods for sums of squares share, and Gauss–Newton itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from nnx.backend import namespace
from nnx.optimizers.descent.deterministic import Deterministic, Move
from nnx.optimizers.descent.stopping import StoppingRules
from nnx.optimizers.problem import Problem, Stop, read, register
from nnx.optimizers.squares.linearized import Linearization, Linearized, Unpenalized
from nnx.optimizers.squares.second_look import look_again
from nnx.optimizers.squares.stopping import Orthogonal, least_damped
from nnx.optimizers.squares.verdict import UNITS, nothing_left
from nnx.optimizers.state import State
from nnx.options import number, one_of

Array = Any


def solver_field(default: str) -> Any:
    """A dataclass field for the solver of the linear system."""
    return one_of("cholesky", "qr", "products", default=default)


@dataclass(frozen=True)
class SumOfSquares(Deterministic):
    """Base class of the methods that minimise ½‖r(w)‖² by the Jacobian J of the residuals r.

    Options beyond those of :class:`nnx.optimizers.Deterministic`:

    - ``solver``: ``"cholesky"`` (of JᵀJ: quickest), ``"qr"`` (of the Jacobian itself: keeps twice as many
      digits where columns of J nearly depend on each other) or ``"products"`` (J is never formed; conjugate
      gradients with products J·v and Jᵀ·u);
    - ``memory_limit``: bytes for rows of J at a time; where an n × n matrix takes more, products are used.

    ``gtol`` here compares the cosine between the residuals and the columns of J, which has no units.

    >>> isinstance(nnx.optimizers.GaussNewton(), nnx.optimizers.SumOfSquares)
    True
    """

    needs: ClassVar[tuple[str, ...]] = ("residual",)
    stopping: ClassVar[StoppingRules] = Orthogonal()

    renamed: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("loss", "f_scale"),
        "nothing in its place (for a robust loss ρ(r²) return residuals of the size √ρ(r²) instead of r)",
    ) | {
        "jac_sparsity": "solver='products', which forms no Jacobian",
        "nan_policy": "nothing in its place (leave out the points with NaN; fit the others)",
        "tr_options": "solver",
        "tr_solver": "solver",
        "x_scale": "scaling='jac' or 'relative' of 'lm' and 'dogleg'; by default units of x do not matter",
    }

    _: KW_ONLY
    gtol: float = number(1e-12, least=0.0)
    solver: str = solver_field("cholesky")
    memory_limit: float = number(2.0**27, above=0.0)

    @property
    def cautious(self) -> SumOfSquares | None:
        """The same method with cautious first steps, for a second run; None where there is none."""
        return None

    def may_end(self, here: Any, state: State) -> bool:
        """Whether the run ends where the residuals are orthogonal to the columns of J."""
        return True


@register(
    full_batch=True,
    least_squares=True,
    source="Gauss 1809; Nocedal & Wright 2006, section 10.3",
)
@dataclass(frozen=True)
class GaussNewton(SumOfSquares):
    """Gauss–Newton: w ← w + αp with p = −(JᵀJ)⁻¹Jᵀr, and α halved from 1 on until the cost falls enough.

    "Enough" is Armijo's condition: at least 1e-4 of what the slope promises. Where JᵀJ is singular to
    working precision, the least damping that makes it solvable is added. Quadratic convergence where the
    residuals vanish at the minimum. Options: :class:`nnx.optimizers.SumOfSquares`.
    Source: C. F. Gauss, *Theoria motus*, 1809; J. Nocedal, S. Wright, *Numerical Optimization*, 2006, 10.3.

    >>> result = nnx.least_squares(lambda w: np.exp(w) - 2.0, np.zeros(1), method="gauss_newton")
    >>> result.x.round(6)
    array([0.693147])
    """

    _: KW_ONLY
    solver: str = solver_field("qr")

    def measures(self, state: State) -> dict[str, float]:
        return {"learning_rate": 0.0}

    def evaluate(self, problem: Problem, w: Array) -> Unpenalized:
        return Linearization(self.solver, self.memory_limit).at(problem, w)

    def move(self, problem: Problem, here: Linearized, state: State) -> Move:
        xp, eps = namespace(here.w), float(namespace(here.w).finfo(here.w.dtype).eps)
        p = least_damped(here)
        alpha, slope = 1.0, here.slope(p) if p is not None else 0.0
        if p is not None and state.step and -0.5 * slope <= UNITS * eps * here.cost and nothing_left(here):
            words = (
                f"The cost no longer falls: the linear model promises {-0.5 * slope:.1e} of {here.cost:.6g}."
            )
            return Move(None, {}, Stop(2, words, True))
        while p is not None and alpha > 1e-12:
            there = here.moved(problem, here.w + alpha * p)
            fall, length, size = read(
                here.fall_to(there), xp.linalg.vector_norm(p), xp.linalg.vector_norm(here.w)
            )
            if fall > 0.0 and fall >= -1e-4 * alpha * slope and there.compute().finite:
                step = {"learning_rate": alpha, "step": alpha * length}
                return Move(there, step, self._met(here, fall, alpha * length, size))
            if alpha * length <= eps * size or abs(alpha * slope) <= here.rounding:
                break
            alpha *= 0.5
        verdict = look_again(problem, here)
        if verdict.lower is not None:
            return Move(verdict.lower)
        words = f"No lower cost could be found along the step; {verdict.words}."
        return Move(None, {}, Stop(5, words, verdict.minimum))

    def _met(self, here: Linearized, fall: float, length: float, size: float) -> Stop | None:
        """The stop of a user's own tolerances."""
        if fall <= self.ftol * here.cost:
            return Stop(
                2, f"The cost no longer falls: by {fall:.1e} of {here.cost:.6g} in the last step.", True
            )
        if length <= self.xtol * size:
            return Stop(3, f"The variables no longer move: by {length:.1e} of {size:.6g}.", True)
        return None
