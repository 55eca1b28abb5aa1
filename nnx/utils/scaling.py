"""Bringing features to one scale."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any

import numpy as np

from nnx.backend import adapter_of, device_of, given, namespace, to_numpy
from nnx.errors import AxisError, DataError, NotBuilt, ShapeError
from nnx.options import Number, truth
from nnx.utils.arguments import as_floating, row_count

Array = Any

_ORDER = Number(least=1.0, finite=False)


def normalize(x: Any, axis: int | tuple[int, ...] | None = -1, order: float = 2) -> Array:
    """Returns ``x`` divided by its norms along ``axis`` (None: all): each has norm 1; zeros stay zeros.

    The norm is (Σ abs(xᵢ)^order)^(1/order), ``order`` ≥ 1 or infinity (the largest magnitude). Whole numbers
    become floats of the current backend's type. Large numbers do not overflow. Raises
    :class:`nnx.errors.OptionError` for another ``order``, :class:`nnx.errors.AxisError` for an ``axis`` that
    ``x`` does not have and :class:`nnx.errors.DtypeError` where ``x`` is not real numbers.

    Source: Keras' ``utils.normalize``.

    >>> nnx.utils.normalize(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    _ORDER("normalize", "order", order)
    x = as_floating(given(x, "normalize: x", on_host=True))
    xp = namespace(x)
    axes = axis if isinstance(axis, tuple) else () if axis is None else (axis,)
    if not all(isinstance(a, Integral) and -x.ndim <= a < x.ndim for a in axes):
        raise AxisError(f"normalize: axis={axis!r} is none of an array of shape {tuple(x.shape)}.")
    if 0 in x.shape:
        return x
    # Scaled by the largest first: 1e30 squared is beyond float32.
    largest = xp.max(xp.abs(x), axis=axis, keepdims=True)
    x = x / xp.where(largest == 0.0, xp.ones_like(largest), largest)
    norm = xp.linalg.vector_norm(x, axis=axis, keepdims=True, ord=order)
    return x / xp.where(norm == 0.0, xp.ones_like(norm), norm)


class StandardScaler:
    """Standardisation: shifts each feature to mean 0 and divides it by its standard deviation.

        z = (x − mean) / scale,   scale = √(Σ(x − mean)²/n), or 1 for a constant feature

    Features are everything behind the first axis: (n, d) as usual, but also (n,) or (n, 28, 28). Fit on
    training data only, and transform everything with it. After ``fit`` there are ``mean_``, ``var_`` and
    ``scale_`` (float64, computed in blocks of rows, so that data larger than memory may come as a
    ``numpy.memmap`` or through ``partial_fit``) and ``n_samples_seen_``. ``with_mean=False`` does not shift,
    ``with_std=False`` does not divide; :class:`nnx.errors.OptionError` is raised for what is no bool.

    >>> scaler = nnx.utils.StandardScaler()
    >>> scaler.fit_transform(np.array([[1.0, 5.0], [3.0, 5.0]]))
    array([[-1.,  0.],
           [ 1.,  0.]])
    >>> scaler.mean_
    array([2., 5.])
    >>> scaler.inverse_transform(np.array([[1.0, 0.0]]))
    array([[3., 5.]])
    >>> parts = nnx.utils.StandardScaler().partial_fit(np.array([[1.0]])).partial_fit(np.array([[3.0]]))
    >>> parts.transform(np.array([[5.0]]))
    array([[3.]])
    >>> nnx.utils.StandardScaler().fit(np.array([[1.0], [3.0]])).mean_
    array([2.])

    Source: scikit-learn's class of this name; T. F. Chan, G. H. Golub, R. J. LeVeque, "Algorithms for
    computing the sample variance", The American Statistician 37 (1983), 242–247, for joining blocks.
    """

    def __init__(self, *, with_mean: bool = True, with_std: bool = True) -> None:
        self.with_mean = truth("StandardScaler", "with_mean", with_mean)
        self.with_std = truth("StandardScaler", "with_std", with_std)
        self.n_samples_seen_ = 0

    def fit(self, x: Any, y: Any = None) -> StandardScaler:
        """Returns itself after taking mean and standard deviation from ``x``; ``y`` is ignored.

        Raises :class:`nnx.errors.DataError` where ``x`` is empty or holds NaN or infinity, and
        :class:`nnx.errors.DtypeError` where it does not hold real numbers.
        """
        return self._take(x, 0)

    def partial_fit(self, x: Any, y: Any = None) -> StandardScaler:
        """Returns itself after taking in more rows; raises as :meth:`fit` does."""
        return self._take(x, self.n_samples_seen_)

    def _take(self, x: Any, seen: int) -> StandardScaler:
        """Returns itself after adding ``x`` to ``seen`` rows; an error leaves what was fitted before."""
        x = given(x, "StandardScaler: x", on_host=True)
        rows, features = row_count(x), x.shape[1:]
        if rows == 0:
            raise DataError(f"StandardScaler: no rows to learn from (shape {tuple(x.shape)}).")
        if seen:
            self._must_fit(x)
        xp = namespace(x)
        like = {"dtype": xp.float64, "device": device_of(x)}
        mean = self._to(x, self.mean_, xp.float64) if seen else xp.zeros(features, **like)
        squares = self._to(x, self.var_, xp.float64) * float(seen) if seen else xp.zeros(features, **like)
        step = max(1, 2**20 // max(1, math.prod(features)))
        for start in range(0, rows, step):
            block = xp.astype(x[start : min(start + step, rows), ...], xp.float64)
            here = block.shape[0]
            own = xp.mean(block, axis=0)
            shift = own - mean
            mean = mean + shift * (here / (seen + here))
            squares = squares + xp.sum((block - own) ** 2, axis=0) + shift**2 * (seen * here / (seen + here))
            seen += here
        self._store(xp, mean, squares / float(seen), seen)
        return self

    def transform(self, x: Any) -> Array:
        """Returns ``x`` standardised, in its own floating-point type (integers: the current backend's).

        Raises :class:`nnx.errors.NotBuilt` before ``fit`` and :class:`nnx.errors.ShapeError` where the
        features are not those that were fitted.
        """
        x = self._ready(x)
        if self.with_mean:
            x = x - self._to(x, self.mean_, x.dtype)
        return x / self._to(x, self.scale_, x.dtype)

    def fit_transform(self, x: Any, y: Any = None) -> Array:
        """Returns ``fit(x).transform(x)``."""
        return self.fit(x).transform(x)

    def inverse_transform(self, x: Any) -> Array:
        """Returns the data that :meth:`transform` turned into ``x``; raises as it does."""
        x = self._ready(x)
        x = x * self._to(x, self.scale_, x.dtype)
        return x + self._to(x, self.mean_, x.dtype) if self.with_mean else x

    def __repr__(self) -> str:
        return f"StandardScaler(with_mean={self.with_mean}, with_std={self.with_std})"

    def _store(self, xp: Any, mean: Array, var: Array, seen: int) -> None:
        bad = np.argwhere(~np.isfinite(to_numpy(mean) + to_numpy(var)))
        if len(bad):
            place = ", ".join(str(i) for i in bad[0])
            raise DataError(
                f"StandardScaler: feature [{place}] holds NaN, infinity or numbers too large to square "
                f"({len(bad)} such features). Clean the data first."
            )
        self.n_samples_seen_, self.mean_, self.var_ = seen, mean, var
        # What rounding alone can make of a constant feature (scikit-learn's bound).
        eps = 2.0**-52
        constant = var <= seen * eps * var + (seen * eps * mean) ** 2
        one = xp.ones_like(var)
        self.scale_ = xp.where(constant, one, xp.sqrt(var)) if self.with_std else one

    def _ready(self, x: Any) -> Array:
        if not self.n_samples_seen_:
            raise NotBuilt("StandardScaler was asked to transform before it was fitted: call fit(x) first.")
        x = given(x, "StandardScaler: x", on_host=True)
        self._must_fit(x)
        return as_floating(x)

    def _must_fit(self, x: Array) -> None:
        if x.ndim == 0 or tuple(x.shape[1:]) != tuple(self.mean_.shape):
            raise ShapeError(
                f"StandardScaler was fitted to rows of shape {tuple(self.mean_.shape)}, got an array of "
                f"shape {tuple(x.shape)}."
            )

    def _to(self, x: Array, statistic: Array, dtype: Any) -> Array:
        """A statistic in the library, on the device and in the type with which ``x`` calculates."""
        own, adapter = adapter_of(statistic), adapter_of(x)
        if own is not adapter:
            statistic = to_numpy(statistic)
        return adapter.asarray(statistic, dtype=dtype, device=device_of(x))
