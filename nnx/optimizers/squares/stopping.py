"""When a method for sums of squares stops: rules that have no units of cost or variables."""

from __future__ import annotations

import math
from typing import Any

from nnx.backend import namespace
from nnx.optimizers.descent.stopping import not_finite, out_of_range
from nnx.optimizers.problem import Stop, read
from nnx.optimizers.squares.linearized import Linearized
from nnx.optimizers.squares.regions import region
from nnx.optimizers.state import State

Array = Any


class Orthogonal:
    """The rules that compare the cosine between the residuals and the columns of J with ``gtol``."""

    def at_rest(self, method: Any, here: Linearized, state: State) -> Stop | None:
        if not state.step and (stop := _no_squares(here)) is not None:
            return stop
        if not here.finite:
            return not_finite(here)
        if not state.step and (words := here.point.contradiction()):
            return Stop(5, words, False)
        if here.cost == 0.0:
            return Stop(1, "The squares of all residuals are zero.", True)
        if here.vanishes:
            return Stop(1, f"The residuals are zero but for rounding: the cost is {here.cost:.1e}.", True)
        return orthogonal(method, here) if method.may_end(here, state) else None

    def settled(self, method: Any, here: Linearized, there: Linearized, state: State) -> Stop | None:
        if there.cost == 0.0 or not method.may_end(there, state):
            return None
        return orthogonal(method, there)


def orthogonal(method: Any, here: Linearized) -> Stop | None:
    """The stop where the residuals are orthogonal to the columns of J, or J is zero."""
    if here.norm == 0.0:
        # without a matrix the columns of J are not known
        if here.system.has_matrix and read(namespace(here.w).max(here.system.diagonal))[0] == 0.0:
            return Stop(1, "The Jacobian is zero: no variable has influence here. Start elsewhere.", False)
        return Stop(1, "The gradient is zero.", True)
    if here.cosine <= method.gtol:
        return Stop(
            1,
            "The gradient is small: the cosine between the residuals and every column of the Jacobian is "
            f"at most {here.cosine:.1e}.",
            True,
        )
    return None


def _no_squares(here: Linearized) -> Stop | None:
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


def least_damped(here: Linearized) -> Array | None:
    """The Gauss–Newton step, the shortest one where J is singular to rounding; None where it leads not down.

    Where only factors of JᵀJ are known, and not its rank: −(JᵀJ + d)⁻¹Jᵀr with the least damping d that makes
    it a descent.
    """
    xp, diagonal = namespace(here.w), here.system.diagonal
    eps = float(xp.finfo(here.w.dtype).eps)
    scale = xp.where(diagonal > 0.0, diagonal, xp.max(diagonal))
    inside = region(here.system, scale, here.free)
    if inside.knows_rank:
        found = inside.step(math.inf, 0.0)
        return None if found is None or not -math.inf < here.slope(found.p) < 0.0 else found.p
    for damping in (0.0, eps, 1e2 * eps, 1e4 * eps, 1e6 * eps):
        p = here.system.solve(damping * scale, here.free)
        if p is not None and -math.inf < here.slope(p) < 0.0:
            return p
    return None
