"""When a sum of squares is worth a second run from the same start, with cautious first steps."""

from __future__ import annotations

from typing import Any

from nnx.backend import namespace
from nnx.optimizers.functions.run import Run
from nnx.optimizers.problem import Stop, read

Array = Any

#: a variable that has grown by this factor may have run away
_FAR = 1e3
#: ‖J·d‖² of a direction d that is not felt, where it and the columns of J have length 1
_UNFELT = 1e-12


def minimum_of_squares(run: Run) -> Stop:
    """Runs; and once more, where that was in vain, or a variable ran away and has no influence any more.

    A bold first step may lead to where a model is flat, or to a minimum at infinity, though there is a better
    one nearer. A second run costs evaluations only where there is no other success; not where a limit of the
    user's ended the first one.
    """
    begin: Any = namespace(run.start.w).asarray(run.start.w, copy=True)
    first = namespace(begin).asarray(begin, copy=True)
    stop = run()
    method, best = getattr(run.method, "cautious", None), run.best
    if method is None or best is None or not run.steps or run.spent or stop.status in (-1, 4, 99):
        return stop
    if stop.status == 0 and run.limits.maxiter is not None:
        return stop
    return run.again(method, begin, stop) if not stop.success or ran_away(best, first) else stop


def ran_away(best: Any, start: Array) -> bool:
    """Whether a variable is far from its start and part of a direction that the residuals do not feel."""
    xp = namespace(start)
    far = (start != 0.0) & (xp.abs(best.w) > _FAR * xp.abs(start))
    if not best.system.has_matrix or not read(xp.astype(xp.any(far), start.dtype))[0]:
        return False
    diagonal = best.system.diagonal
    unit = 1.0 / xp.sqrt(xp.where(diagonal > 0.0, diagonal, 1.0))
    values, vectors = xp.linalg.eigh(unit[:, None] * best.system.matrix * unit[None, :])
    unfelt = (values <= _UNFELT * xp.max(values))[None, :] & far[:, None]
    return bool(read(xp.max(xp.where(unfelt, xp.abs(vectors), 0.0)) - 0.1)[0] > 0.0)
