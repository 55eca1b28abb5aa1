"""Whether a point is a minimum as far as can be told, whatever was seen on the way to it.

The measure is the Newton decrement λ = ½·gᵀH⁻¹g, the fall of the cost that a whole Newton step promises.
It has no units of the variables, and compared with the cost none of the cost either. Where J has full rank
and the model r + Jp holds, H is JᵀJ. Where J loses its rank the curvature comes from the residuals' own
second derivatives, which JᵀJ does not have: then H is learned by probing, one gradient at a time.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from nnx.backend import device_of, namespace
from nnx.optimizers.problem import Problem, read
from nnx.optimizers.squares.linearized import Linearized
from nnx.optimizers.squares.regions import region

Array = Any

#: a decrement of at most so many units of rounding of the cost leaves nothing to gain: the parameters are
#: then known to about 1e-7 of their standard errors
UNITS = 20.0
#: so many variables are tried alone
SINGLE = 10


class Verdict(NamedTuple):
    """Whether it is a minimum, why in words, and a lower point where one was met."""

    minimum: bool
    words: str
    lower: Any = None


def tolerance(here: Linearized) -> float:
    """The decrement below which nothing is left to gain at ``here``: :data:`UNITS` of the total's ε."""
    return max(UNITS * _eps(here) * here.total, 8.0 * here.noise**2)


def nothing_left(here: Linearized) -> bool:
    """Whether the linear model promises nothing that rounding would not hide.

    Columns of J are measured by their present lengths: what was seen before does not matter.
    """
    xp, diagonal = namespace(here.w), here.system.diagonal
    scale = xp.where(diagonal > 0.0, diagonal, 1.0)
    return region(here.system, scale, here.free).decrement <= tolerance(here)


def look_again(problem: Problem, here: Linearized) -> Verdict:
    """The verdict where no step led further.

    The steps −H⁻¹g are tried themselves, so that a lower point may come out; and each is probed: the gradient
    a little way along it corrects H by the BFGS formula. It ends when the decrement is negligible. One
    variable for which the model does not hold spoils such a step, and H along it, for the others as well: in
    the end steps of single variables are tried.
    """
    verdict, spoilt = _probed(problem, here)
    lower = _lowered_by_one(problem, here) if spoilt else None
    return verdict if lower is None else Verdict(False, f"one variable lowers it to {lower.total:.6g}", lower)


def _probed(problem: Problem, here: Linearized) -> tuple[Verdict, bool]:
    """The verdict, and whether steps of single variables may do what the whole ones did not."""
    if not here.system.has_matrix:
        end = nothing_left(here)
        more = "nothing more" if end else "more"
        return Verdict(end, f"the linear model promises {more}"), False
    xp, n, eps, unit = namespace(here.w), here.w.shape[0], _eps(here), _unit(here)
    h, g = unit[:, None] * here.system.matrix * unit[None, :], unit * here.gradient
    # a probed H has a few digits less than JᵀJ
    enough, decrement = 50.0 * tolerance(here), math.inf
    for tried in range(min(2 * n, 40) + 2):
        q = _newton(h, g)
        decrement = -0.5 * read(xp.vecdot(g, q))[0]
        if decrement <= enough:
            return Verdict(True, f"Newton's step promises {decrement:.1e}"), tried > 0
        there = here.moved(problem, here.how.within(here.w + unit * q))
        if read(here.fall_to(there))[0] > 10.0 * here.rounding and there.compute().finite:
            return Verdict(False, f"Newton's step lowers it to {there.total:.6g}", there), False
        size = xp.max(xp.abs(unit * q) / xp.maximum(xp.abs(here.w), xp.full_like(here.w, 1e3 * eps)))
        along = min(eps ** (1.0 / 3.0) / read(size)[0], 1.0)
        probe = here.moved(problem, here.w + (along * unit) * q).compute()
        if not probe.finite:
            break
        y = (unit * probe.gradient - g) / along
        fall, down, up, curvature, bent = read(
            here.fall_to(probe), xp.vecdot(g, q), xp.vecdot(unit * probe.gradient, q), xp.vecdot(y, q),
            xp.vecdot(q, h @ q),
        )  # fmt: skip
        if _contradicted(-fall, along * down, along * up, here.rounding):
            words = "the derivatives contradict the function's values: a wrong jac, a kink, or rounding"
            return Verdict(False, words), False
        if not curvature > 0.0:
            break
        image = h @ q
        h = h - image[:, None] * image[None, :] / bent + y[:, None] * y[None, :] / curvature
    return Verdict(False, f"Newton's step still promises {decrement:.1e} of {here.total:.6g}"), True


def _lowered_by_one(problem: Problem, here: Linearized) -> Any:
    """A lower point to which the Gauss–Newton step of one variable alone leads; None: there is none."""
    xp, n, unit = namespace(here.w), here.w.shape[0], _unit(here)
    g = unit * here.gradient
    for _ in range(min(n, SINGLE)):
        j = xp.argmax(xp.abs(g))
        one = xp.arange(n, device=device_of(g)) == j
        if 0.5 * read(xp.max(g * g))[0] <= 50.0 * tolerance(here):
            break
        there = here.moved(problem, here.how.within(here.w - xp.where(one, unit * g, 0.0)))
        if read(here.fall_to(there))[0] > 10.0 * here.rounding and there.compute().finite:
            return there
        g = xp.where(one, 0.0, g)
    return None


def _unit(here: Linearized) -> Array:
    """1 over the lengths of J's columns; 0 for variables that may not move."""
    xp, diagonal = namespace(here.w), here.system.diagonal
    unit = 1.0 / xp.sqrt(xp.where(diagonal > 0.0, diagonal, 1.0))
    return unit if here.free is None else unit * here.free


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
    near, far = (1.1, 0.9), (1e-3, 1e-6, 1e-9, 1e3)
    if some[0]:
        return not _matters(problem, here, lost, near)
    return bool(some[1]) and not _matters(problem, here, never, near) and _matters(problem, here, never, far)


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


def _newton(h: Array, g: Array) -> Array:
    """−h⁻¹g, with the eigenvalues of h that are rounding raised to it."""
    xp = namespace(h)
    values, vectors = xp.linalg.eigh(0.5 * (h + h.T))
    least = 10.0 * h.shape[0] * float(xp.finfo(h.dtype).eps) * xp.max(values)
    return -(vectors @ ((g @ vectors) / xp.maximum(values, least)))


def _contradicted(rise: float, first: float, last: float, rounding: float) -> bool:
    """Whether a change of the cost cannot have these slopes (times the way) at its two ends.

    Slopes are only believed far above rounding: a function may have more of it than its result shows.
    """
    seen = abs(first) + abs(last)
    return seen > 1e4 * rounding and abs(rise - 0.5 * (first + last)) > 0.25 * seen


def _eps(here: Linearized) -> float:
    return float(namespace(here.w).finfo(here.w.dtype).eps)
