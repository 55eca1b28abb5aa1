"""Functions of matrices that normalization layers are made of, with their derivatives."""

from __future__ import annotations

from typing import Any

from nnx.autodiff import fused
from nnx.autodiff.array import is_traced
from nnx.backend import adapter_of, namespace
from nnx.backend.normalizing import Normalizing

Array = Any


def _kernels(*arrays: Any) -> Normalizing:
    """The library's own for plain arrays; for traced ones the same in calls that have derivatives."""
    return Normalizing(namespace(*arrays)) if any(map(is_traced, arrays)) else adapter_of(*arrays)


def _batch_reverse(
    xp: Any, g: Any, needs: Any, y: Any, x: Any, gamma: Any, beta: Any, *, epsilon: float
) -> tuple[Any, Any, Any]:
    """∂x = γ·r·g − (γ·r³·Σg·c/n)·c − γ·r·Σg/n, ∂γ = r·Σg·c, ∂β = Σg, for c = x − μ and r = 1/√(σ² + ε).

    Those by μ and σ² add ∂μ/n and 2·∂σ²·c/n to ∂x.
    """
    (by_y, by_mean, by_variance), (_, mean, variance) = g, y
    share = 1.0 / max(x.shape[0], 1)
    inverse = 1.0 / xp.sqrt(variance + epsilon)
    factor = inverse if gamma is None else gamma * inverse
    zero = xp.zeros_like(mean)
    along_mean = zero if by_mean is None else by_mean * share
    along_x = zero if by_variance is None else by_variance * (2.0 * share)
    if by_y is None:
        by_x = _kernels(x, mean, along_x, along_mean).scaled_columns(x, mean, along_x, along_mean)
        return by_x, zero, zero
    kernels = _kernels(by_y, x, mean, factor, along_x, along_mean)
    total, along = kernels.column_products(by_y, x, mean)
    by_x = None
    if needs[0] is not False:
        slope = along_x - factor * inverse * inverse * along * share
        by_x = kernels.mixed_columns(by_y, factor, x, mean, slope, along_mean - factor * total * share)
    return by_x, along * inverse, total


@fused(reverse=_batch_reverse, several=True, reads=(1, 2))
def normalized_columns(x: Array, gamma: Array | None, beta: Array | None, *, epsilon: float) -> Any:
    """``(y, μ, σ²)`` with y = γ·(x − μ)/√(σ² + ε) + β and the mean μ and variance σ² of each column of x.

    The variance is divided by the number of rows, and taken around the mean in a second pass: μ² may be much
    larger. ``epsilon`` ε ≥ 0; a ``gamma`` of None counts as 1, a ``beta`` of None as 0.
    Shapes: (n, k), (k,), (k,) → (n, k), (k,), (k,).

    >>> from nnx.layers.moments import normalized_columns
    >>> normalized_columns(np.asarray([[1.0], [3.0]]), None, None, epsilon=0.0)
    (array([[-1.],
           [ 1.]]), array([2.]), array([1.]))
    """
    xp, kernels = namespace(x), _kernels(x)
    mean, variance = kernels.column_moments(x)
    factor = 1.0 / xp.sqrt(variance + epsilon)
    factor = factor if gamma is None else factor * gamma
    offset = xp.zeros_like(mean) if beta is None else beta
    return kernels.scaled_columns(x, mean, factor, offset), mean, variance


def _scaled_reverse(xp: Any, g: Any, needs: Any, y: Any, x: Any, factor: Any, offset: Any) -> tuple[Any, ...]:
    along, total = None, None
    if needs[1] is not False or needs[2] is not False:
        total, along = _kernels(g, x).column_products(g, x, None)
    return None if needs[0] is False else g * factor, along, total


def _scaled_forward(xp: Any, tangents: Any, y: Any, x: Any, factor: Any, offset: Any) -> Any:
    tx, tf, to = tangents
    terms = (None if tx is None else tx * factor, None if tf is None else x * tf, to)
    first, *others = (term for term in terms if term is not None)
    return sum(others, start=first)


@fused(reverse=_scaled_reverse, forward=_scaled_forward, reads=False)
def scaled_columns(x: Array, factor: Array, offset: Array) -> Array:
    """x·factor + offset, column by column.

    Shapes: (n, k), (k,), (k,) → (n, k).

    >>> from nnx.layers.moments import scaled_columns
    >>> scaled_columns(np.ones((1, 2)), np.asarray([1.0, 2.0]), np.asarray([0.5, 0.5]))
    array([[1.5, 2.5]])
    """
    return _kernels(x, factor, offset).scaled_columns(x, None, factor, offset)


def _rows_reverse(
    xp: Any, g: Any, needs: Any, y: Any, x: Any, gamma: Any, beta: Any, *, epsilon: float
) -> tuple[Any, Any, Any]:
    """As of columns, with h = γ·g: ∂x = r·(h − mean(h) − x̂·mean(h·x̂)), ∂γ = Σg·x̂, ∂β = Σg."""
    (by_y, by_mean, by_inverse), (_, mean, inverse) = g, y
    by_x, by_gamma, by_beta = None, *(v if v is None else xp.zeros_like(v) for v in (gamma, beta))
    if by_y is not None:
        kernels = _kernels(by_y, x, gamma, mean, inverse)
        by_x, by_gamma, by_beta = kernels.normalized_rows_back(by_y, x, gamma, mean, inverse)
    share = 1.0 / x.shape[1]
    if by_mean is not None:
        more = xp.broadcast_to((by_mean * share)[:, None], x.shape)
        by_x = more if by_x is None else by_x + more
    if by_inverse is not None:
        more = (x - mean[:, None]) * (by_inverse * inverse**3 * -share)[:, None]
        by_x = more if by_x is None else by_x + more
    return by_x, by_gamma, by_beta


@fused(reverse=_rows_reverse, several=True, reads=(1, 2))
def normalized_rows(x: Array, gamma: Array | None, beta: Array | None, *, epsilon: float) -> Any:
    """``(y, μ, r)`` with y = γ·(x − μ)·r + β, each row's mean μ, and r = 1/√(σ² + ε) of its variance.

    ``epsilon`` ε ≥ 0; a ``gamma`` of None counts as 1, a ``beta`` of None as 0.
    Shapes: (n, k), (k,), (k,) → (n, k), (n,), (n,).

    >>> from nnx.layers.moments import normalized_rows
    >>> normalized_rows(np.asarray([[1.0, 5.0]]), None, None, epsilon=0.0)
    (array([[-1.,  1.]]), array([3.]), array([0.5]))
    """
    return _kernels(x).normalized_rows(x, gamma, beta, epsilon)
