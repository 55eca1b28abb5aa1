"""Newton's method for many weights: products with the Hessian, conjugate gradients, a trust region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from nnx.optimizers.descent.trust_region import TrustRegion
from nnx.optimizers.problem import register
from nnx.optimizers.state import State

Array = Any


@register(
    "Newton-CG",
    "newton-cg",
    "trust-ncg",
    "trust_ncg",
    full_batch=True,
    source="Steihaug 1983; Nocedal & Wright 2006, algorithms 4.1 and 7.2",
)
@dataclass(frozen=True)
class NewtonCG(TrustRegion):
    """Newton's method without a matrix: w ← w + p, where p makes gᵀp + ½pᵀHp small within a trust region.

    Conjugate gradients need the Hessian H in products with vectors only, each at the cost of a few gradients,
    and a few vectors of memory. Near the minimum the error falls as its power 3/2; directions of negative
    curvature are followed to the radius. Options: ``initial_trust_radius`` (default 1) and those of
    :class:`nnx.optimizers.Deterministic`.
    Source: T. Steihaug, "The conjugate gradient method and trust regions in large scale optimization", SIAM
    J. Numer. Anal. 20 (1983) 626–637; J. Nocedal, S. Wright, *Numerical Optimization*, 2nd ed., 2006,
    algorithms 4.1 (p. 69) and 7.2 (p. 171).

    >>> result = nnx.minimize(lambda w: np.sum(np.cosh(w - 1.0)), np.zeros(50), method="newton_cg")
    >>> bool(np.all(np.abs(result.x - 1.0) < 1e-6)), result.success
    (True, True)
    """

    needs: ClassVar[tuple[str, ...]] = ("hvp",)

    def product(self, here: Any, state: State, v: Array) -> Array:
        return here.point.hvp(v)
