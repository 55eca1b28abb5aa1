"""A third look before a run ends: the true curvature, by products with the Hessian.

A quasi-Newton matrix knows the directions in which the run has moved, and one look along the gradient shows
the steepest of them. Along another one the cost may bend so weakly that a small slope has far to go.
"""

from __future__ import annotations

import math
from typing import Any

from nnx.backend import device_of, namespace
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

    To the minimum of the parabola along each direction that is known, but no farther than a variable's size.
    A direction is an eigenvector of the Hessian, or for many variables one of Lanczos' approximations.
    Curvatures below the rounding of the largest count as that.
    """
    problem: Any = here.problem
    counts, n = problem.counts, here.w.shape[0]
    if n < 2 or not getattr(problem, "exact_products", False):
        return here.w, 0.0
    free = sizes if here.box is None else namespace(sizes).where(here.projected_gradient == 0.0, 0.0, sizes)
    most = int(min(n, _MOST, 1 + counts["gradient"] // _SHARE, getattr(counts, "left", math.inf)))
    if most == n:
        return _by_eigenvectors(here, free, longest)
    return _by_lanczos(here, free, longest, enough, most)


def _product(here: Evaluation, v: Array) -> Array | None:
    """H·v in units of the gradient; None where it cannot be had, or is by differences as it turns out."""
    problem: Any = here.problem
    try:
        image = here.point.hvp(v) / here.norm
    except NnxError:  # what cannot be differentiated twice
        return None
    return image if problem.exact_products else None


def _by_eigenvectors(here: Evaluation, free: Array, longest: float) -> tuple[Array, float]:
    """With the whole Hessian in units that make its diagonal 1.

    Sizes of variables may make curvatures of very different magnitude, of which rounding would hide all but
    the largest. These units are as good as any (van der Sluis): the rest is the problem's own condition.
    Source: A. van der Sluis, Numer. Math. 14 (1969) 14–23.
    """
    xp, n, eps = namespace(here.w), here.w.shape[0], precision(here.w).eps
    nothing = here.w, 0.0
    eye = xp.eye(n, dtype=here.w.dtype, device=device_of(here.w))
    images = []
    for i in range(n):
        if (image := _product(here, eye[i, :])) is None:
            return nothing
        images.append(image)
    h = xp.stack(images)
    size = xp.sqrt(xp.abs(xp.linalg.diagonal(h)))
    one = xp.where((size > 0.0) & (free > 0.0), 1.0 / xp.where(size > 0.0, size, 1.0), 0.0)
    h = one[:, None] * (0.5 * (h + h.T)) * one[None, :]
    if not math.isfinite(read(xp.sum(h))[0]):
        return nothing
    values, vectors = xp.linalg.eigh(h)
    along = (one * (here.projected_gradient / here.norm)) @ vectors
    bend = xp.maximum(xp.abs(values), _ROUNDING * n * eps * xp.max(xp.abs(values)))
    directions = one[:, None] * vectors
    lengths = xp.where(directions == 0.0, 1.0, xp.abs(directions))
    farthest = xp.min(xp.where(directions == 0.0, math.inf, longest * free[:, None] / lengths), axis=0)
    way = xp.minimum(xp.abs(along) / xp.where(bend > 0.0, bend, 1.0), farthest)
    fall = read(0.5 * here.norm * xp.vecdot(xp.abs(along), way))[0]
    return -(directions @ (xp.sign(along) * way)), fall


def _by_lanczos(
    here: Evaluation, free: Array, longest: float, enough: float, most: int
) -> tuple[Array, float]:
    """In units of the sizes of the variables, with at most so many products.

    Lanczos' vectors qᵢ, with the gradient for the first, make a small matrix T = QᵀHQ of the Hessian, whose
    eigenvectors the directions are.
    Source: C. Lanczos, J. Res. Nat. Bur. Standards 45 (1950) 255–282.
    """
    xp, unit, n = namespace(here.w), here.norm, here.w.shape[0]
    g = free * (here.projected_gradient / unit)
    length = read(xp.linalg.vector_norm(g))[0]
    q, fall = g / (length or 1.0), 0.0
    basis: list[Array] = []
    images: list[Array] = []
    for _ in range(most if length > 0.0 else 0):
        if (product := _product(here, free * q)) is None:
            return here.w, 0.0
        image = free * product
        basis, images = [*basis, q], [*images, image]
        rows = xp.stack(basis)
        small = rows @ xp.stack(images).T
        if not math.isfinite(read(xp.sum(small))[0]):
            return here.w, 0.0
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
    return (-(free * (step @ rows)), fall) if basis else (here.w, 0.0)
