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
from nnx.optimizers.squares.stopping import Orthogonal, least_damped, no_lower
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
        "x_scale": "scaling='marquardt' of 'lm' and 'dogleg', the default: units of x do not matter",
    }

    _: KW_ONLY
    gtol: float = number(1e-12, least=0.0)
    solver: str = solver_field("cholesky")
    memory_limit: float = number(2.0**27, above=0.0)

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
        xp = namespace(here.w)
        p = least_damped(here)
        alpha, slope = 1.0, here.slope(p) if p is not None else 0.0
        while p is not None and alpha > 1e-12:
            there = here.moved(problem, here.w + alpha * p)
            fall, length, size = read(
                here.fall_to(there), xp.linalg.vector_norm(p), xp.linalg.vector_norm(here.w)
            )
            if fall > 0.0 and fall >= -1e-4 * alpha * slope and there.compute().finite:
                step = {"learning_rate": alpha, "step": alpha * length}
                return Move(there, step, self._no_longer_falls(here, fall))
            if alpha * length <= float(xp.finfo(here.w.dtype).eps) * size:
                break
            alpha *= 0.5
        return Move(None, {}, no_lower(here))

    def _no_longer_falls(self, here: Linearized, fall: float) -> Stop | None:
        eps = float(namespace(here.w).finfo(here.w.dtype).eps)
        if fall > max(self.ftol, eps) * here.cost:
            return None
        return Stop(2, f"The cost no longer falls: by {fall:.1e} of {here.cost:.6g} in the last step.", True)
