"""When a sum of squares is worth a second run from the same start, with cautious first steps."""

from __future__ import annotations

import math
from typing import Any

from nnx.backend import namespace
from nnx.optimizers.functions.run import Run
from nnx.optimizers.problem import Stop, read

Array = Any

#: a variable that has grown by this factor may have run away
_FAR = 1e3
#: squares of lengths of columns of J, beside what they were and beside the residuals, that are nothing
_UNSEEN = 1e-16
#: ‖J·d‖² of a direction d that is not felt, where it and the columns of J have length 1
_UNFELT = 1e-12


def minimum_of_squares(run: Run) -> Stop:
    """Runs; and once more, where that was in vain, or a variable ran away and has no influence any more.

    A bold first step may lead to where a model is flat, or to a minimum at infinity, though there is a better
    one nearer. A second run costs evaluations only where there is no other success; not where a limit of the
    user's ended the first one.
    """
    begin: Any = namespace(run.start.w).asarray(run.start.w, copy=True)
    stop = run()
    method, best = getattr(run.method, "cautious", None), run.best
    if method is None or best is None or not run.steps or run.spent or stop.status in (-1, 4, 99):
        return stop
    if best.cost == 0.0:  # nothing is lower
        return stop
    if stop.status == 0 and run.limits.maxiter is not None:
        return stop
    return run.again(method, begin, stop) if not stop.success or without_influence(run, begin) else stop


def without_influence(run: Run, start: Array) -> bool:
    """Whether a variable has no influence on the residuals at the end, and had some on the way there.

    Either its column of J became negligible, or it is far from its start and part of a direction that is not
    felt.
    """
    best: Any = run.best
    if not best.system.has_matrix:
        return False
    xp, w, diagonal, most = namespace(start), best.w, best.system.diagonal, run.state.memory["most"]
    unseen = xp.sqrt(diagonal) * xp.abs(w) <= math.sqrt(_UNSEEN * best.total)
    lost = (most > 0.0) & (diagonal <= _UNSEEN * most) & unseen
    far = (start != 0.0) & (xp.abs(w) > _FAR * xp.abs(start))
    some_lost, some_far = read(*(xp.astype(xp.any(which), w.dtype) for which in (lost, far)))
    if some_lost or not some_far:
        return bool(some_lost)
    unit = 1.0 / xp.sqrt(xp.where(diagonal > 0.0, diagonal, 1.0))
    values, vectors = xp.linalg.eigh(unit[:, None] * best.system.matrix * unit[None, :])
    unfelt = (values <= _UNFELT * xp.max(values))[None, :] & far[:, None]
    return read(xp.max(xp.where(unfelt, xp.abs(vectors), 0.0)))[0] > 0.1
