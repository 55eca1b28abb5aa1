"""SciPy's codes for the rule that ended a run, from the ones of :data:`nnx.optimizers.REASONS`."""

from __future__ import annotations

from nnx.optimizers.problem import Stop


def of_minimize(stop: Stop) -> int:
    """The ``status`` in a result of ``minimize``; see :class:`nnx.optimizers.OptimizeResult`."""
    if stop.success:
        return 0
    return {-1: 3, 0: 1, 99: 99}.get(stop.status, 2)


def of_least_squares(stop: Stop) -> int:
    """The ``status`` in a result of ``least_squares``: above 0 exactly where it is a success."""
    if stop.success:
        return {1: 1, 3: 3, 4: 5}.get(stop.status, 2)
    return {-1: -1, 0: 0, 99: -2}.get(stop.status, -3)
