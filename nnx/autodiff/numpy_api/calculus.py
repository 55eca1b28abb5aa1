# ruff: noqa: D103 (each is NumPy's function of that name)
"""Differences, integrals and interpolation of sampled functions."""

from __future__ import annotations

import math
from typing import Any

from nnx.autodiff.array import plain
from nnx.autodiff.families import along
from nnx.autodiff.numpy_api.table import array, arrays, axes_of, axis_of, cast, flat, stands_for


@stands_for("diff")
def diff(xp: Any, a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    a = array(xp, a)
    axis = axis_of("diff", axis, a)
    ends = []
    for end in (prepend, append):
        if end is not None:
            end = array(xp, end, a)
            if end.ndim == 0:
                end = xp.broadcast_to(end, tuple(1 if i == axis else k for i, k in enumerate(a.shape)))
        ends.append(end)
    return xp.diff(a, axis=axis, n=n, prepend=ends[0], append=ends[1]) if n else a


@stands_for("ediff1d")
def ediff1d(xp: Any, ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    x = flat(xp, array(xp, ary))
    parts = [to_begin, x[1:] - x[:-1], to_end]
    found = [cast(xp, flat(xp, array(xp, part, x)), x.dtype) for part in parts if part is not None]
    return xp.concat(found, axis=0) if len(found) > 1 else found[0]


@stands_for("trapezoid", "trapz")
def trapezoid(xp: Any, y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    y, given = arrays(xp, y, 0.0 if x is None else x)
    axis = axis_of("trapezoid", axis, y)
    if x is None:
        width = dx
    elif given.ndim == 1:
        width = xp.reshape(given[1:] - given[:-1], tuple(-1 if i == axis else 1 for i in range(y.ndim)))
    else:
        width = xp.diff(given, axis=axis)
    y = width * (y[along(axis, slice(1, None))] + y[along(axis, slice(None, -1))]) / 2.0
    return xp.sum(y, axis=axis)


@stands_for("gradient")
def gradient(xp: Any, f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    f = array(xp, f)
    axes = axes_of("gradient", axis, f)
    if len(varargs) not in (0, 1, len(axes)):
        raise TypeError("invalid number of arguments")
    steps = list(varargs) * (len(axes) if len(varargs) == 1 else 1) or [1.0] * len(axes)
    out = tuple(
        _gradient_along(
            xp,
            f,
            array(xp, step, f) if type(step) in (list, tuple) else step,
            i,
            edge_order,
        )
        for step, i in zip(steps, axes, strict=True)
    )
    return out[0] if len(out) == 1 else out


def _gradient_along(xp: Any, f: Any, step: Any, axis: int, edge_order: int) -> Any:
    """Second-order central differences inside, one-sided ones at both ends."""
    n = f.shape[axis]
    if n < edge_order + 1:
        raise ValueError("np.gradient: the array is too small; edge_order + 1 entries are needed.")

    def part(start: int, stop: int | None) -> Any:
        return f[along(axis, slice(start, stop))]

    def shaped(d: Any) -> Any:
        return xp.reshape(d, tuple(-1 if i == axis else 1 for i in range(f.ndim)))

    if getattr(step, "ndim", 0) == 0:
        inside = (part(2, None) - part(0, -2)) / (2.0 * step)
        first = last = (step, step)
    else:
        d = step[1:] - step[:-1]
        h, k = d[:-1], d[1:]
        inside = (
            shaped(-k / (h * (h + k))) * part(0, -2)
            + shaped((k - h) / (h * k)) * part(1, -1)
            + shaped(h / (k * (h + k))) * part(2, None)
        )
        first, last = (d[0], d[1] if n > 2 else d[0]), (d[-1], d[-2] if n > 2 else d[-1])
    if edge_order == 1:
        left = (part(1, 2) - part(0, 1)) / first[0]
        right = (part(n - 1, n) - part(n - 2, n - 1)) / last[0]
    else:
        left = _one_sided(*first, *(part(i, i + 1) for i in range(3)))
        right = -_one_sided(*last, *(part(n - i - 1, n - i) for i in range(3)))
    return cast(xp, xp.concat([left, inside, right], axis=axis), f.dtype)


def _one_sided(h: Any, k: Any, f0: Any, f1: Any, f2: Any) -> Any:
    return -(2.0 * h + k) / (h * (h + k)) * f0 + (h + k) / (h * k) * f1 - h / (k * (h + k)) * f2


@stands_for("interp")
def interp(
    namespace: Any, x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Any:
    space = namespace
    x, xp, fp = arrays(space, x, xp, fp)
    if period is not None:
        x, xp = x % period, xp % period
        order = space.base.argsort(plain(xp))
        xp, fp = space.take(xp, order, axis=0), space.take(fp, order, axis=0)
        xp = space.concat([xp[-1:] - period, xp, xp[:1] + period], axis=0)
        fp = space.concat([fp[-1:], fp, fp[:1]], axis=0)
    n = xp.shape[0]
    if n == 1:
        inside = fp[0] + 0.0 * x
    else:
        base = space.base
        where = base.searchsorted(plain(xp), base.reshape(plain(x), (-1,)), side="right")
        low = base.clip(where - 1, 0, n - 2)
        x0, x1, f0, f1 = (space.reshape(space.take(v, i, axis=0), x.shape) for v, i in
                          ((xp, low), (xp, low + 1), (fp, low), (fp, low + 1)))  # fmt: skip
        gap = x1 - x0
        none = plain(gap) == 0.0
        inside = f0 + (f1 - f0) / space.where(none, 1.0, gap) * (x - x0)
    inside = space.where(
        plain(x) > plain(xp[-1]), fp[-1] if right is None or period is not None else right, inside
    )
    return space.where(plain(x) < plain(xp[0]), fp[0] if left is None or period is not None else left, inside)


@stands_for("unwrap")
def unwrap(xp: Any, p: Any, discont: Any = None, axis: int = -1, *, period: float = 2.0 * math.pi) -> Any:
    """Whole periods are added, so the derivative is that of ``p``."""
    base, axis = xp.base, axis_of("unwrap", axis, p)
    jumps = base.diff(plain(p), axis=axis)
    half = period / 2.0
    smallest = (jumps + half) % period - half
    smallest = base.where((smallest == -half) & (jumps > 0), base.full_like(smallest, half), smallest)
    steps = smallest - jumps
    limit = half if discont is None else discont
    steps = base.where(base.abs(jumps) < limit, base.zeros_like(steps), steps)
    rest = p[along(axis, slice(1, None))] + base.cumulative_sum(steps, axis=axis)
    return xp.concat([p[along(axis, slice(0, 1))], rest], axis=axis)
