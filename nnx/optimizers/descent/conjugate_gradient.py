"""Nonlinear conjugate gradients, by five rules for β."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from nnx.backend import namespace
from nnx.optimizers.descent.descent import Descent, unit_step
from nnx.optimizers.descent.evaluation import Iterate
from nnx.optimizers.problem import Problem, read, register
from nnx.optimizers.searches import StrongWolfe
from nnx.optimizers.state import State
from nnx.options import one_of

Array = Any


class InnerProducts(NamedTuple):
    """Inner products of the old gradient g, the new one n and the direction p between them."""

    gg: float
    nn: float
    gn: float
    pg: float
    pn: float

    @property
    def py(self) -> float:
        """pᵀy with y = n − g: > 0 where the search kept the Wolfe conditions."""
        return self.pn - self.pg

    @property
    def nearly_orthogonal(self) -> bool:
        """Whether successive gradients are what they are with conjugate directions: Powell's test."""
        return abs(self.gn) < 0.2 * self.nn


BETAS: dict[str, Callable[[InnerProducts], float]] = {
    "polak_ribiere": lambda a: max(0.0, (a.nn - a.gn) / a.gg),
    "fletcher_reeves": lambda a: a.nn / a.gg if a.nearly_orthogonal else 0.0,
    "hestenes_stiefel": lambda a: max(0.0, (a.nn - a.gn) / a.py),
    "dai_yuan": lambda a: a.nn / a.py if a.nearly_orthogonal else 0.0,
    "powell_beale": lambda a: (a.nn - a.gn) / a.py,
}


@register(
    "cg",
    "CG",
    "traincgb",
    full_batch=True,
    source="Fletcher & Reeves 1964; Polak & Ribière 1969; Powell 1977",
)
@dataclass(frozen=True)
class ConjugateGradient(Descent):
    r"""Nonlinear conjugate gradients: w ← w + αp with p ← −g + βp, the first p = −g.

    With g and n the gradients before and after the step along p, and y = n − g, ``beta`` is one of

    - ``"polak_ribiere"``: β = max(0, nᵀy/gᵀg), Polak–Ribière+;
    - ``"fletcher_reeves"``: β = nᵀn/gᵀg, and 0 where \|gᵀn\| ≥ 0.2·nᵀn (Powell's restart);
    - ``"hestenes_stiefel"``: β = max(0, nᵀy/pᵀy);
    - ``"dai_yuan"``: β = nᵀn/pᵀy, with the same restart;
    - ``"powell_beale"`` (default): p ← −n + βp + γd, with β = nᵀy/pᵀy and γ = nᵀz/dᵀz, where d and z are the
      direction and the change of the gradient of the last restart. It restarts after n steps, where
      successive gradients are far from orthogonal (\|gᵀn\| ≥ 0.2·nᵀn), and where p is far from −n (−nᵀp
      outside 0.8 … 1.2·nᵀn).

    On the classical test functions Powell–Beale needs the fewest gradients, about a quarter less. A p
    that is no descent direction is replaced by −g. Memory: one vector (three for Powell–Beale).
    ``search`` (default: strong Wolfe with c2 = 0.1; Fletcher–Reeves needs c2 < ½): a name or an object of
    :mod:`nnx.optimizers.searches`; further options: :class:`nnx.optimizers.Deterministic`.
    Source: R. Fletcher, C. M. Reeves, Computer J. 7 (1964) 149–154; E. Polak, G. Ribière, Rev. Fr. Inform.
    Rech. Opér. 3 (1969) 35–43; M. R. Hestenes, E. Stiefel, J. Res. NBS 49 (1952) 409–436; Y. H. Dai, Y. Yuan,
    SIAM J. Optim. 10 (1999) 177–182; M. J. D. Powell, Math. Programming 12 (1977) 241–254.

    >>> f = lambda w: w[0] ** 2 + 5.0 * w[1] ** 2 + w[0] * w[1]
    >>> result = nnx.minimize(f, [3.0, -2.0], method="cg", options={"beta": "dai_yuan"})
    >>> bool(result.fun < 1e-12)
    True
    """

    search: Any = field(default_factory=lambda: StrongWolfe(c2=0.1))
    beta: str = one_of(*BETAS, default="powell_beale")

    def memory(self, problem: Problem, w: Array) -> dict[str, Array]:
        zeros = namespace(w).zeros_like
        vectors = {"direction": zeros(w)}
        if self.beta == "powell_beale":
            vectors |= {"restart_direction": zeros(w), "restart_change": zeros(w)}
        return vectors

    def learned(self) -> dict[str, float]:
        return {"beta": 0.0, "gamma": 0.0, "last_gain": 0.0, "last_alpha": 0.0, "since_restart": 0.0}

    def direction(self, here: Iterate, state: State) -> Array:
        values, memory = state.values, state.memory
        p = values["beta"] * memory["direction"] - here.gradient
        return p + values["gamma"] * memory["restart_direction"] if values["gamma"] else p

    def first_trial(self, here: Iterate, p: Array, slope: float, state: State) -> float:
        # the step whose first-order gain αgᵀp is that of the last one; not where that went all the way
        gain, alpha = state.values["last_gain"], state.values["last_alpha"]
        first = gain / slope if gain else unit_step(p)
        return min(first, 1e12 * alpha) if alpha else first

    def learn(self, here: Iterate, there: Iterate, p: Array, alpha: float, state: State) -> None:
        values, memory, dot = state.values, state.memory, namespace(p).vecdot
        g, n = here.gradient, there.gradient
        products = [dot(g, g), dot(n, n), dot(g, n), dot(p, g), dot(p, n)]
        if self.beta == "powell_beale":
            d, z = memory["restart_direction"], memory["restart_change"]
            products += [dot(n, z), dot(d, z), dot(d, n)]
        found = read(*products)
        a = InnerProducts(*found[:5])
        values["beta"] = _finite_or_zero(BETAS[self.beta], a)
        values["last_gain"], values["last_alpha"] = alpha * a.pg, alpha
        if self.beta == "powell_beale":
            self._restart_or_third_term(state, a, *found[5:])
            if not values["gamma"]:
                d[...], z[...] = p, n - g
        memory["direction"][...] = p

    def _restart_or_third_term(self, state: State, a: InnerProducts, nz: float, dz: float, dn: float) -> None:
        """Sets γ; 0 says that the direction of this step is the new restart."""
        values = state.values
        n = state.memory["direction"].shape[0]
        gamma = nz / dz if values["since_restart"] and dz else 0.0
        towards = a.nn - values["beta"] * a.pn - gamma * dn  # −nᵀp of the next direction
        near = a.nearly_orthogonal and 0.8 * a.nn <= towards <= 1.2 * a.nn
        keep = gamma and near and values["since_restart"] < n
        values["gamma"] = gamma if keep else 0.0
        values["since_restart"] = values["since_restart"] + 1.0 if keep else 1.0

    def forget(self, here: Iterate, state: State) -> None:
        state.values |= {"beta": 0.0, "gamma": 0.0, "last_gain": 0.0, "since_restart": 0.0}


def _finite_or_zero(rule: Callable[[InnerProducts], float], a: InnerProducts) -> float:
    """β; 0, a restart, where it is a quotient by zero."""
    try:
        beta = rule(a)
    except ZeroDivisionError:
        return 0.0
    return beta if math.isfinite(beta) else 0.0


@register(
    "traincgf",
    full_batch=True,
    source="Fletcher & Reeves 1964",
)
@dataclass(frozen=True)
class FletcherReeves(ConjugateGradient):
    """MATLAB's traincgf: w ← w + αp, p ← −g + βp, β = nᵀn/gᵀg.

    The same as :class:`ConjugateGradient` with ``beta="fletcher_reeves"``.
    Source: R. Fletcher, C. M. Reeves, Computer J. 7 (1964) 149–154.

    >>> nnx.optimizers.get("traincgf").beta
    'fletcher_reeves'
    """

    beta: str = one_of(*BETAS, default="fletcher_reeves")


@register(
    "traincgp",
    full_batch=True,
    source="Polak & Ribière 1969",
)
@dataclass(frozen=True)
class PolakRibiere(ConjugateGradient):
    """MATLAB's traincgp: w ← w + αp, p ← −g + βp, β = max(0, nᵀ(n − g)/gᵀg).

    The same as :class:`ConjugateGradient` with ``beta="polak_ribiere"``.
    Source: E. Polak, G. Ribière, Rev. Fr. Inform. Rech. Opér. 3 (1969) 35–43.

    >>> nnx.optimizers.get("traincgp").beta
    'polak_ribiere'
    """

    beta: str = one_of(*BETAS, default="polak_ribiere")
