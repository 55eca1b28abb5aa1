"""A trust region with a Hessian that is learnt from gradients and may be indefinite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnx.backend import device_of, namespace
from nnx.optimizers.descent.evaluation import Iterate
from nnx.optimizers.descent.trust_region import TrustRegion
from nnx.optimizers.problem import Problem, read, register
from nnx.optimizers.state import State

Array = Any

#: An update is left out where sᵀ(y − Bs) is smaller than this part of ‖s‖·‖y − Bs‖
_LEAST_COSINE = 1e-8


@register(
    "symmetric_rank_one",
    full_batch=True,
    source="Nocedal & Wright 2006, algorithm 6.2",
)
@dataclass(frozen=True)
class SR1(TrustRegion):
    """The symmetric rank-one method: B ← B + rrᵀ/(rᵀs) with r = y − Bs, and a step within a trust region.

    s is a step and y the change of the gradient; rejected steps count too. B may be indefinite, as the
    Hessian is away from a minimum, and is exact on a quadratic after n independent steps. An update with
    abs(rᵀs) < 1e-8·‖r‖·‖s‖ is left out, and B is reset where no step lowers the cost (after short steps it is
    mostly rounding error). B is 0 at first, and ‖y‖/‖s‖ times the identity before its first update; it has n²
    entries. Options: ``initial_trust_radius`` (default 1) and those of :class:`nnx.optimizers.Deterministic`.
    Source: A. Conn, N. Gould, P. Toint, Math. Programming 50 (1991) 177–195; J. Nocedal, S. Wright,
    *Numerical Optimization*, 2nd ed., 2006, algorithm 6.2 (p. 146).

    >>> result = nnx.minimize(lambda w: np.sum(np.cosh(w - 1.0)), np.zeros(2), method="sr1")
    >>> result.x.round(6)
    array([1., 1.])
    """

    def memory(self, problem: Problem, w: Array) -> dict[str, Array]:
        n = w.shape[0]
        return {"hessian": namespace(w).zeros((n, n), dtype=w.dtype, device=device_of(w))}

    def learned(self) -> dict[str, float]:
        return {"fresh": 1.0}

    def product(self, here: Iterate, state: State, v: Array) -> Array:
        return state.memory["hessian"] @ v

    def forget(self, problem: Problem, here: Iterate, state: State) -> bool:
        if state.values["fresh"]:
            return False
        state.memory |= self.memory(problem, here.w)
        state.values["fresh"] = 1.0
        return True

    def learn(self, here: Iterate, there: Iterate, state: State) -> None:
        if not there.compute().finite:
            return
        xp, b = namespace(here.w), state.memory["hessian"]
        norm, unit = xp.linalg.vector_norm, max(here.norm, there.norm)  # so that squares do not overflow
        s, y = there.w - here.w, (there.gradient - here.gradient) / unit
        if state.values["fresh"]:
            long, short = read(norm(y), norm(s))
            if not long > 0.0 or not short > 0.0:
                return
            b = (unit * long / short) * xp.eye(s.shape[0], dtype=s.dtype, device=device_of(s))
            state.values["fresh"] = 0.0
        r = y - (b @ s) / unit
        rs, size = read(xp.vecdot(r, s), norm(r) * norm(s))
        if abs(rs) > _LEAST_COSINE * size:
            b = b + (unit / rs * r)[:, None] * r[None, :]
        state.memory["hessian"] = b
