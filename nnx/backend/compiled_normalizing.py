"""The loops of normalization compiled by Numba: each reads its arrays once, and stops at nothing between.

Imported only where Numba is installed. The compiled code is cached on disk. Matrices are C-contiguous, and
what a function gives is written into its last arguments. Sums may be taken in any order: that is what makes
them vector instructions.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

#: Entries in one block of :func:`moments`, which reads each block twice: it then comes from the cache.
BLOCK = 1 << 15

_jit = numba.njit(error_model="numpy", nogil=True, cache=True, fastmath={"contract", "reassoc"})


@_jit
def moments(x: Any, mean: Any, squares: Any) -> None:
    """Mean and sum of squared deviations of each column, block by block, both 0 before.

    Two blocks become one as in T. F. Chan, G. H. Golub, R. J. LeVeque, The American Statistician 37 (1983)
    242–247.
    """
    n, c = x.shape
    size = max(1, BLOCK // c)
    level, spread = np.empty_like(mean), np.empty_like(mean)
    for a in range(0, n, size):
        b = min(a + size, n)
        level[:] = 0
        spread[:] = 0
        for i in range(a, b):
            for j in range(c):
                level[j] += x[i, j]
        share = x.dtype.type(1.0 / (b - a))
        for j in range(c):
            level[j] *= share
        for i in range(a, b):
            for j in range(c):
                d = x[i, j] - level[j]
                spread[j] += d * d
        new = x.dtype.type((b - a) / b)
        both = x.dtype.type(a * ((b - a) / b))
        for j in range(c):
            d = level[j] - mean[j]
            mean[j] += d * new
            squares[j] += spread[j] + d * d * both


@_jit
def products(g: Any, x: Any, mean: Any, total: Any, along: Any) -> None:
    """Σg and Σg·(x − mean) of each column, both 0 before."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            total[j] += g[i, j]
            along[j] += g[i, j] * (x[i, j] - mean[j])


@_jit
def scaled(x: Any, mean: Any, factor: Any, offset: Any, out: Any) -> None:
    """(x − mean)·factor + offset."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            out[i, j] = (x[i, j] - mean[j]) * factor[j] + offset[j]


@_jit
def mixed(g: Any, by_g: Any, x: Any, mean: Any, by_x: Any, offset: Any, out: Any) -> None:
    """g·by_g + (x − mean)·by_x + offset."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            out[i, j] = g[i, j] * by_g[j] + (x[i, j] - mean[j]) * by_x[j] + offset[j]


@_jit
def rows(x: Any, gamma: Any, beta: Any, epsilon: Any, y: Any, mean: Any, inverse: Any) -> None:
    """(x − μ)·r·gamma + beta, μ and r of each row."""
    n, c = x.shape
    zero, share = epsilon - epsilon, x.dtype.type(1.0 / c)
    for i in range(n):
        total = zero
        for j in range(c):
            total += x[i, j]
        level = total * share
        total = zero
        for j in range(c):
            d = x[i, j] - level
            total += d * d
        r = x.dtype.type(1.0) / np.sqrt(total * share + epsilon)
        mean[i], inverse[i] = level, r
        for j in range(c):
            y[i, j] = (x[i, j] - level) * r * gamma[j] + beta[j]


@_jit
def rows_back(
    g: Any, x: Any, gamma: Any, mean: Any, inverse: Any, by_x: Any, by_gamma: Any, by_beta: Any
) -> None:
    """The gradients of :func:`rows`; those by gamma and beta are 0 before."""
    n, c = x.shape
    share = x.dtype.type(1.0 / c)
    for i in range(n):
        level, r = mean[i], inverse[i]
        total, along = level - level, level - level
        for j in range(c):
            normal, h = (x[i, j] - level) * r, g[i, j] * gamma[j]
            total += h
            along += h * normal
            by_gamma[j] += g[i, j] * normal
            by_beta[j] += g[i, j]
        total *= share
        along *= share
        for j in range(c):
            by_x[i, j] = r * (g[i, j] * gamma[j] - total - (x[i, j] - level) * r * along)
