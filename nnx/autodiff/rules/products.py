"""Rules of the matrix products."""

from __future__ import annotations

import math
from typing import Any

from nnx.autodiff.array import Traced
from nnx.autodiff.batching.array import Batched
from nnx.autodiff.families import Bilinear, Linear, Pull
from nnx.autodiff.sums import VectorPull, as_outer


def _matmul_first(xp: Any, g: Any, other: Any, shape: Any) -> Any:
    """Cotangent of x1 in x1 @ x2: g x2ᵀ, with vectors as one-column or one-row matrices."""
    if other.ndim == 1:
        return xp.expand_dims(g, axis=-1) * other if len(shape) > 1 else g * other
    if len(shape) == 1:
        # (k,) @ (..., k, n) -> (..., n)
        if other.ndim == 2:
            return other @ _dense(g)
        return xp.squeeze(xp.matmul(other, xp.expand_dims(g, axis=-1)), axis=-1)
    return _dense(g) @ _turned(xp, other)


def _matmul_second(xp: Any, g: Any, other: Any, shape: Any) -> Any:
    """Cotangent of x2 in x1 @ x2: x1ᵀ g."""
    if other.ndim == 1:
        return other * g if len(shape) == 1 else xp.expand_dims(other, axis=-1) * xp.expand_dims(g, axis=-2)
    if len(shape) == 1:
        # (..., m, k) @ (k,) -> (..., m)
        if other.ndim == 2:
            return _dense(g) @ other
        return xp.squeeze(xp.matmul(xp.matrix_transpose(other), xp.expand_dims(g, axis=-1)), axis=-1)
    return _turned(xp, other) @ _dense(g)


def _turned(xp: Any, x: Any) -> Any:
    return x.T if x.ndim == 2 else xp.matrix_transpose(x)  # the attribute is the quicker one


def _dense(g: Any) -> Any:
    # NumPy multiplies broadcast arrays (stride 0, the pullback of sum) without BLAS: copy them first.
    return g + 0.0 if 0 in getattr(g, "strides", ()) else g


def _tensordot_axes(axes: Any, n1: int, n2: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if isinstance(axes, int):
        return tuple(range(n1 - axes, n1)), tuple(range(axes))
    return tuple(a % n1 for a in axes[0]), tuple(a % n2 for a in axes[1])


def _tensordot_first(xp: Any, g: Any, other: Any, shape: Any, axes: Any = 2) -> Any:
    mine, theirs = _tensordot_axes(axes, len(shape), other.ndim)
    free, free_other = _free(mine, len(shape)), _free(theirs, other.ndim)
    n = len(free)
    back = xp.tensordot(g, other, axes=(tuple(range(n, n + len(free_other))), free_other))
    # Axes of `back`: mine that are free, then the contracted ones in the order that `other` has them.
    contracted = [mine[theirs.index(a)] for a in sorted(theirs)]
    return _restore(xp, back, free + tuple(contracted))


def _tensordot_second(xp: Any, g: Any, other: Any, shape: Any, axes: Any = 2) -> Any:
    theirs, mine = _tensordot_axes(axes, other.ndim, len(shape))
    free, free_other = _free(mine, len(shape)), _free(theirs, other.ndim)
    back = xp.tensordot(other, g, axes=(free_other, tuple(range(len(free_other)))))
    contracted = [mine[theirs.index(a)] for a in sorted(theirs)]
    return _restore(xp, back, tuple(contracted) + free)


def _free(used: tuple[int, ...], n: int) -> tuple[int, ...]:
    return tuple(a for a in range(n) if a not in used)


def _restore(xp: Any, x: Any, order: tuple[int, ...]) -> Any:
    return xp.permute_dims(x, tuple(order.index(a) for a in range(len(order))))


def _matrix_transpose(xp: Any, x: Any, *_: Any) -> Any:
    return xp.matrix_transpose(x)


class _Matmul(Bilinear):
    """Of the products of one matrix with many vectors, the cotangents of the matrix are added together."""

    passes = staticmethod(as_outer)

    def pull(self, argnums: Any, answer: Any, values: Any, kwargs: Any) -> Pull:
        pull, (a, b) = super().pull(argnums, answer, values, kwargs), values
        if a.ndim == b.ndim or a.ndim + b.ndim != 3:
            return pull
        i, matrix, vector = (0, a, b) if a.ndim == 2 else (1, b, a)
        if i not in argnums or math.prod(matrix.shape) < _LARGE or type(vector) in (Traced, Batched):
            return pull
        if not matrix.dtype == vector.dtype == answer.dtype:
            return pull
        rest = super().pull((1 - i,), answer, values, kwargs) if len(argnums) == 2 else None
        return VectorPull(pull, i, vector, rest)


#: entries of a matrix from which on it pays
_LARGE = 1 << 11


PRODUCTS = (
    _Matmul("matmul", lambda xp, a, b: xp.matmul(a, b), _matmul_first, _matmul_second),
    Bilinear(
        "tensordot", lambda xp, a, b, **kw: xp.tensordot(a, b, **kw), _tensordot_first, _tensordot_second
    ),
    Linear("matrix_transpose", _matrix_transpose, _matrix_transpose),
)
