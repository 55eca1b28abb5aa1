"""Normalization on NumPy: which loops take it, and how matrices with few columns become wider ones."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from nnx.backend import blocked_normalizing
from nnx.backend.normalizing import Array, Normalizing

#: Below this number of entries the calls of the reference take less time than loops over blocks.
_WORTH_BLOCKS = 1 << 14
#: From this number of entries on, loops compiled by Numba (if installed) repay loading them.
_WORTH_COMPILING = 1 << 17


class NumpyNormalizing(Normalizing):
    """The kernels of :class:`nnx.backend.normalizing.Normalizing` for NumPy's arrays."""

    def column_moments(self, x: Array) -> tuple[Array, Array]:
        loops = _loops(x)
        if loops is None:
            return super().column_moments(x)
        wide, k = _wider(x, loops)
        mean, squares = np.zeros(wide.shape[1], x.dtype), np.zeros(wide.shape[1], x.dtype)
        loops.moments(wide, mean, squares)
        if k == 1:
            return mean, squares * (1.0 / len(x))
        means = mean.reshape(k, -1)
        level = np.mean(means, axis=0)
        spread = np.mean(squares.reshape(k, -1), axis=0) * (1.0 / len(wide))
        return level, spread + np.mean((means - level) ** 2, axis=0)

    def column_products(self, g: Array, x: Array, mean: Array | None) -> tuple[Array, Array]:
        loops = _loops(g, x)
        if loops is None:
            return super().column_products(g, x, mean)
        mean = np.zeros(x.shape[1], x.dtype) if mean is None else mean
        wide, k = _wider(x, loops)
        total, along = np.zeros(wide.shape[1], x.dtype), np.zeros(wide.shape[1], x.dtype)
        loops.products(_as(g, wide), wide, _repeated(mean, k), total, along)
        return np.sum(total.reshape(k, -1), axis=0), np.sum(along.reshape(k, -1), axis=0)

    def scaled_columns(self, x: Array, mean: Array | None, factor: Array, offset: Array) -> Array:
        loops = _loops(x)
        if loops is None:
            return super().scaled_columns(x, mean, factor, offset)
        mean = np.zeros(x.shape[1], x.dtype) if mean is None else mean
        wide, k = _wider(x, loops)
        out = np.empty_like(wide)
        loops.scaled(wide, *(_repeated(v, k) for v in (mean, factor, offset)), out)
        return out.reshape(x.shape)

    def mixed_columns(
        self, g: Array, by_g: Array, x: Array, mean: Array, by_x: Array, offset: Array
    ) -> Array:
        loops = _loops(g, x)
        if loops is None:
            return super().mixed_columns(g, by_g, x, mean, by_x, offset)
        wide, k = _wider(x, loops)
        out = np.empty_like(wide)
        columns = (_repeated(v, k) for v in (mean, by_x, offset))
        loops.mixed(_as(g, wide), _repeated(by_g, k), wide, *columns, out)
        return out.reshape(x.shape)

    def normalized_rows(
        self, x: Array, gamma: Array | None, beta: Array | None, epsilon: float
    ) -> tuple[Array, Array, Array]:
        loops = _loops(x)
        if loops is None:
            return super().normalized_rows(x, gamma, beta, epsilon)
        x = np.ascontiguousarray(x)
        y, mean, inverse = np.empty_like(x), np.empty(len(x), x.dtype), np.empty(len(x), x.dtype)
        loops.rows(x, _or(gamma, x, 1.0), _or(beta, x, 0.0), x.dtype.type(epsilon), y, mean, inverse)
        return y, mean, inverse

    def normalized_rows_back(
        self, g: Array, x: Array, gamma: Array | None, mean: Array, inverse: Array
    ) -> tuple[Array, Array, Array]:
        loops = _loops(g, x)
        if loops is None:
            return super().normalized_rows_back(g, x, gamma, mean, inverse)
        x = np.ascontiguousarray(x)
        by_x, by_gamma, by_beta = np.empty_like(x), _or(None, x, 0.0), _or(None, x, 0.0)
        vectors = _or(gamma, x, 1.0), _writable(mean), _writable(inverse)
        loops.rows_back(np.ascontiguousarray(g), x, *vectors, by_x, by_gamma, by_beta)
        return by_x, by_gamma, by_beta


def _loops(*matrices: Array) -> Any:
    """The loops for matrices of one shape; None where the reference takes less time, or alone takes them."""
    x = matrices[-1]
    if x.size < _WORTH_BLOCKS or x.dtype.char not in "fd" or any(m.dtype != x.dtype for m in matrices):
        return None
    return (x.size >= _WORTH_COMPILING and _compiled()) or blocked_normalizing


@cache
def _compiled() -> Any:
    try:
        from nnx.backend import compiled_normalizing
    except ImportError:  # no Numba, or one that does not fit this NumPy
        return None
    return compiled_normalizing


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
