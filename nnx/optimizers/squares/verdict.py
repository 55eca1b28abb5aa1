"""Whether a point is a minimum as far as can be told, whatever was seen on the way to it.

The measure is the Newton decrement λ = ½·gᵀH⁻¹g, the fall of the cost that a whole Newton step promises. It
has no units of the variables, and compared with the cost none of the cost either. Where J has full rank and
the model r + Jp holds, H is JᵀJ. Where J loses its rank the curvature comes from the residuals' own second
derivatives, which JᵀJ does not have: then H is learned by probing, one gradient at a time.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from nnx.backend import namespace
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
    a little way along it corrects H by the BFGS formula. It ends when the decrement is negligible.
    """
    if not here.system.has_matrix:
        end = nothing_left(here)
        return Verdict(
            end, "the linear model promises nothing more" if end else "the linear model promises more"
        )
    xp, n, eps = namespace(here.w), here.w.shape[0], _eps(here)
    diagonal = here.system.diagonal
    unit = 1.0 / xp.sqrt(xp.where(diagonal > 0.0, diagonal, 1.0))
    unit = unit if here.free is None else unit * here.free
    h, g = unit[:, None] * here.system.matrix * unit[None, :], unit * here.gradient
    # a probed H has a few digits less than JᵀJ
    enough, decrement = max(50.0 * tolerance(here), here.rounding), math.inf
    weak, strong = _parts(h, g)
    for _ in range(min(n, 30) + 2):
        q = _newton(h, g)
        decrement = -0.5 * read(xp.vecdot(g, q))[0]
        if decrement <= enough:
            return Verdict(True, f"Newton's step promises {decrement:.1e}")
        there = here.moved(problem, here.how.within(here.w + unit * q))
        if read(here.fall_to(there))[0] > 10.0 * here.rounding and there.compute().finite:
            return Verdict(False, f"Newton's step lowers it to {there.total:.6g}", there)
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
            return Verdict(
                False,
                "the derivatives contradict the function's values: a wrong jac, a kink, or rounding",
            )
        if not curvature > 0.0:
            break
        image = h @ q
        h = h - image[:, None] * image[None, :] / bent + y[:, None] * y[None, :] / curvature
    if strong <= enough:
        return _along(problem, here, unit * weak, decrement)
    return Verdict(False, f"Newton's step still promises {decrement:.1e} of {here.total:.6g}")


def _parts(h: Array, g: Array) -> tuple[Array, float]:
    """The part of the step −h⁻¹g in directions that J hardly feels, and what the rest of it promises.

    These are singular values of J below the root of ε times the largest: h, which has their squares, and the
    derivatives themselves may have nothing but rounding there.
    """
    xp = namespace(h)
    values, vectors = xp.linalg.eigh(h)
    along, most, eps = g @ vectors, xp.max(values), float(xp.finfo(h.dtype).eps)
    felt = values > 100.0 * eps * most
    strong = 0.5 * read(xp.sum(xp.where(felt, along * along / xp.where(felt, values, 1.0), 0.0)))[0]
    least = xp.maximum(values, 10.0 * h.shape[0] * eps * most)
    return -(vectors @ xp.where(felt, 0.0, along / least)), strong


def _along(problem: Problem, here: Linearized, p: Array, decrement: float) -> Verdict:
    """The verdict where only directions are left that J hardly feels: is the cost lower anywhere along p?"""
    for power in range(0, 12, 2):
        there = here.moved(problem, here.how.within(here.w + 10.0**-power * p))
        if read(here.fall_to(there))[0] > 10.0 * here.rounding and there.compute().finite:
            return Verdict(False, f"a step that J hardly feels lowers it to {there.total:.6g}", there)
    return Verdict(True, f"the {decrement:.1e} that the model still promises is nowhere to be found")


def flat(problem: Problem, here: Linearized, most: Array, last: Array) -> bool:
    """Whether variables lost their influence at a blow, and have none nearby either.

    That is a plateau: a model far out, where exp(−bx) is 0 for all x. The gradient vanishes there, and it is
    no minimum that anybody looks for. A variable that loses its influence little by little, while the cost
    falls, is on its way to a minimum at infinity. ``most`` and ``last`` are the largest entries of diag(JᵀJ)
    so far, and the last ones that were not 0.
    """
    xp = namespace(here.w)
    size = xp.abs(here.w)
    lost = (here.system.diagonal == 0.0) & (last > 1e-16 * most)
    if not read(xp.astype(xp.any(lost), here.w.dtype))[0]:
        return False
    way = xp.where(lost, 0.1 * xp.where(size > 0.0, size, 1.0), 0.0)
    apart = [here.moved(problem, here.how.within(here.w + s * way)).point.residual for s in (1.0, -1.0)]
    return max(read(*(xp.max(xp.abs(r - here.point.residual)) for r in apart))) == 0.0


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
