"""Variable metric methods with a matrix: BFGS and DFP."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from nnx.backend import device_of, namespace
from nnx.optimizers.descent.descent import Descent, unit_step
from nnx.optimizers.descent.evaluation import Iterate, precision
from nnx.optimizers.problem import Problem, read, register
from nnx.optimizers.state import State

Array = Any


def safely_positive(sr: float, ss: float, rr: float, eps: float) -> bool:
    """Whether sᵀr > 0 beyond rounding, that is beyond ``eps``·‖s‖·‖r‖: only then is V r = s for a V > 0."""
    return ss > 0.0 < rr and math.isfinite(sr) and sr > eps * math.sqrt(ss) * math.sqrt(rr)


@dataclass(frozen=True)
class QuasiNewton(Descent):
    """Base class: p = −Vg, where V is a positive definite matrix that learns to be the inverse Hessian.

    From the step s = wₖ − wₖ₋₁ and the change of the gradient r = gₖ − gₖ₋₁ the subclass's update makes V
    such that V r = s. V₀ = I; before the first update it becomes (sᵀr/rᵀr)·I, the size that s and r show. An
    update is skipped where sᵀr is not positive beyond rounding: V would not stay positive definite.
    The first step that is tried has length 1, later ones α = 1.
    """

    search: Any = "strong_wolfe"

    def update(self, v: Array, s: Array, vr: Array, sr: float, rvr: float) -> None:
        """Writes the new V into ``v``; ``vr`` = V r, ``sr`` = sᵀr > 0, ``rvr`` = rᵀV r > 0."""
        raise NotImplementedError

    def enlarge(self, alpha: float, sr: float, before: float, after: float) -> float:
        """What V is multiplied by before an update; ``before`` and ``after``: gᵀs at the ends of the step.

        ``before`` < 0; ``alpha`` > 0 is the step's α, ``sr`` = sᵀr > 0.
        """
        return 1.0

    def memory(self, problem: Problem, w: Array) -> dict[str, Array]:
        return {"inverse_hessian": _identity(w)}

    def learned(self) -> dict[str, float]:
        return {"updates": 0.0}

    def direction(self, here: Iterate, state: State) -> Array:
        return -(state.memory["inverse_hessian"] @ here.gradient)

    def first_trial(self, here: Iterate, p: Array, slope: float, state: State) -> float:
        return 1.0 if state.values["updates"] else unit_step(p)

    def learn(self, here: Iterate, there: Iterate, p: Array, alpha: float, state: State) -> None:
        xp, v = namespace(p), state.memory["inverse_hessian"]
        s, r = there.w - here.w, there.gradient - here.gradient
        vr = v @ r
        dot = xp.vecdot
        sr, ss, rr, rvr, *slopes = read(
            dot(s, r), dot(s, s), dot(r, r), dot(r, vr), dot(here.gradient, s), dot(there.gradient, s)
        )
        if not (safely_positive(sr, ss, rr, precision(p).eps) and 0.0 < rvr < math.inf):
            return
        size = self.enlarge(alpha, sr, *slopes) if state.values["updates"] else sr / rr
        if size != 1.0:
            v *= size
            vr, rvr = size * vr, size * rvr
        self.update(v, s, vr, sr, rvr)
        state.values["updates"] += 1.0

    def forget(self, here: Iterate, state: State) -> None:
        state.memory["inverse_hessian"][...] = _identity(here.w)
        state.values["updates"] = 0.0

    def extras(self, state: State) -> dict[str, Any]:
        return {"hess_inv": state.memory["inverse_hessian"]}


@register(
    "trainbfg",
    "quasi_newton",
    full_batch=True,
    source="Broyden, Fletcher, Goldfarb, Shanno 1970",
)
@dataclass(frozen=True)
class BFGS(QuasiNewton):
    """BFGS: p = −Vg with V ← V + (1 + rᵀVr/(sᵀr))·ssᵀ/(sᵀr) − (s rᵀV + V r sᵀ)/(sᵀr).

    s is the step, r the change of the gradient; V, n × n, stays symmetric and positive definite and is the
    field ``hess_inv`` of the result of ``minimize``. Superlinear convergence; n² entries of memory and about
    5n² operations an iteration. ``search`` (default ``"strong_wolfe"`` with c2 = 0.9): a name or an object of
    :mod:`nnx.optimizers.searches`; further options: :class:`nnx.optimizers.Deterministic`.
    Source: C. G. Broyden, J. Inst. Math. Appl. 6 (1970) 76–90; R. Fletcher, Computer J. 13 (1970) 317–322;
    D. Goldfarb, Math. Comp. 24 (1970) 23–26; D. F. Shanno, ibid. 647–656; first size of V: J. Nocedal,
    S. Wright, *Numerical Optimization*, 2006, (6.20).

    >>> f = lambda w: w[0] ** 2 + 5.0 * w[1] ** 2 + w[0] * w[1]
    >>> result = nnx.minimize(f, [3.0, -2.0], method="bfgs", options={"gtol": 1e-12})
    >>> result.hess_inv.round(2)  # the inverse of [[2, 1], [1, 10]]
    array([[ 0.53, -0.05],
           [-0.05,  0.11]])
    """

    def update(self, v: Array, s: Array, vr: Array, sr: float, rvr: float) -> None:
        # s uᵀ + u sᵀ with u = (½(1 + rᵀVr/sᵀr)·s − Vr)/sᵀr is the whole of it, symmetric to the last bit
        half = s[:, None] * ((0.5 * (1.0 + rvr / sr)) * s - vr)[None, :] / sr
        v += half + half.T


@register(
    "variable_metric",
    full_batch=True,
    source="Davidon 1959; Fletcher & Powell 1963",
)
@dataclass(frozen=True)
class DFP(QuasiNewton):
    """DFP: p = −Vg with V ← V + ssᵀ/(sᵀr) − V r rᵀV/(rᵀVr).

    The first variable metric method, the dual of :class:`BFGS`; both take the same path with exact searches.
    After inexact ones DFP alone recovers very slowly from a V that is too small. Hence, where a search was
    not nearly exact (the slope at its end is over a tenth of that at its start), V is first multiplied by
    max(1, sᵀV⁻¹s/sᵀr): Oren and Luenberger's self-scaling, upwards only. With it the classical test
    functions take about as many gradients as by BFGS; without it, half of them are not solved. Where the
    variables are many, BFGS stays far better. With exact searches the formula is that of the books.
    Options as for :class:`BFGS`; ``hess_inv`` of the result is V.
    Source: W. C. Davidon, report ANL-5990 (1959), SIAM J. Optim. 1 (1991) 1–17; R. Fletcher, M. J. D. Powell,
    Computer J. 6 (1963) 163–168; S. S. Oren, D. G. Luenberger, Management Science 20 (1974) 845–862.

    >>> nnx.minimize(lambda w: np.sum((w - 1.0) ** 4 + w**2), np.zeros(2), method="dfp").x.round(6)
    array([0.410245, 0.410245])
    """

    def enlarge(self, alpha: float, sr: float, before: float, after: float) -> float:
        if abs(after) <= 0.1 * abs(before):
            return 1.0
        return max(1.0, -alpha * before / sr)  # V⁻¹s = −αg, since s = −αVg

    def update(self, v: Array, s: Array, vr: Array, sr: float, rvr: float) -> None:
        s, vr = s / math.sqrt(sr), vr / math.sqrt(rvr)
        v += s[:, None] * s[None, :] - vr[:, None] * vr[None, :]


def _identity(w: Array) -> Array:
    xp = namespace(w)
    # a copy: in some libraries eye() is not to be written to
    return xp.asarray(xp.eye(w.shape[0], dtype=w.dtype, device=device_of(w)), copy=True)
