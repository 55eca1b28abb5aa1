"""Derivatives that automatic differentiation finds infinite or NaN, though the function is finite there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnx.backend import device_of, namespace
from nnx.optimizers.descent.box import Box
from nnx.optimizers.functions.differences import Differences
from nnx.optimizers.problem import read, read_vector

Array = Any
Function = Callable[[Array], Array]

#: how far a derivative may be from a difference, and its rounding errors from those of one operation
_SHARE, _OPERATIONS = 1e-3, 100.0


def mended(
    f: Function, w: Array, f0: Array, broken: Array, absorbed: Array, eps: float, box: Box | None = None
) -> Array | None:
    r"""The derivative ∂f/∂w, (\*f's, n), with finite entries; None where differences are not finite either.

    That is ``absorbed``, the derivative with 0·∞ = 0 (see :func:`nnx.autodiff.zeros_absorb`), if it is
    :func:`confirmed` by differences. Else each entry of ``broken`` that is not finite is that of a difference
    of its column, at first a central one. ``f`` owns each vector that it is given.
    """
    if confirmed(f, w, f0, lambda v: absorbed @ v, lambda v: abs(absorbed) @ abs(v), eps, box):
        return absorbed
    xp = namespace(w)
    backward = Differences(abs_step=-Differences().steps(w, eps))
    for differences in (Differences("3-point"), Differences(), backward):
        finite = xp.isfinite(broken)
        per_column = xp.all(xp.reshape(finite, (-1, w.shape[0])), axis=0)
        bad = [i for i, whole in enumerate(read_vector(xp.astype(per_column, w.dtype))) if not whole]
        if not bad:
            return broken
        found = differences.within(box).columns(f, w, f0, eps, bad)
        columns = [broken[..., i] for i in range(w.shape[0])]
        for k, i in enumerate(bad):
            columns[i] = xp.where(finite[..., i], columns[i], found[..., k])
        broken = xp.stack(columns, axis=-1)
    return broken if read(xp.astype(xp.all(xp.isfinite(broken)), w.dtype))[0] else None


def confirmed(
    f: Function, w: Array, f0: Array, along: Function, size: Function, eps: float, box: Box | None
) -> bool:
    """Whether ``along(v)``, the derivative along v, is what a difference of ``f`` along one v finds.

    Where that of w and w + v does not agree, as next to a minimum, where the curvature is most of it, one
    with w + v/2 as well decides: (−3f(w) + 4f(w + v/2) − f(w + v)). ``size(v)`` bounds the terms that
    ``along`` sums up. Within ``box`` nothing is called outside.
    """
    xp, plain = namespace(w), Differences().within(box)
    # unlike shares of each step: no terms cancel by design
    golden = 0.6180339887 * xp.arange(1, w.shape[0] + 1, dtype=w.dtype, device=device_of(w))
    v = plain.bounded_steps(w, eps) * (0.5 + 0.5 * (golden - xp.floor(golden)))
    end, predicted, noise = f(w + v), along(v), _OPERATIONS * eps

    def agrees(actual: Array, largest: Array, bend: Array) -> bool:
        allowed = _SHARE * (size(v) + bend) + noise * xp.max(largest)
        good = xp.isfinite(predicted) & (abs(actual - predicted) <= allowed)
        return bool(read(xp.astype(xp.all(good), w.dtype))[0])

    if agrees(end - f0, abs(f0), xp.zeros_like(f0)):
        return True
    middle = f(w + 0.5 * v)
    # what is left is the change of the curvature along v, which is a small part of the curvature
    bend = abs(f0 - 2.0 * middle + end)
    largest = xp.maximum(abs(f0), xp.maximum(abs(middle), abs(end)))
    return agrees(4.0 * middle - 3.0 * f0 - end, largest, bend)
