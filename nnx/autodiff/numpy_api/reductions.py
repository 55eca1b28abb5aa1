# ruff: noqa: D103 (each is NumPy's function of that name)
"""Sums, products, extremes and moments with NumPy's arguments."""

from __future__ import annotations

import math
import operator
from typing import Any

from nnx.autodiff.array import plain
from nnx.autodiff.families import is_complex, normal_axes
from nnx.autodiff.numpy_api.shapes import at_least_1d
from nnx.autodiff.numpy_api.table import (
    along_axis,
    array,
    axis_of,
    cast,
    refuse,
    several,
    stands_for,
)


def tupled(axis: Any) -> Any:
    """NumPy's axis (a list, too) as None, an int or a tuple."""
    return tuple(axis) if type(axis) is list else axis


def is_everywhere(where: Any) -> bool:
    """Whether the argument ``where=`` chooses all."""
    return where is True or where is None


def _over_all(name: str, neutral: float, joined: Any) -> Any:
    """np.sum or np.prod: entries that ``where=`` leaves out count as ``neutral``; ``initial=`` is added."""

    def over_all(
        xp: Any, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False,
        initial: Any = None, where: Any = True,
    ) -> Any:  # fmt: skip
        a = cast(xp, array(xp, a), dtype)
        if not is_everywhere(where):
            a = xp.where(plain(where), a, neutral)
        y = getattr(xp, name)(a, axis=tupled(axis), keepdims=keepdims)
        return y if initial is None else joined(y, initial)

    return stands_for(name)(over_all)


sum_, prod = _over_all("sum", 0.0, operator.add), _over_all("prod", 1.0, operator.mul)


def _extreme(name: str, larger: str) -> Any:
    def extreme(
        xp: Any, a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, initial: Any = None,
        where: Any = True,
    ) -> Any:  # fmt: skip
        a = array(xp, a)
        if not is_everywhere(where):
            if initial is None:
                raise ValueError(f"np.{name} with where= needs initial=, as in NumPy.")
            a = xp.where(plain(where), a, initial)
        y = getattr(xp, name)(a, axis=tupled(axis), keepdims=keepdims)
        return y if initial is None else getattr(xp, larger)(y, xp.full_like(y, initial))

    return stands_for(name, "a" + name)(extreme)


max_, min_ = _extreme("max", "maximum"), _extreme("min", "minimum")


def count(xp: Any, a: Any, axis: Any, where: Any, keepdims: bool) -> Any:
    """How many entries are reduced: a Python int, or a plain array if ``where`` is given."""
    if is_everywhere(where):
        return math.prod(a.shape[i] for i in normal_axes(axis, a.ndim))
    chosen = xp.base.broadcast_to(xp.base.asarray(plain(where)), a.shape)
    return xp.base.sum(xp.base.astype(chosen, plain(a).real.dtype), axis=axis, keepdims=keepdims)


@stands_for("mean")
def mean(
    xp: Any, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False,
    where: Any = True,
) -> Any:  # fmt: skip
    a, axis = cast(xp, array(xp, a), dtype), tupled(axis)
    if is_everywhere(where):
        return xp.mean(a, axis=axis, keepdims=keepdims)
    return sum_(xp, a, axis, keepdims=keepdims, where=where) / count(xp, a, axis, where, keepdims)


@stands_for("var")
def var(
    xp: Any, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0,
    keepdims: bool = False, *, where: Any = True, mean: Any = None, correction: Any = None,
) -> Any:  # fmt: skip
    a, axis = cast(xp, array(xp, a), dtype), tupled(axis)
    ddof = ddof if correction is None else correction
    if is_everywhere(where) and mean is None and not is_complex(xp, a):
        return xp.var(a, axis=axis, correction=ddof, keepdims=keepdims)
    return _moment(xp, a, axis, ddof, keepdims, where, mean)


@stands_for("std")
def std(
    xp: Any, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0,
    keepdims: bool = False, *, where: Any = True, mean: Any = None, correction: Any = None,
) -> Any:  # fmt: skip
    a, axis = cast(xp, array(xp, a), dtype), tupled(axis)
    ddof = ddof if correction is None else correction
    if is_everywhere(where) and mean is None and not is_complex(xp, a):
        return xp.std(a, axis=axis, correction=ddof, keepdims=keepdims)
    return xp.sqrt(_moment(xp, a, axis, ddof, keepdims, where, mean))


def _moment(xp: Any, a: Any, axis: Any, ddof: Any, keepdims: bool, where: Any, centre: Any) -> Any:
    if centre is None:
        centre = mean(xp, a, axis, keepdims=True, where=where)
    d = a - centre
    square = xp.real(d) ** 2 + xp.imag(d) ** 2 if is_complex(xp, d) else d * d
    return sum_(xp, square, axis, keepdims=keepdims, where=where) / (
        count(xp, a, axis, where, keepdims) - ddof
    )


@stands_for("ptp")
def ptp(xp: Any, a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
    return max_(xp, a, axis, keepdims=keepdims) - min_(xp, a, axis, keepdims=keepdims)


def running(name: str, standard: str, filled: Any = lambda xp, a: a) -> None:
    """np.cumsum and its like; ``filled(xp, a)`` replaces the entries that do not count."""

    def cumulative(xp: Any, a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        a = cast(xp, filled(xp, array(xp, a)), dtype)
        a, axis = along_axis(name, xp, at_least_1d(xp, a), axis)
        return getattr(xp, standard)(a, axis=axis)

    stands_for(name)(cumulative)


running("cumsum", "cumulative_sum")
running("cumprod", "cumulative_prod")


def _cumulative(name: str) -> Any:
    def cumulative(
        xp: Any, x: Any, /, *, axis: Any = None, dtype: Any = None, out: Any = None,
        include_initial: bool = False,
    ) -> Any:  # fmt: skip
        if axis is None and x.ndim != 1:
            raise ValueError(f"np.{name} needs axis= for an array of {x.ndim} dimensions.")
        axis = axis_of(name, 0 if axis is None else axis, x)
        return getattr(xp, name)(cast(xp, x, dtype), axis=axis, include_initial=include_initial)

    return stands_for(name)(cumulative)


cumulative_sum, cumulative_prod = _cumulative("cumulative_sum"), _cumulative("cumulative_prod")


@stands_for("logsumexp")
def logsumexp(xp: Any, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The logarithm of Σ exp x: what ``np.logaddexp.reduce`` computes."""
    top = xp.base.max(plain(x), axis=axis, keepdims=True)
    top = xp.base.where(xp.base.isfinite(top), top, xp.base.zeros_like(top))
    y = xp.sum(xp.exp(x - top), axis=axis, keepdims=True)
    none = plain(y) == 0.0  # all are −∞
    y = xp.log(xp.where(none, 1.0, y)) + xp.base.where(none, -math.inf, top)
    return y if keepdims else xp.squeeze(y, axis=normal_axes(axis, x.ndim))


@stands_for("apply_over_axes")
def apply_over_axes(xp: Any, func: Any, a: Any, axes: Any) -> Any:
    for axis in several(axes):
        axis = axis_of("apply_over_axes", axis, a)
        y = func(a, axis)
        a = y if y.ndim == a.ndim else xp.expand_dims(y, axis=axis)
    return a


@stands_for("apply_along_axis")
def apply_along_axis(xp: Any, func1d: Any, axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    axis = axis_of("apply_along_axis", axis, arr)
    if arr.ndim == 1:
        return func1d(arr, *args, **kwargs)
    lines = xp.moveaxis(arr, axis, -1)
    lead = lines.shape[:-1]
    if 0 in lead:
        refuse("apply_along_axis", "the array is empty", "Call the function itself.")
    rows = xp.reshape(lines, (-1, lines.shape[-1]))
    y = xp.stack([array(xp, func1d(rows[i, :], *args, **kwargs), rows) for i in range(rows.shape[0])])
    inner = y.shape[1:]
    y = xp.reshape(y, (*lead, *inner))
    n = len(lead)
    order = (*range(axis), *range(n, n + len(inner)), *range(axis, n))
    return xp.permute_dims(y, order)
