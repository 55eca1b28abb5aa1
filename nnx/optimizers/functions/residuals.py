"""Vectors of residuals as problems: the cost ½‖r(w)‖², and what Gauss–Newton needs of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

from nnx.autodiff import flatten, jvp, vjp
from nnx.autodiff.tree import aligned
from nnx.backend import device_of, namespace
from nnx.errors import DataError, ShapeError
from nnx.optimizers.functions.functions import Packed, beside
from nnx.parameters import Layout

Array = Any


class ResidualProblem:
    """The problem of making ½‖r(w)‖² small for a function ``r`` that returns an array of residuals.

    ``counts`` says how many values and Jacobians, and products with them, were computed. ``layout`` and
    ``build`` as in :class:`nnx.optimizers.FunctionProblem`; ``jacobian(x)``, where it is given, returns
    ∂r/∂x, (m, n), or what :func:`nnx.jacobian` makes of ``r``.

    >>> problem = nnx.optimizers.ResidualProblem(lambda w: w**2 - np.asarray([1.0, 4.0]))
    >>> point = problem.at(np.asarray([2.0, 1.0]))
    >>> float(point.value), point.jacobian, point.gradient
    (9.0, array([[4., 0.],
           [0., 2.]]), array([12., -6.]))
    """

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
        self.given = jacobian
        self.counts: Counter[str] = Counter()

    def at(self, w: Array) -> ResidualPoint:
        return ResidualPoint(self, w)


class ResidualPoint:
    """:class:`ResidualProblem` at one ``w``."""

    _returned: Any

    #: the penalty ½ Σ ridge·w² beside the residuals: none
    ridge = None
    #: what the errors are multiplied by in the residuals
    residual_scale = 1.0

    def __init__(self, problem: ResidualProblem, w: Array) -> None:
        self.w = w
        self._problem = problem

    @cached_property
    def x(self) -> Any:
        """What the function takes."""
        return self._problem.packed.split(self.w)

    @cached_property
    def residual(self) -> Array:
        """r(w), a vector."""
        self._returned = self._problem.r(self.x)
        r = self._vector(self._returned)
        self._problem.counts["value"] += 1
        return r

    @cached_property
    def value(self) -> Array:
        r = self.residual
        return 0.5 * namespace(r).vecdot(r, r)

    @cached_property
    def gradient(self) -> Array:
        return self.vjp(self.residual)

    @cached_property
    def jacobian(self) -> Array:
        """∂r/∂w, (m, n): by rows in reverse mode, or by columns in forward mode if these are half as many."""
        problem, w, xp = self._problem, self.w, namespace(self.w)
        m, n = self.residual.shape[0], w.shape[0]
        problem.counts["jacobian"] += 1
        if problem.given is not None:
            return self._matrix(problem.given(self.x), (m, n))
        if 2 * n <= m:  # a row costs half a column, which computes the function anew
            eye = xp.eye(n, dtype=w.dtype, device=device_of(w))
            return xp.stack([self._along(eye[i, :]) for i in range(n)], axis=1)
        pullback = self._pullback()
        eye = xp.eye(m, dtype=w.dtype, device=device_of(w))
        return xp.stack([pullback(eye[i, :]) for i in range(m)])

    def blocks(self, memory_limit: float) -> Iterator[tuple[Array, Array]]:
        """Rows of the Jacobian with their residuals: all at once, where ``memory_limit`` bytes hold them.

        Else by reverse mode, so many rows at a time. A Jacobian that is given comes as a whole.
        """
        xp, w = namespace(self.w), self.w
        m, n = self.residual.shape[0], w.shape[0]
        size = max(1, int(memory_limit / (n * (xp.finfo(w.dtype).bits // 8))))
        if size >= m or self._problem.given is not None:
            yield self.jacobian, self.residual
            return
        self._problem.counts["jacobian"] += 1
        pullback = self._pullback()
        for start in range(0, m, size):
            stop = min(start + size, m)
            units = xp.eye(stop - start, m, k=start, dtype=w.dtype, device=device_of(w))
            rows = [pullback(units[i, :]) for i in range(stop - start)]
            yield xp.stack(rows), self.residual[start:stop]

    def jvp(self, v: Array) -> Array:
        """The product J·v, a vector of m numbers."""
        self._problem.counts["product"] += 1
        return self._along(v)

    def vjp(self, u: Array) -> Array:
        """The product Jᵀ·u, a vector of n numbers."""
        self._problem.counts["product"] += 1
        return u @ self.jacobian if "jacobian" in self.__dict__ else self._pullback()(u)

    # -- details ------------------------------------------------------------------------------------

    def _split(self, v: Array) -> Any:
        return self._problem.packed.split(v)

    def _flat(self, x: Any) -> Array:
        r = self._problem.r(x)
        leaves = flatten(r)[0]
        xp = namespace(*leaves)
        return xp.concat([xp.reshape(leaf, (-1,)) for leaf in leaves])

    def _matrix(self, given: Any, shape: tuple[int, int]) -> Array:
        """What ``jac`` returned, as one array: it is that, or a block for each array of r and each of x."""
        xp = namespace(self.w)
        if tuple(getattr(given, "shape", ())) == shape:
            return beside(self.w, given)
        outs, build = flatten(self._returned)
        blocks = iter(aligned(given, build([self.x] * len(outs)), "What jac returned"))
        rows = []
        for out in (getattr(leaf, "shape", ()) for leaf in outs):
            row = []
            for x in flatten(self.x)[0]:
                block = beside(self.w, next(blocks))
                if tuple(block.shape) != (*out, *x.shape):
                    raise ShapeError(
                        f"jac must return an array of shape {shape}, or for residuals of shape {tuple(out)} "
                        f"and variables of shape {tuple(x.shape)} one of shape {(*out, *x.shape)}; got "
                        f"{tuple(block.shape)}."
                    )
                row.append(xp.reshape(block, (math.prod(out), math.prod(x.shape))))
            rows.append(xp.concat(row, axis=1))
        return xp.concat(rows)

    def _along(self, v: Array) -> Array:
        return self._vector(jvp(self._flat, (self.x,), (self._split(v),))[1])

    def _pullback(self) -> Callable[[Array], Array]:
        _, pullback = vjp(self._flat, self.x)
        return lambda u: beside(self.w, self._problem.packed.join(pullback(u)[0], self.w))

    def _vector(self, r: Any) -> Array:
        xp = namespace(self.w)
        leaves = [beside(self.w, leaf) for leaf in flatten(r)[0]]
        vector = xp.concat([xp.reshape(leaf, (-1,)) for leaf in leaves])
        if not vector.shape[0]:
            raise DataError("The function of the residuals returned none: there is nothing to make small.")
        return vector
