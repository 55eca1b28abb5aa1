"""Standard deviations and covariances of data: what residuals are divided by."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nnx.backend import adapter_of, device_of, namespace
from nnx.errors import OptionError, ShapeError
from nnx.optimizers.functions.data import numbers
from nnx.optimizers.problem import read

Array = Any


class Whitening:
    """Divides residuals, or the rows of a Jacobian, by the deviations ``sigma`` of the data ``y``.

    ``sigma`` is None (1), one number, one for each datum (∞: that datum has no weight), or their covariance
    (m, m), for which the inverse of its Cholesky factor takes the place of 1/σ. Where ``y`` is one number,
    m is what ``sigma`` says. ``ignored`` counts the data without weight.
    """

    def __init__(self, sigma: Any, y: Array) -> None:
        self.ignored = 0
        self._apply: Callable[[Array], Array] = lambda r: r
        if sigma is None:
            return
        own = numbers(sigma, "curve_fit: sigma")
        sigma = adapter_of(y).asarray(own, dtype=y.dtype, device=device_of(y))
        shape, m = tuple(sigma.shape), math.prod(y.shape)
        if len(shape) == 2 and shape[0] == shape[1] > 1 and m in (1, shape[0]):
            self._by_covariance(sigma)
        elif math.prod(shape) == 1 or shape == tuple(y.shape) or (m == 1 and len(shape) == 1):
            self._by_deviations(sigma)
        else:
            raise ShapeError(
                f"curve_fit: sigma must be one number, or have the shape of ydata, {tuple(y.shape)}, or be "
                f"a covariance, ({m}, {m}); got {shape}."
            )

    def __call__(self, rows: Array) -> Array:
        return self._apply(rows)

    def _by_covariance(self, sigma: Array) -> None:
        xp = namespace(sigma)
        finite = read(xp.astype(xp.all(xp.isfinite(sigma)), sigma.dtype))[0]
        factor = adapter_of(sigma).cholesky(sigma) if finite else None
        if factor is None:
            raise OptionError(
                "curve_fit: sigma, as a covariance, must be finite, symmetric and positive definite."
            )
        inverse = xp.linalg.inv(factor)
        self._apply = lambda r: inverse @ _of_length(r, sigma.shape[0])

    def _by_deviations(self, sigma: Array) -> None:
        xp = namespace(sigma)
        each = xp.reshape(sigma, (-1,))
        wrong, ignored = read(
            xp.astype(xp.any(xp.isnan(each) | (each == 0.0)), sigma.dtype),
            xp.sum(xp.astype(xp.isinf(each), sigma.dtype)),
        )
        if wrong:
            raise OptionError("curve_fit: sigma must be nowhere 0 nor NaN: it divides the residuals.")
        if ignored == each.shape[0]:
            raise OptionError("curve_fit: sigma is infinite everywhere: no datum has any weight.")
        self.ignored = int(ignored)
        if each.shape[0] == 1:
            self._apply = lambda r: r / each[0]
            return
        self._apply = lambda r: _of_length(r, each.shape[0]) / (each if len(r.shape) == 1 else each[:, None])


def _of_length(rows: Array, m: int) -> Array:
    if rows.shape[0] != m:
        raise ShapeError(f"curve_fit: sigma is for {m} data, and f returned {rows.shape[0]} values.")
    return rows
