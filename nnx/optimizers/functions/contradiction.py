"""Whether a Jacobian that the user gave is that of the function: one difference at the start."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nnx.backend import device_of, namespace
from nnx.optimizers.descent.box import Box
from nnx.optimizers.functions.differences import Differences
from nnx.optimizers.problem import read

Array = Any

#: by what fraction of the larger of the two the change of the residuals and J·δ may differ
SHARE = 0.1


def contradicted(
    f: Callable[[Array], Array], w: Array, f0: Array, jacobian: Array, eps: float, box: Box | None
) -> str:
    """In words, that f(w + δ) − f(w) is not J·δ for a small δ in which all variables move; "" if it may be.

    A difference beyond :data:`SHARE` is only a contradiction if it and the change are far above the rounding
    of f, and if δ/2 brings half of the change and −δ/2 (where that is within ``box``, as δ is) takes it back:
    else f bends, has a kink or steps, or makes noise within δ, and nothing is known. That takes two more
    calls of ``f``, which owns each vector that it is given.
    """
    xp = namespace(w)
    # unlike shares of each step: no terms cancel by design
    golden = 0.6180339887 * xp.arange(1, w.shape[0] + 1, dtype=w.dtype, device=device_of(w))
    share = 0.5 + 0.5 * (golden - xp.floor(golden))
    steps = math.sqrt(eps) * share * xp.where(w == 0.0, 1.0, w)
    step = (w + Differences(abs_step=steps).within(box).bounded_steps(w, eps)) - w
    norm = xp.linalg.vector_norm
    change, promised = f(w + step) - f0, jacobian @ step
    # what rounding may make of both
    noise, terms = 1e3 * eps * norm(f0), 1e-3 * norm(xp.abs(jacobian) @ xp.abs(step))
    apart, actual, said, rounding, sums = read(
        norm(change - promised), norm(change), norm(promised), noise, terms
    )
    if not max(SHARE * max(actual, said), rounding, sums) < apart < math.inf or actual <= rounding:
        return ""
    for half in (0.5, -0.5):
        there = w + half * step
        if box is not None and read(xp.max(xp.abs(box.project(there) - there)))[0] > 0.0:
            continue
        if not read(norm((f(there) - f0) / half - change))[0] <= 0.1 * min(apart, actual):
            return ""
    return (
        "The given jac contradicts fun: for a small change of x, fun changes by "
        f"{actual:.3g} (2-norm) and jac says {said:.3g}; the two differ by {apart:.3g}."
    )
