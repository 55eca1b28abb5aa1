"""The loops of normalization as NumPy calls on blocks of rows that stay in the cache.

The functions are those of :mod:`nnx.backend.compiled_normalizing`. A product with ones adds up columns or
rows: BLAS does it faster than a reduction.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

#: Entries in one block.
BLOCK = 1 << 17


def _blocks(x: Any) -> Iterator[tuple[slice, Any, Any]]:
    """Slices of rows, ones for that many rows, and a buffer of their shape."""
    n, c = x.shape
    size = max(1, min(n, BLOCK // c))
    ones, buffer = np.ones(size, x.dtype), np.empty((size, c), x.dtype)
    for a in range(0, n, size):
        m = min(size, n - a)
        yield slice(a, a + m), ones[:m], buffer[:m]


def moments(x: Any, mean: Any, squares: Any) -> None:
    """Mean and sum of squared deviations of each column, block by block, both 0 before.

    Two blocks become one as in T. F. Chan, G. H. Golub, R. J. LeVeque, The American Statistician 37 (1983)
    242–247.
    """
    for part, ones, buffer in _blocks(x):
        before, m, block = part.start, len(ones), x[part]
        level = (ones @ block) * (1.0 / m)
        np.subtract(block, level, out=buffer)
        buffer *= buffer
        d = level - mean
        mean += d * (m / (before + m))
        squares += ones @ buffer + d * d * (before * (m / (before + m)))


def products(g: Any, x: Any, mean: Any, total: Any, along: Any) -> None:
    """Σg and Σg·(x − mean) of each column, both 0 before."""
    for part, ones, buffer in _blocks(x):
        np.subtract(x[part], mean, out=buffer)
        buffer *= g[part]
        total += ones @ g[part]
        along += ones @ buffer


def scaled(x: Any, mean: Any, factor: Any, offset: Any, out: Any) -> None:
    """(x − mean)·factor + offset."""
    for part, _, _ in _blocks(x):
        y = np.subtract(x[part], mean, out=out[part])
        y *= factor
        y += offset


def mixed(g: Any, by_g: Any, x: Any, mean: Any, by_x: Any, offset: Any, out: Any) -> None:
    """g·by_g + (x − mean)·by_x + offset."""
    for part, _, buffer in _blocks(x):
        y = np.subtract(x[part], mean, out=out[part])
        y *= by_x
        y += offset
        y += np.multiply(g[part], by_g, out=buffer)


def rows(x: Any, gamma: Any, beta: Any, epsilon: Any, y: Any, mean: Any, inverse: Any) -> None:
    """(x − μ)·r·gamma + beta, μ and r of each row."""
    share = np.full(x.shape[1], 1.0 / x.shape[1], x.dtype)
    for part, _, buffer in _blocks(x):
        level = mean[part] = x[part] @ share
        block = np.subtract(x[part], level[:, None], out=y[part])
        np.multiply(block, block, out=buffer)
        r = inverse[part] = 1.0 / np.sqrt(buffer @ share + epsilon)
        block *= r[:, None]
        block *= gamma
        block += beta


def rows_back(
    g: Any, x: Any, gamma: Any, mean: Any, inverse: Any, by_x: Any, by_gamma: Any, by_beta: Any
) -> None:
    """The gradients of :func:`rows`; those by gamma and beta are 0 before."""
    share = 1.0 / x.shape[1]
    weighted = gamma * x.dtype.type(share)
    for part, ones, buffer in _blocks(x):
        some, r = g[part], inverse[part][:, None]
        normal = np.subtract(x[part], mean[part][:, None], out=buffer)
        normal *= r
        products = np.multiply(some, normal, out=by_x[part])
        by_gamma += ones @ products
        by_beta += ones @ some
        normal *= -(products @ weighted)[:, None]
        back = np.multiply(some, gamma, out=by_x[part])
        back -= (some @ weighted)[:, None]
        back += normal
        back *= r
