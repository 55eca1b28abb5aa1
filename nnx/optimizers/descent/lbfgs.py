"""BFGS without the matrix: from the last few steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from nnx.backend import device_of, namespace
from nnx.errors import OptionError
from nnx.optimizers.descent.box import Box
from nnx.optimizers.descent.descent import Descent, unit_step
from nnx.optimizers.descent.evaluation import Evaluation, Iterate, precision
from nnx.optimizers.descent.inverse_hessian import InverseHessian, two_loops, usable
from nnx.optimizers.problem import Problem, read, read_vector, register
from nnx.optimizers.searches import Armijo
from nnx.optimizers.state import State
from nnx.options import number

Array = Any


def _box(where: str, name: str, value: Any) -> Any:
    """The check that an option is None or a box, as ``minimize`` makes it of its ``bounds``."""
    if not isinstance(value, Box | None):
        raise OptionError(
            f"{where}: {name} must be None here: give them to nnx.minimize(..., bounds=...), got {value!r}."
        )
    return value


@register(
    "l-bfgs",
    "L-BFGS",
    "L-BFGS-B",
    "l-bfgs-b",
    full_batch=True,
    source="Nocedal 1980; Liu & Nocedal 1989",
)
@dataclass(frozen=True)
class LBFGS(Descent):
    """L-BFGS: p = −Vg as in :class:`BFGS`, with V made of γI by the last ``maxcor`` (m) pairs (s, r) alone.

    γ = sᵀr/rᵀr of the newest pair. V is never formed: with the scalar products of the pairs at hand, p is a
    combination of g and the 2m vectors whose coefficients come from Nocedal's two loops over m entries. Pairs
    whose sᵀr is not positive beyond rounding are left out. Memory: 2mn entries; about 12mn operations an
    iteration. The first step that is tried has length 1, later ones α = 1. ``search`` (default
    ``"strong_wolfe"`` with c2 = 0.9): a name or an object of :mod:`nnx.optimizers.searches`; further options:
    :class:`nnx.optimizers.Deterministic`.

    With ``bounds`` (``minimize(..., bounds=...)``) it is a projected method. Variables that a step along −γg
    would take to a bound, or keep at one, are set to it; the others move by −Vg, with V made of the pairs'
    entries for these. The search goes along the projection of w + αp onto the box and asks for values only
    (``"armijo"`` in place of a search that needs slopes). The norm of the gradient leaves out what an active
    bound holds. ``hess_inv`` of the result of ``minimize`` is V as an operator, an
    :class:`~nnx.optimizers.descent.inverse_hessian.InverseHessian`.
    Source: J. Nocedal, Math. Comp. 35 (1980) 773–782; D. C. Liu, J. Nocedal, Math. Programming 45 (1989)
    503–528; products only: W. Chen, Z. Wang, J. Zhou, NIPS 2014, 1332–1340; bounds: D. P. Bertsekas, SIAM J.
    Control Optim. 20 (1982) 221–246.

    >>> f = lambda w: np.sum((w - np.arange(3.0)) ** 2)
    >>> nnx.minimize(f, np.zeros(3), method="lbfgs", bounds=[(None, 0.5)] * 3).x
    array([0. , 0.5, 0.5])
    """

    renamed: ClassVar = {"m": "maxcor", "history_size": "maxcor", "memory_size": "maxcor"}

    search: Any = "strong_wolfe"
    maxcor: int = number(10, least=1, whole=True)
    bounds: Any = field(default=None, compare=False, metadata={"check": _box})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bounds is not None and self.search.needs_slope:
            object.__setattr__(self, "search", Armijo())

    def memory(self, problem: Problem, w: Array) -> dict[str, Array]:
        xp, rows, like = namespace(w), 2 * self.maxcor, {"dtype": w.dtype, "device": device_of(w)}
        pairs = {"pairs": xp.zeros((rows, w.shape[0]), **like)}
        return pairs if self.bounds is not None else pairs | {"products": xp.zeros((rows, rows), **like)}

    def learned(self) -> dict[str, float]:
        return {"seen": 0.0, "used": 0.0}

    def evaluate(self, problem: Problem, w: Array) -> Iterate:
        return Evaluation(problem, w, self.bounds)

    def direction(self, here: Iterate, state: State) -> Array:
        if not state.values["seen"]:
            return -here.projected_gradient
        if self.bounds is not None:
            return self._in_box(here, state)
        return self._combined(state.memory["pairs"], state.memory["products"], here.gradient, state)

    def _in_box(self, here: Iterate, state: State) -> Array:
        """The direction where there are bounds."""
        xp, box, g, pairs = namespace(here.w), self.bounds, here.gradient, state.memory["pairs"]
        newest = self._rows(state)[0]
        s, r = pairs[newest, :], pairs[newest + self.maxcor, :]
        sr, rr = read(xp.vecdot(s, r), xp.vecdot(r, r))
        ahead = box.project(here.w - (max(sr, 0.0) / rr if rr else 0.0) * g)
        free = box.free(ahead, g)
        pairs = pairs * free
        p = self._combined(pairs, pairs @ pairs.T, free * g, state)
        return xp.where(free > 0.0, p, ahead - here.w)

    def _rows(self, state: State) -> list[int]:
        """Where the pairs lie, the newest first: s in this row, r ``maxcor`` rows below."""
        seen, m = int(state.values["seen"]), self.maxcor
        return [(seen - 1 - age) % m for age in range(min(seen, m))]

    def _combined(self, pairs: Array, products: Array, g: Array, state: State) -> Array:
        """−Vg for the pairs that are given."""
        xp, m = namespace(g), self.maxcor
        known = read_vector(xp.concat([xp.reshape(products, (-1,)), pairs @ g]))
        *a, with_g = [known[i : i + 2 * m] for i in range(0, len(known), 2 * m)]
        rows = usable(self._rows(state), a, precision(g).eps)
        state.values["used"] = float(len(rows))
        gamma, weights = two_loops(rows, a, with_g)
        return xp.asarray(weights, dtype=g.dtype, device=device_of(g)) @ pairs - gamma * g

    def first_trial(self, here: Iterate, p: Array, slope: float, state: State) -> float:
        return 1.0 if state.values["used"] else unit_step(p)

    def learn(self, here: Iterate, there: Iterate, p: Array, alpha: float, state: State) -> None:
        pairs, m = state.memory["pairs"], self.maxcor
        i = int(state.values["seen"]) % m
        pairs[i, :] = there.w - here.w
        pairs[i + m, :] = there.gradient - here.gradient
        state.values["seen"] += 1.0
        if self.bounds is None:
            products = state.memory["products"]
            new = pairs @ namespace(p).stack([pairs[i, :], pairs[i + m, :]], axis=1)
            for k, row in enumerate((i, i + m)):
                products[:, row] = new[:, k]
                products[row, :] = new[:, k]

    def extras(self, state: State) -> dict[str, Any]:
        return {"hess_inv": InverseHessian(state.memory["pairs"], self._rows(state))}

    def forget(self, here: Iterate, state: State) -> None:
        state.values["seen"] = state.values["used"] = 0.0
