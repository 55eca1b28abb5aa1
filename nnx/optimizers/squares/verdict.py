"""Whether a point is a minimum as far as can be told, whatever was seen on the way to it.

The measure is the Newton decrement λ = ½·gᵀH⁻¹g, the fall of the cost that a whole Newton step promises.
It has no units of the variables, and compared with the cost none of the cost either. Where J has full rank
and the model r + Jp holds, H is JᵀJ; where it does not, see second_look.py.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from nnx.backend import namespace
from nnx.optimizers.descent.evaluation import precision
from nnx.optimizers.problem import Problem, read
from nnx.optimizers.squares.linearized import Linearized
from nnx.optimizers.squares.regions import region

Array = Any

#: a decrement of at most so many units of rounding of the cost leaves nothing to gain: the parameters are
#: then known to about 1e-7 of their standard errors
UNITS = 20.0


class Verdict(NamedTuple):
    """Whether it is a minimum, why in words, and a lower point where one was met."""

    minimum: bool
    words: str
    lower: Any = None


def tolerance(here: Linearized) -> float:
    """The decrement below which nothing is left to gain at ``here``: :data:`UNITS` of the total's ε."""
    return max(UNITS * precision(here.w).eps * here.total, 8.0 * here.noise**2)


def nothing_left(here: Linearized) -> bool:
    """Whether the linear model promises nothing that rounding would not hide.

    Columns of J are measured by their present lengths: what was seen before does not matter.
    """
    xp, diagonal = namespace(here.w), here.system.diagonal
    scale = xp.where(diagonal > 0.0, diagonal, 1.0)
    return region(here.system, scale, here.free).decrement <= tolerance(here)


def flat(problem: Problem, here: Linearized, most: Array, last: Array) -> bool:
    """Whether variables lost their influence at a blow, or never had any, and have none nearby but elsewhere.

    That is a plateau: a model far out, where exp(−bx) is 0 for all x. The gradient vanishes there, and it is
    no minimum that anybody looks for. A variable that loses its influence little by little, while the cost
    falls, is on its way to a minimum at infinity; one without influence anywhere is not used. ``most`` and
    ``last`` are the largest entries of diag(JᵀJ) so far, and the last ones that were not 0.
    """
    xp = namespace(here.w)
    none = here.system.diagonal == 0.0
    lost, never = none & (last > 1e-16 * most), none & (last == 0.0)
    some = read(*(xp.astype(xp.any(which), here.w.dtype) for which in (lost, never)))
    if some[0]:
        return not _matters(problem, here, lost, (1.1, 0.9))
    return (
        bool(some[1])
        and not _matters(problem, here, never, (1.1,))
        and _matters(problem, here, never, (1e-3, 1e-6))
    )


def _matters(problem: Problem, here: Linearized, which: Array, factors: tuple[float, ...]) -> bool:
    """Whether the residuals change if the variables ``which`` are multiplied by one of the factors."""
    xp = namespace(here.w)
    size = xp.where(here.w == 0.0, 1.0, here.w)
    for factor in factors:
        w = here.w + xp.where(which, (factor - 1.0) * size, 0.0)
        r = here.moved(problem, here.how.within(w)).point.residual
        if read(xp.max(xp.abs(r - here.point.residual)))[0] != 0.0:
            return True
    return False
