"""A third look before a run ends: the true curvature, by products with the Hessian.

A quasi-Newton matrix knows the directions in which the run has moved, and one look along the gradient shows
the steepest of them. Along another one the cost may bend so weakly that a small slope has far to go.
"""

from __future__ import annotations

import math
from typing import Any

from nnx.backend import namespace
from nnx.errors import NnxError
from nnx.optimizers.descent.evaluation import Evaluation, precision
from nnx.optimizers.problem import read

Array = Any

#: so many products at most, and about the run's gradients divided by
_MOST, _SHARE = 20, 4
#: the curvature in a direction is known up to so many units of rounding of the largest, for each variable
_ROUNDING = 10.0


def lower_point(here: Evaluation, sizes: Array, longest: float, enough: float) -> Evaluation | None:
    """The point a step further, if the step promises a fall of more than ``enough`` and keeps to it.

    None where there is no such step, or no product is exact. Where a promise is not kept, it was rounding.
    ``longest``·``sizes`` > 0 are the sizes of the variables.
    """
    step, promised = _step(here, sizes, longest, enough)
    for shorter in (1.0, 0.1, 0.01) if promised > enough else ():
        there = here.neighbour(here.w + shorter * step)
        if here.cost - there.cost > max(enough, 0.1 * shorter * promised) and there.compute().finite:
            return there
    return None


def _step(here: Evaluation, sizes: Array, longest: float, enough: float) -> tuple[Array, float]:
    """A step and the fall that it promises.

    In units of the sizes of the variables, Lanczos' vectors qᵢ, with the gradient for the first, make a small
    matrix T = QᵀHQ of the Hessian. Along each of its eigenvectors the step goes to the minimum of the
    parabola, but no farther than a variable's size. Curvatures below the rounding of the largest count as
    that.
    Source: C. Lanczos, J. Res. Nat. Bur. Standards 45 (1950) 255–282.
    """
    problem: Any = here.problem
    counts, none = problem.counts, (here.w, 0.0)
    xp, unit, n = namespace(here.w), here.norm, here.w.shape[0]
    if n < 2 or not getattr(problem, "exact_products", False):
        return none
    most = min(n, _MOST, 1 + counts["gradient"] // _SHARE, getattr(counts, "left", math.inf))
    g = sizes * (here.projected_gradient / unit)
    free = sizes if here.box is None else xp.where(g == 0.0, 0.0, sizes)
    length = read(xp.linalg.vector_norm(g))[0]
    q, fall = g / (length or 1.0), 0.0
    basis: list[Array] = []
    images: list[Array] = []
    for _ in range(int(most) if length > 0.0 else 0):
        try:
            image = free * (here.point.hvp(free * q) / unit)
        except NnxError:  # what cannot be differentiated twice
            return none
        if not problem.exact_products:  # now it is known
            return none
        basis, images = [*basis, q], [*images, image]
        rows = xp.stack(basis)
        small = rows @ xp.stack(images).T
        if not math.isfinite(read(xp.sum(small))[0]):
            return none
        values, vectors = xp.linalg.eigh(0.5 * (small + small.T))
        along, bend = (rows @ g) @ vectors, xp.abs(values)
        least = _ROUNDING * n * precision(g).eps * xp.max(bend)
        bend = xp.maximum(bend, least)
        way = xp.minimum(xp.abs(along) / bend, longest)
        step = vectors @ (xp.sign(along) * way)
        for _ in range(2):  # the second time takes away what rounding left
            image = image - (rows @ image) @ rows
        fall, coupled, further, unknown = read(
            0.5 * unit * xp.vecdot(xp.abs(along), way), step[-1], xp.linalg.vector_norm(image), least
        )
        rest = coupled * further
        if not further > 0.0 or 0.5 * unit * rest * rest <= enough * unknown:
            break  # no further direction has anything to gain, even with the least curvature that is known
        q = image / further
    return (-(free * (step @ rows)), fall) if basis else none
