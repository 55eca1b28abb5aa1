"""Rules of the reductions and the cumulative functions.

Ties: where several entries are the maximum or minimum, each gets an equal share. The standard deviation of
equal entries has derivative 0.
"""

from __future__ import annotations

import math
from typing import Any

from nnx.autodiff.families import Linear, Reduction, Rule, along, cast, keep_dims, normal_axes
from nnx.autodiff.rules.distances import ratio
from nnx.errors import ShapeError


def _spread(xp: Any, g: Any, shape: Any, axis: Any = None, keepdims: bool = False, **options: Any) -> Any:
    return xp.broadcast_copy(keep_dims(xp, g, shape, axis, keepdims), shape)


def _count(shape: tuple[int, ...], axis: Any) -> int:
    n = 1
    for a in normal_axes(axis, len(shape)):
        n *= shape[a]
    return n


def _mean_back(xp: Any, g: Any, shape: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return _spread(xp, g * (1.0 / max(_count(shape, axis), 1)), shape, axis, keepdims)


def _extreme(xp: Any, x: Any, y: Any, axis: Any) -> Any:
    hits = xp.astype(x == y, x.dtype)
    return hits / xp.sum(hits, axis=axis, keepdims=True)


def _centred(xp: Any, x: Any, axis: Any) -> Any:
    """The conjugate c of x − mean(x): Re Σ c·dx is the change of ½ Σ |x − mean(x)|²."""
    centred = x - xp.mean(x, axis=axis, keepdims=True)
    return xp.conj(centred) if xp.isdtype(x.dtype, "complex floating") else centred


def _degrees(shape: tuple[int, ...], axis: Any, correction: float) -> float:
    return max(_count(shape, axis) - correction, 0.0) or math.nan


def _var(xp: Any, x: Any, y: Any, axis: Any, correction: float = 0.0) -> Any:
    return _centred(xp, x, axis) * (2.0 / _degrees(x.shape, axis, correction))


def _std(xp: Any, x: Any, y: Any, axis: Any, correction: float = 0.0) -> Any:
    return ratio(xp, _centred(xp, x, axis), y) / _degrees(x.shape, axis, correction)  # a kink as that of abs


def _prod(xp: Any, x: Any, y: Any, axis: Any, dtype: Any = None) -> Any:
    """The product of all the others, also where some are zero: exclusive products from both ends."""
    axes = normal_axes(axis, x.ndim)
    order = tuple(a for a in range(x.ndim) if a not in axes) + axes
    moved = xp.permute_dims(x, order)
    flat = xp.reshape(moved, (*moved.shape[: x.ndim - len(axes)], _count(x.shape, axis)))
    after = xp.flip(_products_before(xp, xp.flip(flat, axis=-1)), axis=-1)
    others = xp.reshape(_products_before(xp, flat) * after, moved.shape)
    return xp.permute_dims(others, tuple(order.index(a) for a in range(x.ndim)))


def _products_before(xp: Any, x: Any, axis: int = -1) -> Any:
    """At every place the product of all entries before it."""
    products = xp.cumulative_prod(x, axis=axis, include_initial=True)
    return products[along(axis % x.ndim, slice(None, -1))]


def _recurrence(xp: Any, a: Any, b: Any, axis: int) -> Any:
    """``s`` with s₀ = b₀ and sₖ = aₖ·sₖ₋₁ + bₖ along an axis: O(n) work in O(log n) operations on arrays.

    Two steps are one: s₂ₖ₊₁ = (a₂ₖ₊₁·a₂ₖ)·s₂ₖ₋₁ + (a₂ₖ₊₁·b₂ₖ + b₂ₖ₊₁), a recurrence of half the length.
    Source: G. E. Blelloch, "Prefix Sums and Their Applications", CMU-CS-90-190 (1990), section 1.4.
    """
    n = b.shape[axis]
    if n < 2:
        return b

    def part(x: Any, *bounds: Any) -> Any:
        return x[along(axis, slice(*bounds))]

    first_a, second_a = part(a, 0, n - 1, 2), part(a, 1, n, 2)
    first_b, second_b = part(b, 0, n - 1, 2), part(b, 1, n, 2)
    second = _recurrence(xp, second_a * first_a, second_a * first_b + second_b, axis)
    later = part(a, 2, n, 2) * part(second, 0, (n - 1) // 2) + part(b, 2, n, 2)
    first = xp.concat([part(b, 0, 1), later], axis=axis)
    pairs = xp.stack([part(first, 0, n // 2), second], axis=axis + 1)
    merged = xp.reshape(pairs, (*b.shape[:axis], n - n % 2, *b.shape[axis + 1 :]))
    return xp.concat([merged, part(first, n // 2, None)], axis=axis) if n % 2 else merged


class _CumulativeProd(Rule):
    """yₖ = xₖ·yₖ₋₁, so dyₖ = xₖ·dyₖ₋₁ + dxₖ·yₖ₋₁: no division, right where some x are zero."""

    name = "cumulative_prod"

    def pull(self, argnums: Any, answer: Any, values: Any, kwargs: Any) -> Any:
        x, axis, initial, dtype = _cumulative(values, kwargs)

        def pull(xp: Any, g: Any) -> tuple[Any]:
            g = g[along(axis, slice(1, None))] if initial else g
            factors = x if dtype is None else xp.astype(x, dtype)
            # from the end: the cotangent of y at k is g at k plus x at k+1 times that of y at k+1
            back = xp.flip(xp.roll(factors, -1, axis=axis), axis=axis)
            reached = xp.flip(_recurrence(xp, back, xp.flip(g, axis=axis), axis), axis=axis)
            return (cast(xp, reached * _products_before(xp, factors, axis), x.dtype),)

        return pull

    def push(self, xp: Any, argnums: Any, tangents: Any, answer: Any, values: Any, kwargs: Any) -> Any:
        x, axis, initial, dtype = _cumulative(values, kwargs)
        t = tangents[0]
        if dtype is not None:
            x, t = xp.astype(x, dtype), xp.astype(t, dtype)
        moved = _recurrence(xp, x, t * _products_before(xp, x, axis), axis)
        if not initial:
            return moved
        return xp.concat([xp.zeros_like(answer[along(axis, slice(0, 1))]), moved], axis=axis)


def _cumulative(values: Any, kwargs: Any) -> tuple[Any, int, bool, Any]:
    x, axis = values[0], kwargs.get("axis")
    if not x.ndim:
        raise ShapeError(
            "xp.cumulative_prod needs an array of at least one dimension, got a number: "
            "xp.reshape(x, (1,)) makes an array of it."
        )
    axis = 0 if axis is None else axis % x.ndim
    return x, axis, kwargs.get("include_initial", False), kwargs.get("dtype")


def _cumsum(xp: Any, x: Any, **options: Any) -> Any:
    return xp.cumulative_sum(x, **options)


def _cumsum_back(
    xp: Any, g: Any, shape: Any, axis: Any = None, include_initial: bool = False, **options: Any
) -> Any:
    axis = 0 if axis is None or not shape else axis % len(shape)
    back = xp.flip(xp.cumulative_sum(xp.flip(g, axis=axis), axis=axis), axis=axis)
    if include_initial:
        back = back[along(axis, slice(1, None))]
    return back if shape else xp.reshape(back, shape)


REDUCTIONS = (
    Linear("sum", lambda xp, x, **kw: xp.sum(x, **kw), _spread),
    Linear("mean", lambda xp, x, **kw: xp.mean(x, **kw), _mean_back),
    Linear("cumulative_sum", _cumsum, _cumsum_back),
    _CumulativeProd(),
    Reduction("max", _extreme),
    Reduction("min", _extreme),
    Reduction("var", _var),
    Reduction("std", _std),
    Reduction("prod", _prod),
)
