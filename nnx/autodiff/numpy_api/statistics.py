# ruff: noqa: D103 (each is NumPy's function of that name)
"""Order statistics, weighted means, covariances and histograms."""

from __future__ import annotations

import math
from typing import Any

from nnx.autodiff.array import is_traced, plain
from nnx.autodiff.families import is_complex
from nnx.autodiff.numpy_api.building import linspace
from nnx.autodiff.numpy_api.choosing import diagonal
from nnx.autodiff.numpy_api.table import (
    array,
    arrays,
    axes_of,
    cast,
    double,
    first_array,
    refuse,
    stands_for,
)


def _lines(name: str, xp: Any, a: Any, axis: Any) -> tuple[Any, tuple[int, ...]]:
    """``a`` with the reduced axes joined at the end, and the shape of the result with keepdims."""
    axes = axes_of(name, axis, a)
    rest = tuple(i for i in range(a.ndim) if i not in axes)
    lead = tuple(a.shape[i] for i in rest)
    kept = tuple(1 if i in axes else n for i, n in enumerate(a.shape))
    n = math.prod(a.shape[i] for i in axes)
    return xp.reshape(xp.permute_dims(a, (*rest, *axes)), (*lead, n)), kept


@stands_for("median")
def median(
    xp: Any, a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False
) -> Any:
    return _quantile(xp, a, 0.5, axis, "linear", keepdims, None, "median")


@stands_for("nanmedian")
def nanmedian(
    xp: Any, a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False
) -> Any:
    return _quantile(xp, a, 0.5, axis, "linear", keepdims, None, "nanmedian")


@stands_for("percentile")
def percentile(
    xp: Any, a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False,
    method: str = "linear", keepdims: bool = False, *, weights: Any = None,
) -> Any:  # fmt: skip
    return _quantile(xp, a, _hundredth(xp, q, a), axis, method, keepdims, weights, "percentile")


@stands_for("nanpercentile")
def nanpercentile(
    xp: Any, a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False,
    method: str = "linear", keepdims: bool = False, *, weights: Any = None,
) -> Any:  # fmt: skip
    return _quantile(xp, a, _hundredth(xp, q, a), axis, method, keepdims, weights, "nanpercentile")


def _hundredth(xp: Any, q: Any, like: Any) -> Any:
    return array(xp, q, like) / 100.0 if hasattr(q, "shape") or type(q) in (list, tuple) else q / 100.0


@stands_for("quantile")
def quantile(
    xp: Any, a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False,
    method: str = "linear", keepdims: bool = False, *, weights: Any = None,
) -> Any:  # fmt: skip
    return _quantile(xp, a, q, axis, method, keepdims, weights, "quantile")


@stands_for("nanquantile")
def nanquantile(
    xp: Any, a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False,
    method: str = "linear", keepdims: bool = False, *, weights: Any = None,
) -> Any:  # fmt: skip
    return _quantile(xp, a, q, axis, method, keepdims, weights, "nanquantile")


_METHODS = ("linear", "lower", "higher", "midpoint")


def _quantile(
    xp: Any, a: Any, q: Any, axis: Any, method: str, keepdims: bool, weights: Any, name: str
) -> Any:
    if weights is not None:
        refuse(name, "weights= has no derivative in nnx", "Sort and interpolate the weighted sum yourself.")
    if method not in _METHODS:
        refuse(name, f"method={method!r} has no derivative in nnx", f"Take one of {', '.join(_METHODS)}.")
    a = array(xp, a)
    lines, kept = _lines(name, xp, a, axis)
    values = xp.sort(lines, axis=-1)  # NaN comes last
    missing = xp.base.isnan(plain(values))
    q = array(xp, q, a)
    q_shape, q = q.shape, xp.reshape(q, (-1, *(1,) * lines.ndim))
    n: Any = values.shape[-1]
    if name.startswith("nan"):
        there = xp.base.astype(xp.base.logical_not(missing), xp.base.int64)
        n = xp.base.sum(there, axis=-1, keepdims=True)
        n = xp.base.where(n == 0, xp.base.ones_like(n), n)
    place = q * xp.astype(n - 1, q.dtype) if hasattr(n, "shape") else q * float(n - 1)
    low = xp.astype(xp.base.floor(plain(place)), xp.base.int64)
    share = place - xp.astype(low, place.dtype)
    high = xp.base.where(plain(share) > 0, low + 1, low)
    first, second = (_at(xp, values, index) for index in (low, high))
    share = cast(xp, share, a.dtype) if not q_shape else share
    if method == "linear":
        y = xp.where(share < 0.5, first + (second - first) * share, second - (second - first) * (1.0 - share))
    else:
        y = first if method == "lower" else second if method == "higher" else 0.5 * (first + second)
    if not name.startswith("nan"):
        y = xp.where(xp.base.any(missing, axis=-1, keepdims=True), float("nan"), y)
    shape = kept if keepdims else lines.shape[:-1]
    return xp.reshape(y, (*q_shape, *shape))


def _at(xp: Any, values: Any, index: Any) -> Any:
    """``values`` (..., n) at ``index`` (k, ..., 1), or (k, 1, ..., 1) for all lines alike."""
    shape = (index.shape[0], *values.shape[:-1], 1)
    whole = xp.broadcast_to(xp.expand_dims(values, axis=0), (index.shape[0], *values.shape))
    return xp.take_along_axis(whole, xp.base.broadcast_to(index, shape), axis=-1)


@stands_for("average")
def average(
    xp: Any, a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: bool = False
) -> Any:
    a = array(xp, a)
    axes = axes_of("average", axis, a)
    if weights is None:
        y = xp.mean(a, axis=axes, keepdims=keepdims)
        total = xp.zeros_like(y) + float(a.size) / max(y.size, 1)
    else:
        w = array(xp, weights, a)
        if w.shape != a.shape:
            if axis is None or w.shape != tuple(a.shape[i] for i in axes):
                raise ValueError(f"np.average: weights of shape {w.shape} do not fit axis={axis}.")
            order = tuple(sorted(range(w.ndim), key=lambda k: axes[k]))
            wide = tuple(a.shape[i] if i in axes else 1 for i in range(a.ndim))
            w = xp.broadcast_to(xp.reshape(xp.permute_dims(w, order), wide), a.shape)
        total = xp.sum(w, axis=axes, keepdims=keepdims)
        y = xp.sum(a * w, axis=axes, keepdims=keepdims) / total
    return (y, total) if returned else y


@stands_for("cov")
def cov(
    xp: Any, m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: Any = None,
    fweights: Any = None, aweights: Any = None, *, dtype: Any = None,
) -> Any:  # fmt: skip
    x = _variables(xp, m, y, rowvar)
    x = double(xp, x) if dtype is None else cast(xp, x, dtype)
    ddof = (0 if bias else 1) if ddof is None else ddof
    w = None
    for weights in (fweights, aweights):
        if weights is not None:
            given = cast(xp, array(xp, weights, x), plain(x).real.dtype)
            w = given if w is None else w * given
    if w is None:
        norm: Any = x.shape[1] - ddof
        d = x - xp.mean(x, axis=1, keepdims=True)
        other = d
    else:
        total = xp.sum(w)
        d = x - xp.expand_dims(x @ w, axis=1) / total
        other = d * w
        share = ddof * xp.sum(w * array(xp, aweights, x)) / total if aweights is not None else ddof
        norm = total - share
    other = xp.conj(other) if is_complex(xp, x) else other
    c = d @ xp.matrix_transpose(other) / norm
    return xp.reshape(c, ()) if c.shape == (1, 1) else c


def _variables(xp: Any, m: Any, y: Any, rowvar: bool) -> Any:
    """The variables as rows."""
    parts = []
    for part in (m, y):
        if part is not None:
            x = array(xp, part, first_array((m, y)))
            x = xp.reshape(x, (1, -1)) if x.ndim < 2 else x
            parts.append(x if rowvar or (x.shape[0] == 1 and part is y) else _rows(xp, x, part))
    return xp.concat(parts, axis=0) if len(parts) > 1 else parts[0]


def _rows(xp: Any, x: Any, given: Any) -> Any:
    return x if getattr(given, "ndim", 2) < 2 else xp.matrix_transpose(x)


@stands_for("corrcoef")
def corrcoef(xp: Any, x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    c = cov(xp, x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return c / c
    d = diagonal(xp, c)
    deviation = xp.sqrt(xp.real(d) if is_complex(xp, d) else d)
    return c / xp.expand_dims(deviation, axis=1) / deviation


@stands_for("histogram")
def histogram(
    xp: Any, a: Any, bins: Any = 10, range: Any = None, density: bool | None = None, weights: Any = None
) -> Any:
    if is_traced(weights):
        refuse("histogram", "weights= are summed by bin", "Write sums of np.where(inside, weights, 0).")
    edges = histogram_bin_edges(xp, a, bins, range, weights)
    inner = plain(edges)
    counts = xp.base.histogram(plain(a), bins=inner, weights=weights)[0]
    if not density:
        return counts, edges
    return counts / double(xp, xp.diff(edges)) / xp.base.sum(counts), edges


@stands_for("histogram_bin_edges")
def histogram_bin_edges(xp: Any, a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:
    if type(bins) is str:
        refuse("histogram", f"bins={bins!r} chooses the number of bins by value", "Say how many bins.")
    if hasattr(bins, "shape") or type(bins) in (list, tuple):
        return array(xp, bins, a)
    low, high = (xp.min(a), xp.max(a)) if range is None else arrays(xp, *range)
    same = plain(low) == plain(high)
    low, high = xp.where(same, low - 0.5, low), xp.where(same, high + 0.5, high)
    return linspace(xp, low, high, bins + 1)


@stands_for("bincount")
def bincount(xp: Any, x: Any, weights: Any = None, minlength: int = 0) -> Any:
    index = plain(array(xp, x, weights))
    top = int(xp.base.max(index)) + 1 if index.shape[0] else 0
    if weights is None:
        return xp.base.bincount(index, minlength=minlength)
    weights = cast(xp, array(xp, weights, index), xp.base.float64)
    return xp.scatter_add(weights, index, max(top, minlength))
