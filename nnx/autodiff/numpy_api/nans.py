# ruff: noqa: D103 (each is NumPy's function of that name)
"""Reductions that leave out NaN; the gradient of a NaN entry is zero."""

from __future__ import annotations

from typing import Any

from nnx.autodiff.array import plain
from nnx.autodiff.numpy_api.reductions import (
    count,
    is_everywhere,
    max_,
    mean,
    min_,
    prod,
    running,
    std,
    sum_,
    tupled,
    var,
)
from nnx.autodiff.numpy_api.table import array, stands_for


def _valid(xp: Any, a: Any, where: Any = True) -> Any:
    """Where ``a`` is not NaN (and ``where`` is true), as a plain array."""
    found = xp.base.logical_not(xp.base.isnan(plain(a)))
    return found if is_everywhere(where) else xp.base.logical_and(found, xp.base.asarray(plain(where)))


def _filled(xp: Any, a: Any, value: float) -> Any:
    return xp.where(xp.isnan(a), value, a)


@stands_for("nansum")
def nansum(
    xp: Any, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False,
    initial: Any = None, where: Any = True,
) -> Any:  # fmt: skip
    return sum_(xp, _filled(xp, a, 0.0), axis, dtype, None, keepdims, initial, where)


@stands_for("nanprod")
def nanprod(
    xp: Any, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False,
    initial: Any = None, where: Any = True,
) -> Any:  # fmt: skip
    return prod(xp, _filled(xp, a, 1.0), axis, dtype, None, keepdims, initial, where)


running("nancumsum", "cumulative_sum", lambda xp, a: _filled(xp, a, 0.0))
running("nancumprod", "cumulative_prod", lambda xp, a: _filled(xp, a, 1.0))


def _extreme(name: str, reduction: Any, worst: float) -> Any:
    def extreme(
        xp: Any, a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, initial: Any = None,
        where: Any = True,
    ) -> Any:  # fmt: skip
        y = reduction(xp, _filled(xp, a, worst), axis, None, keepdims, initial, where)
        if initial is not None:
            return y
        there = xp.base.any(_valid(xp, a, where), axis=tupled(axis), keepdims=keepdims)
        return xp.where(there, y, float("nan"))

    return stands_for(name)(extreme)


nanmax = _extreme("nanmax", max_, float("-inf"))
nanmin = _extreme("nanmin", min_, float("inf"))


def _moment(name: str, reduction: Any) -> Any:
    def moment(
        xp: Any, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0,
        keepdims: bool = False, *, where: Any = True, mean: Any = None, correction: Any = None,
    ) -> Any:  # fmt: skip
        ddof = ddof if correction is None else correction
        chosen = _valid(xp, a, where)
        y = reduction(xp, _filled(xp, a, 0.0), axis, dtype, None, ddof, keepdims, where=chosen, mean=mean)
        enough = count(xp, a, tupled(axis), chosen, keepdims) > ddof
        return xp.where(enough, y, float("nan"))

    return stands_for(name)(moment)


nanvar, nanstd = _moment("nanvar", var), _moment("nanstd", std)


@stands_for("nanmean")
def nanmean(
    xp: Any, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False,
    where: Any = True,
) -> Any:  # fmt: skip
    a = array(xp, a)
    return mean(xp, _filled(xp, a, 0.0), axis, dtype, None, keepdims, _valid(xp, a, where))
