"""Battiti's one-step secant method: BFGS from the last step alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnx.backend import namespace
from nnx.optimizers.descent.descent import Descent, unit_step
from nnx.optimizers.descent.evaluation import Iterate, precision
from nnx.optimizers.descent.quasi_newton import safely_positive
from nnx.optimizers.problem import Problem, read, register
from nnx.optimizers.state import State

Array = Any


@register(
    "oss",
    "OSS",
    "trainoss",
    full_batch=True,
    source="Battiti 1992",
)
@dataclass(frozen=True)
class OneStepSecant(Descent):
    """One-step secant: w ← w + αp with p = −γg + As + Br, s the last step and r the change of the gradient.

    A = −(1 + γ·rᵀr/sᵀr)·sᵀg/sᵀr + γ·rᵀg/sᵀr and B = γ·sᵀg/sᵀr: one update of γI by BFGS, between conjugate
    gradients and quasi-Newton methods. Battiti takes γ = 1, with which the path depends on the cost's scale;
    here γ = sᵀr/rᵀr, as in :class:`LBFGS`. Where sᵀr is not positive beyond rounding, p = −g. Memory: two
    vectors. The first step that is tried has length 1, later ones α = 1. ``search`` (default
    ``"strong_wolfe"`` with c2 = 0.9): a name or an object of :mod:`nnx.optimizers.searches`; further
    options: :class:`nnx.optimizers.Deterministic`.
    Source: R. Battiti, "First- and second-order methods for learning: between steepest descent and Newton's
    method", Neural Computation 4 (1992) 141–166; γ: D. F. Shanno, Math. Oper. Res. 3 (1978) 244–256.

    >>> f = lambda w: w[0] ** 2 + 5.0 * w[1] ** 2 + w[0] * w[1]
    >>> bool(nnx.minimize(f, [3.0, -2.0], method="oss").fun < 1e-10)
    True
    """

    search: Any = "strong_wolfe"

    def memory(self, problem: Problem, w: Array) -> dict[str, Array]:
        zeros = namespace(w).zeros_like
        return {"step": zeros(w), "change": zeros(w)}

    def learned(self) -> dict[str, float]:
        return {"used": 0.0}

    def direction(self, here: Iterate, state: State) -> Array:
        xp, g, s, r = namespace(here.w), here.gradient, state.memory["step"], state.memory["change"]
        dot = xp.vecdot
        sr, ss, rr, sg, rg = read(dot(s, r), dot(s, s), dot(r, r), dot(s, g), dot(r, g))
        state.values["used"] = float(safely_positive(sr, ss, rr, precision(g).eps))
        if not state.values["used"]:
            return -g
        gamma = sr / rr  # with which 1 + γrᵀr/sᵀr = 2
        return (gamma * rg - 2.0 * sg) / sr * s + gamma * (sg / sr) * r - gamma * g

    def first_trial(self, here: Iterate, p: Array, slope: float, state: State) -> float:
        return 1.0 if state.values["used"] else unit_step(p)

    def learn(self, here: Iterate, there: Iterate, p: Array, alpha: float, state: State) -> None:
        state.memory["step"][...] = there.w - here.w
        state.memory["change"][...] = there.gradient - here.gradient

    def forget(self, here: Iterate, state: State) -> None:
        state.values["used"] = 0.0
        for vector in state.memory.values():
            vector[...] = 0.0
