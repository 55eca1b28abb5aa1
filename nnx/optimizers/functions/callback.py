"""Callbacks of a run, in SciPy's two forms."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from nnx.backend import namespace
from nnx.errors import OptionError
from nnx.optimizers.descent.evaluation import Iterate
from nnx.optimizers.problem import offers
from nnx.optimizers.result import OptimizeResult

Array = Any


def teller(callback: Any, run: Any) -> Callable[[Iterate], bool] | None:
    """A function that tells ``callback`` of an iterate of ``run`` and returns whether it asks to stop.

    It does so by returning True or by raising StopIteration. A callback whose only parameter is named
    ``intermediate_result`` gets that by name, any other one gets x. None without a callback.
    """
    if callback is None:
        return None
    if not callable(callback):
        raise OptionError(f"callback must be a function, got {callback!r}.")
    try:
        by_name = set(inspect.signature(callback).parameters) == {"intermediate_result"}
    except (TypeError, ValueError):
        by_name = False

    def tell(there: Iterate) -> bool:
        try:
            if by_name:
                answer = callback(intermediate_result=_so_far(there, run))
            else:
                answer = callback(_own(there.w, run))
        except StopIteration:
            return True
        # not whatever counts as true: a callback may return something else by the way
        return type(answer).__name__ in ("bool", "bool_") and bool(answer)

    return tell


def _so_far(there: Iterate, run: Any) -> OptimizeResult:
    """What SciPy tells: x, fun, nit, nfev, and for a sum of squares, where fun is r, the cost."""
    squares = offers(there.point, "residual")
    fun = namespace(there.w).asarray(there.point.residual, copy=True) if squares else there.cost
    found = OptimizeResult(x=_own(there.w, run), fun=fun, nit=run.steps, nfev=run.problem.counts["value"])
    if squares:
        found["cost"] = there.cost
    return found


def _own(w: Array, run: Any) -> Any:
    """A copy in the form of x0: the callback may write into it."""
    return run.start.form(namespace(w).asarray(w, copy=True))
