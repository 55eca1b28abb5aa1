"""What normalization layers compute, in standard calls: the reference for the kernels of the adapters.

Arrays ``x`` and ``g`` are matrices (rows, columns) of one shape, everything else vectors. Batch normalization
takes moments down the columns, layer normalization along the rows.
"""

from __future__ import annotations

from typing import Any

Array = Any


class Normalizing:
    """Moments of a matrix, and what is made of them, over any namespace ``xp``.

    Also for traced arrays: then ``xp`` is their differentiable namespace.

    >>> import array_api_compat.numpy as xp
    >>> from nnx.backend.normalizing import Normalizing
    >>> Normalizing(xp).column_moments(np.asarray([[1.0, 5.0], [3.0, 5.0]]))
    (array([2., 5.]), array([1., 0.]))
    """

    def __init__(self, xp: Any) -> None:
        self.xp = xp

    def column_moments(self, x: Array) -> tuple[Array, Array]:
        """Mean and variance (divided by the number of rows ≥ 1) of each column, in two passes.

        The mean of the squares minus the square of the mean would lose all digits where the mean is large.
        """
        xp = self.xp
        mean = xp.mean(x, axis=0)
        centred = x - mean
        return mean, xp.mean(centred * centred, axis=0)

    def column_products(self, g: Array, x: Array, mean: Array | None) -> tuple[Array, Array]:
        """Σg and Σg·(x − mean) of each column; a ``mean`` of None counts as 0."""
        xp = self.xp
        return xp.sum(g, axis=0), xp.sum(g * (x if mean is None else x - mean), axis=0)

    def scaled_columns(self, x: Array, mean: Array | None, factor: Array, offset: Array) -> Array:
        """(x − mean)·factor + offset; a ``mean`` of None counts as 0."""
        return (x if mean is None else x - mean) * factor + offset

    def mixed_columns(
        self, g: Array, by_g: Array, x: Array, mean: Array, by_x: Array, offset: Array
    ) -> Array:
        """g·by_g + (x − mean)·by_x + offset."""
        return g * by_g + (x - mean) * by_x + offset

    def normalized_rows(
        self, x: Array, gamma: Array | None, beta: Array | None, epsilon: float
    ) -> tuple[Array, Array, Array]:
        """(x − μ)·r·gamma + beta, μ and r = 1/√(σ² + epsilon), with the moments of each row.

        ``epsilon`` ≥ 0; a ``gamma`` of None counts as 1, a ``beta`` of None as 0.
        """
        xp = self.xp
        mean = xp.mean(x, axis=1)
        centred = x - mean[:, None]
        inverse = 1.0 / xp.sqrt(xp.mean(centred * centred, axis=1) + epsilon)
        y = centred * inverse[:, None]
        y = y if gamma is None else y * gamma
        return y if beta is None else y + beta, mean, inverse

    def normalized_rows_back(
        self, g: Array, x: Array, gamma: Array | None, mean: Array, inverse: Array
    ) -> tuple[Array, Array, Array]:
        """The gradients by x, gamma and beta of :meth:`normalized_rows` for ``g``, that by y."""
        xp = self.xp
        normal = (x - mean[:, None]) * inverse[:, None]
        along = g if gamma is None else g * gamma
        level = xp.mean(along, axis=1)[:, None]
        slope = xp.mean(along * normal, axis=1)[:, None]
        by_x = (along - level - normal * slope) * inverse[:, None]
        return by_x, xp.sum(g * normal, axis=0), xp.sum(g, axis=0)
