"""Vectors of residuals as problems: the cost ½‖r(w)‖², and what Gauss–Newton needs of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from nnx.autodiff import flatten, jvp, vjp
from nnx.autodiff.recording import jacobian_by_rows
from nnx.autodiff.tree import aligned
from nnx.backend import device_of, namespace
from nnx.errors import DataError, ShapeError
from nnx.optimizers.functions.functions import Packed, as_array_like
from nnx.optimizers.problem import Point
from nnx.parameters import Layout

Array = Any


class ResidualProblem:
    """The problem of minimising ½‖r(w)‖² for a function ``r`` that returns an array of residuals.

    ``counts`` says how many values and Jacobians, and products with them, were computed. ``layout`` and
    ``build`` as in :class:`nnx.optimizers.FunctionProblem`; ``jacobian(x)``, where it is given, returns
    ∂r/∂x, (m, n), or what :func:`nnx.jacobian` makes of ``r``.

    >>> problem = nnx.optimizers.ResidualProblem(lambda w: w**2 - np.asarray([1.0, 4.0]))
    >>> point = problem.at(np.asarray([2.0, 1.0]))
    >>> float(point.value), point.jacobian, point.gradient
    (9.0, array([[4., 0.],
           [0., 2.]]), array([12., -6.]))
    """

    #: changes where the same weights no longer have the same cost
    version = 0

    def __init__(
        self,
        r: Callable[..., Any],
        layout: Layout | None = None,
        build: Callable[[list[Any]], Any] | None = None,
        *,
        jacobian: Callable[..., Any] | None = None,
    ) -> None:
        self.r = r
        self.layout = layout
        self.packed = Packed(layout, build)
        self.counts: Counter[str] = Counter()
        self._jacobian = jacobian
        self._mixed = False  #: whether the function was found to mix its samples

    def at(self, w: Array) -> Point:
        return Point(self, w)

    # -- what a point asks for ------------------------------------------------------------------------

    def argument(self, w: Array) -> Any:
        return self.packed.split(w)

    def residual(self, point: Point) -> Array:
        returned = point.aux["returned"] = self.r(point.x)
        return _vector(returned, point.w)

    def jacobian(self, point: Point) -> Array:
        """All rows in one pass back, where each residual belongs to one sample.

        Otherwise row by row in reverse mode, or by columns in forward mode if these are half as many.
        """
        w, xp = point.w, namespace(point.w)
        m, n = point.residual.shape[0], w.shape[0]
        if self._jacobian is not None:
            return _matrix(self._jacobian(point.x), point, (m, n))
        if (rows := self._by_rows(point)) is not None:
            return rows(0, m)
        if 2 * n <= m:  # a row costs half a column, which computes the function anew
            eye = xp.eye(n, dtype=w.dtype, device=device_of(w))
            return xp.stack([self.jvp(point, eye[i, :]) for i in range(n)], axis=1)
        pullback = self._pullback(point)
        eye = xp.eye(m, dtype=w.dtype, device=device_of(w))
        return xp.stack([pullback(eye[i, :]) for i in range(m)])

    def blocks(self, point: Point, memory_limit: float) -> Iterator[tuple[Array, Array]] | None:
        """None where the limit holds all rows, or where they are given; else some at a time.

        That is ``memory_limit`` / (bytes of a row) of them; all in one pass back, or each in one of its own.
        """
        xp, w = namespace(point.w), point.w
        m, n = point.residual.shape[0], w.shape[0]
        size = max(1, int(memory_limit / (n * (xp.finfo(w.dtype).bits // 8))))
        if size >= m or self._jacobian is not None:
            return None
        return self._rows(point, m, size)

    def jvp(self, point: Point, v: Array) -> Array:
        return _vector(jvp(self._flat, (point.x,), (self.packed.split(v),))[1], point.w)

    def vjp(self, point: Point, u: Array) -> Array:
        return self._pullback(point)(u)

    # -- details ------------------------------------------------------------------------------------

    def _rows(self, point: Point, m: int, size: int) -> Iterator[tuple[Array, Array]]:
        xp, w = namespace(point.w), point.w
        if (some := self._by_rows(point)) is not None:
            for start in range(0, m, size):
                stop = min(start + size, m)
                yield some(start, stop), point.residual[start:stop]
            return
        pullback = self._pullback(point)
        for start in range(0, m, size):
            stop = min(start + size, m)
            units = xp.eye(stop - start, m, k=start, dtype=w.dtype, device=device_of(w))
            rows = [pullback(units[i, :]) for i in range(stop - start)]
            yield xp.stack(rows), point.residual[start:stop]

    def _by_rows(self, point: Point) -> Callable[[int, int], Array] | None:
        """The function that gives the rows from start to stop; None, from then on, where they are mixed."""
        found = None if self._mixed else jacobian_by_rows(self.r, point.x)
        self._mixed = found is None
        if found is None:
            return None
        w, xp = point.w, namespace(point.w)

        def rows(start: int, stop: int) -> Array:
            blocks = [as_array_like(w, g) for g in found.rows(start, stop)]
            return xp.concat([xp.reshape(g, (stop - start, -1)) for g in blocks], axis=1)

        return rows

    def _pullback(self, point: Point) -> Callable[[Array], Array]:
        _, pullback = vjp(self._flat, point.x)
        return lambda u: as_array_like(point.w, self.packed.join(pullback(u)[0], point.w))

    def _flat(self, x: Any) -> Array:
        leaves = flatten(self.r(x))[0]
        xp = namespace(*leaves)
        return xp.concat([xp.reshape(leaf, (-1,)) for leaf in leaves])


def _matrix(given: Any, point: Point, shape: tuple[int, int]) -> Array:
    """What ``jac`` returned, as one array: it is that, or a block for each array of r and each of x."""
    xp = namespace(point.w)
    if tuple(getattr(given, "shape", ())) == shape:
        return as_array_like(point.w, given)
    outs, build = flatten(point.aux["returned"])
    blocks = iter(aligned(given, build([point.x] * len(outs)), "What jac returned"))
    rows = []
    for out in (getattr(leaf, "shape", ()) for leaf in outs):
        row = []
        for x in flatten(point.x)[0]:
            block = as_array_like(point.w, next(blocks))
            if tuple(block.shape) != (*out, *x.shape):
                raise ShapeError(
                    f"jac must return an array of shape {shape}, or for residuals of shape {tuple(out)} "
                    f"and variables of shape {tuple(x.shape)} one of shape {(*out, *x.shape)}; got "
                    f"{tuple(block.shape)}."
                )
            row.append(xp.reshape(block, (math.prod(out), math.prod(x.shape))))
        rows.append(xp.concat(row, axis=1))
    return xp.concat(rows)


def _vector(r: Any, w: Array) -> Array:
    """An array, or a container of them, as one vector like ``w``."""
    xp = namespace(w)
    leaves = [as_array_like(w, leaf) for leaf in flatten(r)[0]]
    vector = xp.concat([xp.reshape(leaf, (-1,)) for leaf in leaves])
    if not vector.shape[0]:
        raise DataError("The function of the residuals returned none: there is nothing to minimise.")
    return vector
