"""Newton's method with a search, and with a Hessian that is made positive definite where it is not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from nnx.backend import adapter_of, device_of, namespace
from nnx.optimizers.descent.descent import Descent, unit_step
from nnx.optimizers.descent.evaluation import Iterate
from nnx.optimizers.problem import read, register
from nnx.optimizers.state import State

Array = Any

#: β of the algorithm in :func:`newton_direction`, as a fraction of the max-norm of the Hessian
_FIRST_SHIFT = 1e-3


@register(
    "newton_raphson",
    full_batch=True,
    source="Nocedal & Wright 2006, algorithms 3.2 and 3.3",
)
@dataclass(frozen=True)
class Newton(Descent):
    """Newton's method: w ← w + αp with (H + τI)p = −g, H the exact Hessian, α by a search that tries 1 first.

    τ = 0 where H is positive definite: near such a minimum α = 1, and the number of right digits doubles in
    every step. Elsewhere τ is the first of an increasing sequence for which a Cholesky factorisation
    succeeds, so that p is a descent direction; from a saddle point it leads away along negative curvature.

    H takes n products with vectors and n² entries of memory, the factorisation n³/3 multiplications: for many
    weights take :class:`nnx.optimizers.NewtonCG`, which needs products only. ``search`` (default
    ``"strong_wolfe"``): a name or an object of :mod:`nnx.optimizers.searches`; further options:
    :class:`nnx.optimizers.Deterministic`.
    Source: J. Nocedal, S. Wright, *Numerical Optimization*, 2nd ed., 2006, algorithms 3.2 (p. 48) and 3.3
    (p. 51).

    >>> result = nnx.minimize(lambda w: np.sum(np.cosh(w - 1.0)), np.zeros(2), method="newton")
    >>> result.x.round(6), result.nit < 6
    (array([1., 1.]), True)
    """

    needs: ClassVar[tuple[str, ...]] = ("hessian",)
    begins_with_gradient: ClassVar[bool] = False

    search: Any = "strong_wolfe"

    def direction(self, here: Any, state: State) -> Array:
        return newton_direction(here.point.hessian, here.gradient)

    def first_trial(self, here: Iterate, p: Array, slope: float, state: State) -> float:
        return unit_step(p) if state.values["fresh"] else 1.0


def newton_direction(h: Array, g: Array) -> Array:
    """The solution p of (H + τI)p = −g with the first τ ≥ 0 that makes H + τI positive definite.

    The sequence of Nocedal and Wright's algorithm 3.3: 0, then max(0, −min hᵢᵢ) + β, then doubled each time;
    β is 1e-3 of the max-norm of H, so that the cost's scale does not matter. Where H is zero or not
    finite, p is a step of length 1 along −g.
    """
    xp, solve = namespace(h), adapter_of(h).solve_positive
    p = solve(h, -g)
    if p is not None:
        return p
    largest, least = read(xp.max(xp.abs(h)), xp.min(xp.linalg.diagonal(h)))
    if 0.0 < largest < math.inf:
        n = h.shape[0]
        eye = xp.eye(n, dtype=h.dtype, device=device_of(h))
        tau = max(0.0, -least) + _FIRST_SHIFT * largest
        while tau <= 4.0 * n * largest:  # from n·largest on, H + τI is diagonally dominant
            p = solve(h + tau * eye, -g)
            if p is not None:
                return p
            tau *= 2.0
    return -unit_step(g) * g
