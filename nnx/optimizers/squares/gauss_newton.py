"""What the methods for sums of squares share, and Gauss–Newton itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from nnx.backend import namespace
from nnx.errors import OptionError
from nnx.optimizers.descent.deterministic import Deterministic, Evaluation, Move, out_of_range
from nnx.optimizers.problem import Problem, Stop, read, registry
from nnx.optimizers.squares.systems import NormalEquations, OrthogonalFactors, Products
from nnx.optimizers.state import State
from nnx.options import number

Array = Any

_SOLVERS = ("cholesky", "qr", "products")


class Linearized(Evaluation):
    """A point with its residuals and the linear system of its Jacobian."""

    def __init__(self, problem: Problem, w: Array, method: SumOfSquares) -> None:
        super().__init__(problem, w)
        self._method = method

    @cached_property
    def system(self) -> Any:
        """The Jacobian, reduced to what the solver needs."""
        method, point, w = self._method, self.point, self.w
        if not method.has_matrix(w):
            return Products(point, point.ridge, w)
        kind = OrthogonalFactors if method.solver == "qr" else NormalEquations
        return kind(point.blocks(method.memory_limit), point.ridge, w)

    def moved(self, problem: Problem, w: Array) -> Linearized:
        """The point ``w``, seen in the same way as this one."""
        return Linearized(problem, w, self._method)

    @property
    def ridge(self) -> Array | None:
        """The vector d of penalties ½ Σ dᵢwᵢ² in the system; None without any."""
        return self.point.ridge

    @property
    def total(self) -> float:
        """What the method makes small: the cost, and a penalty of its own where it has one."""
        return self.cost

    @cached_property
    def gradient(self) -> Array:
        return self.system.gradient

    @cached_property
    def free(self) -> Array | None:
        """1.0 for each variable that may move against the gradient, 0.0 for others; None: all may."""
        return self._method.free(self.w, self.gradient)

    @property
    def pull(self) -> Array:
        return self.gradient if self.free is None else self.free * self.gradient

    @cached_property
    def cosine(self) -> float:
        """The largest cosine of the angle between the residuals and a column of the Jacobian.

        It is 0 at a minimum, whatever the units of the variables and of the cost. Columns of variables that
        a bound holds do not count.
        """
        xp = namespace(self.w)
        lengths = xp.sqrt(self.system.diagonal)
        part = xp.abs(self.pull) / xp.where(lengths > 0.0, lengths, 1.0)
        size = math.sqrt(max(2.0 * self.total, 0.0))
        return read(xp.max(part))[0] / size if size > 0.0 else 0.0

    def fall_to(self, there: Evaluation) -> Array:
        """Cost here − cost there, an array of shape (): from the residuals' differences, so that it keeps
        digits where the two costs agree in all of theirs.
        """  # noqa: D205
        r, s = self.point.residual, there.point.residual
        xp = namespace(r)
        fall = 0.5 * xp.vecdot(r - s, r + s)
        ridge = self.point.ridge
        if ridge is not None:
            fall = fall + 0.5 * xp.vecdot(ridge * (self.w - there.w), self.w + there.w)
        return fall


@dataclass(frozen=True)
class SumOfSquares(Deterministic):
    """Base class of the methods that make ½‖r(w)‖² small by the Jacobian J of the residuals r.

    Options beside those of :class:`nnx.optimizers.Deterministic`:

    - ``solver``: ``"cholesky"`` (of JᵀJ: quickest), ``"qr"`` (of the Jacobian itself: keeps twice as many
      digits where columns of J nearly depend on each other) or ``"products"`` (J is never formed; conjugate
      gradients with products J·v and Jᵀ·u);
    - ``memory_limit``: bytes for rows of J at a time; where n × n numbers take more, products are used.

    ``gtol`` here compares the cosine between the residuals and the columns of J, which is free of all units.
    """

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
    solver: str = field(default="cholesky")
    memory_limit: float = number(2.0**27, above=0.0)

    least_squares: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(type(self).__name__, "solver", self.solver, _SOLVERS)

    def init(self, problem: Problem, w: Array) -> State:
        """As in the base class; :class:`nnx.errors.OptionError` for a problem that is no sum of squares."""
        refuse = getattr(problem, "need_residuals", None)
        if refuse is not None:
            refuse(type(self).__name__)
        elif not hasattr(problem.at(w), "blocks"):
            raise OptionError(
                f"{type(self).__name__} needs residuals, whose squares are summed up: use nnx.least_squares, "
                "or another method, such as 'lbfgs'."
            )
        return super().init(problem, w)

    def has_matrix(self, w: Array) -> bool:
        """Whether n × n numbers are kept, and not only products with J used."""
        return self.solver != "products" and w.shape[0] ** 2 * _bytes(w) <= self.memory_limit

    def free(self, w: Array, g: Array) -> Array | None:
        """1.0 for each variable that may move against the gradient, 0.0 for others; None: all may."""
        return None

    def evaluate(self, problem: Problem, w: Array) -> Linearized:
        return Linearized(problem, w, self)

    def _at_rest(self, here: Any, state: State) -> Stop | None:
        if not state.step and (stop := _no_squares(here)) is not None:
            return stop
        if not here.finite:
            return super()._at_rest(here, state)
        if here.cost == 0.0:
            return Stop(1, "The squares of all residuals are zero.", True)
        return self._orthogonal(here, state)

    def _settled(self, here: Any, there: Any, state: State) -> Stop | None:
        return None if there.cost == 0.0 else self._orthogonal(there, state)

    def _orthogonal(self, here: Any, state: State) -> Stop | None:
        if here.norm == 0.0:
            known = not isinstance(here.system, Products)  # which does not know J's columns
            if known and read(namespace(here.w).max(here.system.diagonal))[0] == 0.0:
                return Stop(
                    1, "The Jacobian is zero: no variable has influence here. Start elsewhere.", False
                )
            return Stop(1, "The gradient is zero.", True)
        if here.cosine <= self.gtol:
            return Stop(
                1,
                "The gradient is small: the cosine between the residuals and every column of the Jacobian is "
                f"at most {here.cosine:.1e}.",
                True,
            )
        return None


def _no_squares(here: Any) -> Stop | None:
    """The stop at a start where the squares of residuals or of their derivatives over- or underflow."""
    xp = namespace(here.w)
    least = float(xp.finfo(here.w.dtype).smallest_normal)
    largest, total, columns = read(
        xp.max(xp.abs(here.point.residual)), here.point.value, xp.max(here.system.diagonal)
    )
    if not 0.0 < largest < math.inf:
        return None
    if not least <= total < math.inf:
        remedy = "Multiply them by about {}, or start elsewhere."
        return out_of_range(f"the cost is {total:g}: the residuals", largest, here.w, remedy)
    if 0.0 < here.norm < math.inf and not least <= columns < math.inf:
        remedy = "Measure the variables in units that are about {} times as large."
        return out_of_range("the derivatives of the residuals", here.norm / largest, here.w, remedy)
    return None


def one_of(where: str, name: str, value: Any, allowed: tuple[Any, ...]) -> None:
    """Raises :class:`nnx.errors.OptionError` where ``value`` is none of those allowed."""
    if value not in allowed:
        raise OptionError(f"{where}: {name} must be one of {', '.join(map(repr, allowed))}, got {value!r}.")


def _bytes(w: Array) -> int:
    return namespace(w).finfo(w.dtype).bits // 8


@registry.register(
    full_batch=True,
    least_squares=True,
    formula="min ‖Jp + r‖;  w ← w + αp,  α halved until the cost falls",
    source="Gauss 1809; Nocedal & Wright 2006, section 10.3",
)
@dataclass(frozen=True)
class GaussNewton(SumOfSquares):
    """Gauss–Newton: p = −(JᵀJ)⁻¹Jᵀr, and w ← w + αp, where α = 1, ½, ¼, ... until the cost falls enough.

    "Enough" is Armijo's condition: at least 1e-4 of what the slope promises. Where JᵀJ is singular to
    working precision, the least damping that makes it solvable is added. Quadratic convergence where the
    residuals vanish at the minimum. Options: :class:`nnx.optimizers.SumOfSquares`.
    Source: C. F. Gauss, *Theoria motus*, 1809; J. Nocedal, S. Wright, *Numerical Optimization*, 2006, 10.3.

    >>> result = nnx.least_squares(lambda w: np.exp(w) - 2.0, np.zeros(1), method="gauss_newton")
    >>> result.x.round(6)
    array([0.693147])
    """

    solver: str = field(default="qr", kw_only=True)

    def measures(self, state: State) -> dict[str, float]:
        return {"learning_rate": 0.0}

    def move(self, problem: Problem, here: Any, state: State) -> Move:
        xp = namespace(here.w)
        p = least_damped(here)
        alpha, slope = 1.0, here.slope(p) if p is not None else 0.0
        while p is not None and alpha > 1e-12:
            there = self.evaluate(problem, here.w + alpha * p)
            fall, length, size = read(
                here.fall_to(there), xp.linalg.vector_norm(p), xp.linalg.vector_norm(here.w)
            )
            if fall > 0.0 and fall >= -1e-4 * alpha * slope and there.finite:
                return Move(
                    there, {"learning_rate": alpha, "step": alpha * length}, tiny_step(self, here, fall)
                )
            if alpha * length <= float(xp.finfo(here.w.dtype).eps) * size:
                break
            alpha *= 0.5
        return Move(None, {}, no_lower(here))


def least_damped(here: Any) -> Array | None:
    """The step −(JᵀJ + d)⁻¹Jᵀr with the least damping d that makes it finite and lead down, if any does."""
    xp, diagonal = namespace(here.w), here.system.diagonal
    eps = float(xp.finfo(here.w.dtype).eps)
    scale = xp.where(diagonal > 0.0, diagonal, xp.max(diagonal))
    for damping in (0.0, eps, 1e2 * eps, 1e4 * eps, 1e6 * eps):
        p = here.system.solve(damping * scale, here.free)
        if p is not None and -math.inf < here.slope(p) < 0.0:
            return p
    return None


def tiny_step(method: Deterministic, here: Evaluation, fall: float) -> Stop | None:
    """The stop for a cost that no longer falls."""
    eps = float(namespace(here.w).finfo(here.w.dtype).eps)
    if fall <= max(method.ftol, eps) * here.cost:
        return Stop(2, f"The cost no longer falls: by {fall:.1e} of {here.cost:.6g} in the last step.", True)
    return None


def no_lower(here: Any) -> Stop:
    """The stop where nothing lower was found: a success where this is a minimum as far as can be told.

    That is, if the gradient is small; or, of residuals that are but rounding, where it has no meaning, if the
    linear model would move the weights by next to nothing.
    """
    # The best step along one column lowers the cost by cosine²/2 of itself: 10 units of rounding hide that.
    small = math.sqrt(20.0 * float(namespace(here.w).finfo(here.w.dtype).eps))
    found = "No lower cost could be found along the step; "
    if here.cosine > small:
        p, norm = least_damped(here), namespace(here.w).linalg.vector_norm
        length, size = (math.inf, 1.0) if p is None else read(norm(p), norm(here.w))
        if length <= small * size:
            return Stop(5, f"{found}the linear model asks for one of {length:.1e} of {size:.6g}.", True)
    words = "the cosine between the residuals and the columns of the Jacobian is"
    return Stop(5, f"{found}{words} {here.cosine:.1e}.", here.cosine <= small)
