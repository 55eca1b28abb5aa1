"""Normalization on NumPy: which loops take it, and how the rows are shared among the cores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nnx.backend import blocked_normalizing, loops
from nnx.backend.normalizing import Array, Normalizing
from nnx.backend.threads import spread

#: Below this number of entries the calls of the reference take less time than loops over blocks.
_WORTH_BLOCKS = 1 << 14
#: From this number of entries on, loops compiled by Numba (if installed) repay loading them.
_WORTH_COMPILING = 1 << 17
#: Entries in one share of the rows, which a thread takes.
_SHARE = 1 << 19


class NumpyNormalizing(Normalizing):
    """The kernels of :class:`nnx.backend.normalizing.Normalizing` for NumPy's arrays."""

    def column_moments(self, x: Array) -> tuple[Array, Array]:
        loops = _loops(x)
        if loops is None:
            return super().column_moments(x)
        wide, k = _wider(x, loops)

        def of(part: slice) -> tuple[int, Array, Array]:
            mean, squares = np.zeros((2, wide.shape[1]), x.dtype)
            loops.moments(wide[part], mean, squares)
            return part.stop - part.start, mean, squares

        counts, means, squares = zip(*_shared(of, wide), strict=True)
        return _joined(np.repeat(counts, k), np.reshape(means, (-1, x.shape[1])), np.asarray(squares))

    def column_products(self, g: Array, x: Array, mean: Array | None) -> tuple[Array, Array]:
        loops = _loops(g, x)
        if loops is None:
            return super().column_products(g, x, mean)
        wide, k = _wider(x, loops)
        steep, level = _as(g, wide), _repeated(_or(mean, x, 0.0), k)

        def of(part: slice) -> Array:
            sums = np.zeros((2, wide.shape[1]), x.dtype)
            loops.products(steep[part], wide[part], level, *sums)
            return sums.reshape(2, k, -1)

        total, along = np.sum(_shared(of, wide), axis=(0, 2))
        return total, along

    def scaled_columns(self, x: Array, mean: Array | None, factor: Array, offset: Array) -> Array:
        loops = _loops(x)
        if loops is None:
            return super().scaled_columns(x, mean, factor, offset)
        wide, k = _wider(x, loops)
        out, vectors = np.empty_like(wide), [_repeated(v, k) for v in (_or(mean, x, 0.0), factor, offset)]
        _shared(lambda part: loops.scaled(wide[part], *vectors, out[part]), wide)
        return out.reshape(x.shape)

    def mixed_columns(
        self, g: Array, by_g: Array, x: Array, mean: Array, by_x: Array, offset: Array
    ) -> Array:
        loops = _loops(g, x)
        if loops is None:
            return super().mixed_columns(g, by_g, x, mean, by_x, offset)
        wide, k = _wider(x, loops)
        out, steep = np.empty_like(wide), _as(g, wide)
        factor, *vectors = (_repeated(v, k) for v in (by_g, mean, by_x, offset))
        _shared(lambda part: loops.mixed(steep[part], factor, wide[part], *vectors, out[part]), wide)
        return out.reshape(x.shape)

    def normalized_rows(
        self, x: Array, gamma: Array | None, beta: Array | None, epsilon: float
    ) -> tuple[Array, Array, Array]:
        loops = _loops(x)
        if loops is None:
            return super().normalized_rows(x, gamma, beta, epsilon)
        x = np.ascontiguousarray(x)
        y, (mean, inverse) = np.empty_like(x), np.empty((2, len(x)), x.dtype)
        fixed = _or(gamma, x, 1.0), _or(beta, x, 0.0), x.dtype.type(epsilon)
        _shared(lambda part: loops.rows(x[part], *fixed, y[part], mean[part], inverse[part]), x)
        return y, mean, inverse

    def normalized_rows_back(
        self, g: Array, x: Array, gamma: Array | None, mean: Array, inverse: Array
    ) -> tuple[Array, Array, Array]:
        loops = _loops(g, x)
        if loops is None:
            return super().normalized_rows_back(g, x, gamma, mean, inverse)
        x, g, by_x = np.ascontiguousarray(x), np.ascontiguousarray(g), np.empty_like(x)
        scale, level, size = _or(gamma, x, 1.0), _writable(mean), _writable(inverse)

        def of(part: slice) -> Array:
            sums = np.zeros((2, x.shape[1]), x.dtype)
            loops.rows_back(g[part], x[part], scale, level[part], size[part], by_x[part], *sums)
            return sums

        by_gamma, by_beta = np.sum(_shared(of, x), axis=0)
        return by_x, by_gamma, by_beta


def _loops(*matrices: Array) -> Any:
    """The loops for matrices of one shape; None where the reference takes less time, or alone takes them."""
    x = matrices[-1]
    if x.size < _WORTH_BLOCKS or x.dtype.char not in "fd" or any(m.dtype != x.dtype for m in matrices):
        return None
    return (x.size >= _WORTH_COMPILING and loops.compiled("normalizing")) or blocked_normalizing


def _shared(of: Callable[[slice], Any], x: Array) -> list[Any]:
    """What ``of`` gives for slices of the rows of ``x``, which do not depend on the number of cores."""
    n, c = x.shape
    size = max(1, _SHARE // c)
    parts = [slice(a, min(a + size, n)) for a in range(0, n, size)]
    found: list[Any] = [None] * len(parts)

    def work(start: int, stop: int) -> None:
        found[start:stop] = map(of, parts[start:stop])

    spread(work, len(parts), len(parts))
    return found


def _joined(counts: Array, means: Array, squares: Array) -> tuple[Array, Array]:
    """Mean and variance of samples together: of each its size, mean and sum of squared deviations."""
    share = (counts / counts.sum()).astype(means.dtype)
    mean = share @ means
    between = share @ (means - mean) ** 2
    return mean, np.sum(squares.reshape(means.shape), axis=0) * means.dtype.type(1 / counts.sum()) + between


def _wider(x: Array, loops: Any) -> tuple[Array, int]:
    """The matrix with k rows side by side as one, and k: short rows cost a loop's start each."""
    n, c = x.shape
    enough = 1024 if loops is blocked_normalizing else 64
    k = 1
    while n % (2 * k) == 0 and 2 * k * c <= enough:
        k *= 2
    return np.ascontiguousarray(x).reshape(n // k, k * c), k


def _as(g: Array, wide: Array) -> Array:
    return np.ascontiguousarray(g).reshape(wide.shape)


def _repeated(v: Array, k: int) -> Array:
    return np.tile(v, k) if k > 1 else _writable(v)


def _writable(v: Array) -> Array:
    # Numba compiles once more for read-only arrays, as the views of a model's weights are.
    return np.ascontiguousarray(v) if v.flags.writeable else v.copy()


def _or(v: Array | None, x: Array, number: float) -> Array:
    """The vector, or that number for each column of ``x``."""
    return np.full(x.shape[1], number, x.dtype) if v is None else _writable(v)
