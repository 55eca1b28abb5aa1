"""The inverse Hessian that L-BFGS has at its end, without a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from nnx.backend import device_of, namespace
from nnx.errors import ShapeError
from nnx.optimizers.descent.quasi_newton import safely_positive
from nnx.optimizers.problem import read_vector

Array = Any


class InverseHessian:
    """V ≈ H⁻¹, n × n, symmetric and positive definite, as an operator: SciPy's ``LbfgsInvHessProduct``.

    V is γI, γ = sᵀr/rᵀr of the newest pair, after the BFGS updates of the pairs (SciPy's begins with I); I
    where there is no pair. ``V @ x`` (a vector or a matrix), ``V.matvec(x)``, ``V.todense()``, ``V.shape``,
    ``V.dtype``. ``pairs`` are the m steps s and, below, the m changes r of the gradient, which nobody writes
    to any more; ``rows`` those that count, the newest first.

    >>> f = lambda x: np.sum((x - np.arange(1.0, 4.0)) ** 2 * np.arange(1.0, 4.0))
    >>> v = nnx.minimize(f, np.zeros(3), method="lbfgs").hess_inv
    >>> v.todense().shape, (v @ np.ones(3)).round(2)
    ((3, 3), array([0.5 , 0.25, 0.17]))
    """

    def __init__(self, pairs: Array, rows: Sequence[int]) -> None:
        self._pairs, self._candidates = pairs, list(rows)

    @cached_property
    def _products(self) -> list[list[float]]:
        """The scalar products of the pairs."""
        count = self._pairs.shape[0]
        known = read_vector(namespace(self._pairs).reshape(self._pairs @ self._pairs.T, (-1,)))
        return [known[i : i + count] for i in range(0, len(known), count)]

    @cached_property
    def _rows(self) -> list[int]:
        eps = float(namespace(self._pairs).finfo(self.dtype).eps)
        return usable(self._candidates, self._products, eps)

    @property
    def shape(self) -> tuple[int, int]:
        """(n, n)."""
        n = int(self._pairs.shape[1])
        return n, n

    @property
    def dtype(self) -> Any:
        """The type of the entries."""
        return self._pairs.dtype

    def matvec(self, x: Array) -> Array:
        """V·x for a vector x."""
        xp = namespace(self._pairs)
        gamma, weights = two_loops(self._rows, self._products, read_vector(self._pairs @ x))
        return gamma * x - xp.asarray(weights, dtype=self.dtype, device=device_of(self._pairs)) @ self._pairs

    def __matmul__(self, x: Any) -> Array:
        pairs = self._pairs
        x = namespace(pairs).asarray(x, dtype=self.dtype, device=device_of(pairs))
        if len(x.shape) not in (1, 2) or x.shape[0] != pairs.shape[1]:
            raise ShapeError(f"This operator of shape {self.shape} cannot be applied to shape {x.shape}.")
        if len(x.shape) == 1:
            return self.matvec(x)
        return namespace(x).stack([self.matvec(x[:, k]) for k in range(x.shape[1])], axis=1)

    def todense(self) -> Array:
        """V as an array (n, n)."""
        pairs = self._pairs
        n, options = pairs.shape[1], {"dtype": self.dtype, "device": device_of(pairs)}
        return self @ namespace(pairs).eye(n, **options)

    def __repr__(self) -> str:
        return f"<InverseHessian of shape {self.shape}, from {len(self._candidates)} steps>"


def usable(rows: Sequence[int], products: Sequence[Sequence[float]], eps: float) -> list[int]:
    """The rows of pairs whose sᵀr is positive beyond rounding."""
    m = len(products) // 2
    return [
        i for i in rows if safely_positive(products[i][i + m], products[i][i], products[i + m][i + m], eps)
    ]


def two_loops(
    rows: Sequence[int], products: Sequence[Sequence[float]], with_g: Sequence[float]
) -> tuple[float, list[float]]:
    """γ, and the coefficients c of the pairs in −Vg = −γg + Σ cᵢ·pairᵢ; γ = 1 where there is no pair.

    ``products`` are those of the m steps s and, after them, the m changes r; ``with_g`` theirs with g;
    ``rows`` the pairs that count, the newest first. Source: Nocedal 1980; Nocedal & Wright 2006, algorithm
    7.4.
    """
    m = len(products) // 2
    q: dict[int, float] = {}
    c = [0.0] * (2 * m)
    if not rows:
        return 1.0, c
    newest = rows[0]
    gamma = products[newest][newest + m] / products[newest + m][newest + m]
    for i in rows:  # q ← q − aᵢrᵢ with aᵢ = sᵢᵀq/sᵢᵀrᵢ, from q = g
        sq = with_g[i] - sum(q[j] * products[i][j + m] for j in q)
        q[i] = sq / products[i][i + m]
    for j, a in q.items():
        c[j + m] = gamma * a
    for i in reversed(rows):  # p ← p − (aᵢ − bᵢ)sᵢ with bᵢ = −rᵢᵀp/sᵢᵀrᵢ, from p = −γq
        rp = -gamma * with_g[i + m] + sum(c[j] * products[i + m][j] for row in rows for j in (row, row + m))
        c[i] = -(q[i] + rp / products[i][i + m])
    return gamma, c
