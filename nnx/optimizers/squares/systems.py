"""The damped linear system of Gauss–Newton and Levenberg–Marquardt: min ‖Jp + r‖² + Σ dᵢpᵢ².

The Jacobian comes in blocks of rows and is reduced at once to an n × n matrix, so it is never stored as a
whole. Each system has ``gradient`` = Jᵀr, ``diagonal`` = diag(JᵀJ), and ``image(p)`` = JᵀJp; those with
a matrix (``has_matrix``) have its eigenvalues as well, ``spectrum``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from itertools import starmap
from typing import Any

from nnx.backend import adapter_of, device_of, namespace
from nnx.optimizers.problem import read

Array = Any
Blocks = Iterable[tuple[Array, Array]]


def of_each(blocks: Blocks, function: Callable[[Array, Array], Any]) -> Iterator[Any]:
    """``function(rows, residuals)`` of every block, in order; blocks that have a way to share work take it.

    That is a method ``each(function)``.
    """
    return blocks.each(function) if hasattr(blocks, "each") else starmap(function, blocks)


class NormalEquations:
    """G = JᵀJ, solved by Cholesky factors of G + diag(d): quick; the condition of J is squared."""

    has_matrix = True

    def __init__(self, blocks: Blocks, ridge: Array | None, w: Array) -> None:
        xp = namespace(w)
        g: Any = None
        matrix: Any = None
        for own, part in of_each(blocks, lambda rows, r: (rows.T @ rows, r @ rows)):
            matrix, g = (own, part) if matrix is None else (matrix + own, g + part)
        if ridge is not None:
            matrix, g = matrix + _diagonal(ridge), g + ridge * w
        self.matrix, self.gradient = matrix, g
        self.diagonal = xp.linalg.diagonal(matrix)
        #: the last damped system: what made it, and its solution
        self._last: tuple[Any, ...] = (None, None, None)

    @cached_property
    def spectrum(self) -> Array:
        """The eigenvalues of G, none below 0."""
        xp = namespace(self.matrix)
        return xp.maximum(xp.linalg.eigvalsh(self.matrix), xp.zeros_like(self.diagonal))

    def image(self, p: Array) -> Array:
        """G·p, a vector."""
        return self.matrix @ p

    def spread(self, w: Array) -> Array:
        """Σ wⱼ²Gⱼⱼ."""
        return namespace(w).vecdot(w * w, self.diagonal)

    def solve(self, damping: Array, free: Array | None = None, right: Array | None = None) -> Array | None:
        """The p with (G + diag(d)) p = −g (or = −``right``); None where that matrix is not positive definite.

        ``free`` is 1 for variables that may move and 0 for others, whose p is 0.
        """
        if self._last[0] is not damping or self._last[1] is not free:
            matrix, scale = _damped(self.matrix, self.diagonal, damping, free)
            self._last = damping, free, adapter_of(damping).solver_of_positive(matrix), scale
        *_, solve, scale = self._last
        p = None if solve is None else solve(-(scale * (self.gradient if right is None else right)))
        return None if p is None else scale * p


def _damped(matrix: Array, diagonal: Array, damping: Array, free: Array | None) -> tuple[Array, Array]:
    """S(G + diag(d))S and S, a diagonal matrix, with which the diagonal is 1: factors lose fewer digits."""
    xp = namespace(damping)
    d = diagonal + damping
    scale = 1.0 / xp.sqrt(xp.where(d > 0.0, d, 1.0))
    if free is not None:
        scale = scale * free
    rows = scale[:, None] * matrix * scale[None, :]
    extra = damping * scale * scale if free is None else damping * scale * scale + (1.0 - free)
    return rows + _diagonal(extra), scale


class OrthogonalFactors:
    """J = QR, and the damped system by QR of [R; √d] as well: the condition of J is not squared."""

    has_matrix = True

    def __init__(self, blocks: Blocks, ridge: Array | None, w: Array) -> None:
        xp = namespace(w)
        n = w.shape[0]
        factor: Any = None
        ready = False
        joined = of_each(blocks, lambda rows, r: _smaller(xp.concat([rows, r[:, None]], axis=1)))
        for own, is_triangle in joined:
            ready = is_triangle or factor is not None
            factor = own if factor is None else _triangle(xp.concat([factor, own]))
        factor = factor if ready else _triangle(factor)
        if ridge is not None:
            root = xp.sqrt(ridge)
            factor = _triangle(xp.concat([factor, _rows(root, root * w)]))
        self.factor, self.right = factor[:, :n], factor[:, n]
        self.gradient = self.factor.T @ self.right
        self.diagonal = xp.sum(self.factor * self.factor, axis=0)

    @cached_property
    def matrix(self) -> Array:
        """JᵀJ."""
        return self.factor.T @ self.factor

    @cached_property
    def spectrum(self) -> Array:
        """The eigenvalues of JᵀJ, by the singular values of R."""
        return namespace(self.factor).linalg.svdvals(self.factor) ** 2

    def image(self, p: Array) -> Array:
        """JᵀJ·p, a vector."""
        return self.factor.T @ (self.factor @ p)

    def spread(self, w: Array) -> Array:
        """Σ wⱼ²(JᵀJ)ⱼⱼ."""
        return namespace(w).vecdot(w * w, self.diagonal)

    def solve(self, damping: Array, free: Array | None = None, right: Array | None = None) -> Array | None:
        """The p that minimises ‖Jp + r‖² + Σ dᵢpᵢ² (``right``: (JᵀJ + diag(d)) p = −``right``)."""
        xp = namespace(damping)
        n = damping.shape[0]
        factor = self.factor
        root = xp.sqrt(damping)
        if free is not None:
            factor, root = factor * free, xp.where(free > 0.0, root, 1.0)
        # Each column gets the length 1, so that variables of very different scale do no harm.
        length = xp.sqrt(xp.sum(factor * factor, axis=0) + root * root)
        scale = 1.0 / xp.where(length > 0.0, length, 1.0)
        mask = 1.0 if free is None else free
        top = xp.concat([factor * scale, self.right[:, None]], axis=1)
        whole = _triangle(xp.concat([top, _rows(root * scale, xp.zeros_like(root))]))
        triangle, below = whole[:n, :n], whole[:n, n]
        smallest, finite = read(
            xp.min(xp.abs(xp.linalg.diagonal(triangle))), xp.astype(xp.all(xp.isfinite(whole)), root.dtype)
        )
        if not finite or smallest == 0.0:
            return None
        if right is None:
            return -scale * xp.linalg.solve(triangle, below)
        return -scale * xp.linalg.solve(triangle, xp.linalg.solve(triangle.T, scale * mask * right))


class MatrixFree:
    """No matrix at all: products J·v and Jᵀ·u, and conjugate gradients on the normal equations.

    The diagonal is unknown: it is replaced by the Rayleigh quotient of JᵀJ along the gradient.
    """

    has_matrix = False
    #: conjugate gradients end at this fraction of the first residual, or after so many steps
    tolerance, most = 1e-3, 200
    #: the same where they say whether a point is a minimum
    for_a_verdict = 1e-6

    def __init__(self, point: Any, ridge: Array | None, w: Array) -> None:
        self.point, self.ridge = point, ridge
        self.gradient = point.gradient

    @cached_property
    def diagonal(self) -> Array:
        """The Rayleigh quotient, n times."""
        xp = namespace(self.gradient)
        _, g = _in_units(self.gradient)
        length = xp.vecdot(g, g)
        return xp.zeros_like(g) + xp.vecdot(g, self.image(g)) / xp.where(length > 0.0, length, 1.0)

    def image(self, p: Array) -> Array:
        """JᵀJ·p with the ridge, a vector."""
        image = self.point.vjp(self.point.jvp(p))
        return image if self.ridge is None else image + self.ridge * p

    def solve(self, damping: Array, free: Array | None = None, right: Array | None = None) -> Array | None:
        """The p with (JᵀJ + diag(d)) p ≈ −g (or = −``right``)."""
        unit, g = _in_units(self.gradient if right is None else right)
        p, _ = self._conjugate_gradients(g, damping, free, None, math.inf)
        return None if p is None else unit * p

    def decrement(self, free: Array | None = None) -> float:
        """½·gᵀ(JᵀJ)⁻¹g: by how much −(JᵀJ)⁻¹g lowers the linear model. More accurate than a step need be."""
        xp = namespace(self.gradient)
        unit, g = _in_units(self.gradient)
        p, _ = self._conjugate_gradients(g, 0.0, free, None, math.inf, self.for_a_verdict)
        return math.inf if p is None else -0.5 * read(unit * xp.vecdot(g, unit * p))[0]

    def spread(self, w: Array) -> Array:
        """Σ wⱼ²(JᵀJ)ⱼⱼ, estimated by one product: the mean of ‖J(w∘z)‖² over all signs z is that.

        Source: M. F. Hutchinson, Commun. Statist. Simula. 19 (1990) 433–450.
        """
        xp = namespace(w)
        k = xp.arange(w.shape[0], dtype=w.dtype, device=device_of(w))
        signed = w * xp.where(xp.sin(1.7 * k * k + k + 1.0) < 0.0, -xp.ones_like(w), 1.0)
        return xp.vecdot(signed, self.image(signed))

    def within(self, root: Array, radius: float, free: Array | None = None) -> tuple[Array, bool]:
        """The p with JᵀJ·p ≈ −g, or where its path leaves ‖``root``·p‖ ≤ ``radius``; whether it does."""
        unit, g = _in_units(self.gradient)
        size = read(unit)[0]
        p, bound = self._conjugate_gradients(g, 0.0, free, root, radius / size)
        return (namespace(g).zeros_like(g) if p is None else size * p), bound

    def _conjugate_gradients(
        self,
        g: Array,
        damping: Any,
        free: Array | None,
        root: Array | None,
        radius: float,
        tolerance: float | None = None,
    ) -> tuple[Array | None, bool]:
        xp, mask = namespace(g), 1.0 if free is None else free
        p, residual = xp.zeros_like(g), -g * mask
        direction = residual
        square = first = read(xp.vecdot(residual, residual))[0]
        tolerance = self.tolerance if tolerance is None else tolerance
        for _ in range(self.most):
            if not math.isfinite(square):
                return None, False
            if square <= tolerance**2 * first:
                break
            image = (self.image(direction) + damping * direction) * mask
            bend = read(xp.vecdot(direction, image))[0]
            if not bend > 0.0:
                break
            longer = p + (square / bend) * direction
            if root is not None and read(xp.linalg.vector_norm(root * longer))[0] >= radius:
                return p + _to_the_edge(root * p, root * direction, radius) * direction, True
            p, residual = longer, residual - (square / bend) * image
            after = read(xp.vecdot(residual, residual))[0]
            direction, square = residual + (after / square) * direction, after
        return p, False


class Ridged:
    """The linear system ``plain`` of residuals plus a penalty ½·``ratio``·‖w‖²."""

    has_matrix = True

    def __init__(self, plain: NormalEquations | OrthogonalFactors, ratio: float, w: Array) -> None:
        self.plain, self.ratio = plain, ratio
        self.gradient = plain.gradient + ratio * w
        self.diagonal = plain.diagonal + ratio

    @cached_property
    def matrix(self) -> Array:
        """JᵀJ + ratio·I."""
        return self.plain.matrix + _diagonal(namespace(self.diagonal).zeros_like(self.diagonal) + self.ratio)

    def image(self, p: Array) -> Array:
        """(JᵀJ + ratio·I)·p, a vector."""
        return self.plain.image(p) + self.ratio * p

    def spread(self, w: Array) -> Array:
        """Σ wⱼ² times the diagonal."""
        return namespace(w).vecdot(w * w, self.diagonal)

    def solve(self, damping: Array, free: Array | None = None, right: Array | None = None) -> Array | None:
        """The p with (JᵀJ + ratio·I + diag(d)) p = −g (or = −``right``)."""
        return self.plain.solve(damping + self.ratio, free, self.gradient if right is None else right)


def _to_the_edge(p: Array, d: Array, radius: float) -> float:
    """The τ ≥ 0 with ‖p + τd‖ = ``radius``, without cancellation."""
    xp = namespace(p)
    here, along, across = read(xp.vecdot(p, p), xp.vecdot(p, d), xp.vecdot(d, d))
    room = max(radius * radius - here, 0.0)
    root = math.sqrt(along * along + across * room)
    return room / (along + root) if along > 0.0 else (root - along) / across


def _in_units(g: Array) -> tuple[Array, Array]:
    """The max-norm of ``g``, and ``g`` divided by it, whose squares neither over- nor underflow."""
    xp = namespace(g)
    largest = xp.max(xp.abs(g))
    unit = xp.where(largest > 0.0, largest, 1.0)
    return unit, g / unit


def _smaller(rows: Array) -> tuple[Array, bool]:
    """Rows with the same R: that, where so many rows are worth a QR of their own. And whether it is that."""
    worth = rows.shape[0] > 2 * rows.shape[1]
    return (_triangle(rows) if worth else rows), worth


def _triangle(rows: Array) -> Array:
    """R of the QR factors of a matrix; where it has fewer rows than columns, rows of zeros are added."""
    xp = namespace(rows)
    m, n = rows.shape
    if m < n:
        zeros = xp.zeros((n - m, n), dtype=rows.dtype, device=device_of(rows))
        rows = xp.concat([rows, zeros])
    return xp.linalg.qr(rows, mode="reduced")[1]


def _diagonal(d: Array) -> Array:
    xp = namespace(d)
    return xp.eye(d.shape[0], dtype=d.dtype, device=device_of(d)) * d[:, None]


def _rows(d: Array, right: Array) -> Array:
    """diag(d) with one more column, ``right``."""
    return namespace(d).concat([_diagonal(d), right[:, None]], axis=1)
