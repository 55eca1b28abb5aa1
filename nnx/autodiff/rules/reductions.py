"""Rules of the reductions and the cumulative functions.

Ties: where several numbers are the maximum or minimum, each gets an equal share.
"""

from __future__ import annotations

from typing import Any

from nnx.autodiff.families import Linear, Reduction, along, keep_dims, normal_axes


def _spread(xp: Any, g: Any, shape: Any, axis: Any = None, keepdims: bool = False, **options: Any) -> Any:
    return xp.broadcast_to(keep_dims(xp, g, shape, axis, keepdims), shape)


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


def _var(xp: Any, x: Any, y: Any, axis: Any, correction: float = 0.0) -> Any:
    return (x - xp.mean(x, axis=axis, keepdims=True)) * (2.0 / (_count(x.shape, axis) - correction))


def _std(xp: Any, x: Any, y: Any, axis: Any, correction: float = 0.0) -> Any:
    centred = x - xp.mean(x, axis=axis, keepdims=True)
    return centred / (y * (_count(x.shape, axis) - correction))


def _prod(xp: Any, x: Any, y: Any, axis: Any, dtype: Any = None) -> Any:
    """The product of all the others, also where some are zero: exclusive products from both ends."""
    axes = normal_axes(axis, x.ndim)
    rest = tuple(a for a in range(x.ndim) if a not in axes)
    order = rest + axes
    lead = tuple(x.shape[a] for a in rest)
    flat = xp.reshape(xp.permute_dims(x, order), (*lead, _count(x.shape, axis)))
    n = flat.shape[-1]
    one = xp.ones_like(flat[..., :1]) if n else flat
    parts = [flat[..., i : i + 1] for i in range(n)]
    before, after = [one], [one]
    for i in range(n - 1):
        before.append(before[-1] * parts[i])
        after.append(after[-1] * parts[n - 1 - i])
    others = xp.concat([b * a for b, a in zip(before, reversed(after), strict=True)], axis=-1) if n else flat
    back = tuple(order.index(a) for a in range(x.ndim))
    return xp.permute_dims(xp.reshape(others, tuple(x.shape[a] for a in order)), back)


def _cumsum(xp: Any, x: Any, axis: Any = None, include_initial: bool = False, **options: Any) -> Any:
    return xp.cumulative_sum(x, axis=axis, include_initial=include_initial)


def _cumsum_back(
    xp: Any, g: Any, shape: Any, axis: Any = None, include_initial: bool = False, **options: Any
) -> Any:
    axis = 0 if axis is None else axis % len(shape)
    back = xp.flip(xp.cumulative_sum(xp.flip(g, axis=axis), axis=axis), axis=axis)
    if include_initial:
        back = back[along(axis, slice(1, None))]
    return back


REDUCTIONS = (
    Linear("sum", lambda xp, x, **kw: xp.sum(x, **kw), _spread),
    Linear("mean", lambda xp, x, **kw: xp.mean(x, **kw), _mean_back),
    Linear("cumulative_sum", _cumsum, _cumsum_back),
    Reduction("max", _extreme),
    Reduction("min", _extreme),
    Reduction("var", _var),
    Reduction("std", _std),
    Reduction("prod", _prod),
)
