"""A training step of which all is settled: its program is recorded, its rule bound to its vectors.

What a step otherwise asks anew (which point, which problem, is there a judge, who moves) is known then; what
depends on numbers is still looked at in each step, and a step that is not calm goes the long way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nnx.jitting import Plan
from nnx.models.batch_problem import BatchProblem
from nnx.models.objective import Batch
from nnx.models.weights import Weights
from nnx.optimizers import Info, Point


class QuickStep:
    """Steps of one optimizer's state on one problem; :meth:`of` says whether there are such."""

    def __init__(
        self,
        problem: BatchProblem,
        weights: Weights,
        optimizer: Any,
        state: Any,
        move: Callable[[float], None],
    ) -> None:
        self._problem, self._weights, self._optimizer = problem, weights, optimizer
        self._state, self._move = state, move
        #: the last batch, its arrays, and what is known of steps with such: mostly a batch is the one before
        #: with other numbers, and finding that out again is 2 % of a small step
        self._last: tuple[Any, Sequence[Any], Plan | None] = None, (), None

    @classmethod
    def of(cls, problem: Any, weights: Weights, optimizer: Any, state: Any) -> QuickStep | None:
        """Quick steps; None where a step is more than a gradient and a rule, or where it is not recorded."""
        if weights.network.constrained or problem.reason or not problem.adapter.reads_are_free:
            return None
        bound = getattr(optimizer, "bound", None)
        move = None if bound is None else bound(weights.trained, problem.gradient_place, state)
        return None if move is None else cls(problem, weights, optimizer, state, move)

    def __call__(self, batch: Batch, is_calm: Callable[[float, Any, Any], bool]) -> Info | None:
        """One step; None, and nothing is changed, where it is not recorded or not calm."""
        problem, state = self._problem, self._state
        problem.show(batch, state.step)
        before, arrays, plan = self._last
        if batch is not before:
            arrays = batch.arrays
            plan = problem.own_step.known(arrays)
            self._last = batch, arrays, plan
        found = None if plan is None else plan.replayed(arrays)
        if found is None:
            return None
        value, squares, ran, statistics = found[0]
        rate = self._optimizer.rate(state)
        if not is_calm(rate, value, squares):
            return None
        self._move(rate)
        state.step += 1
        counts = problem.counts
        counts["value"] += 1
        counts["gradient"] += 1
        if ran[1]:
            self._weights.commit(ran[1])
        point = Point(problem, self._weights.trained, {"value": value, "gradient": problem.gradient_place})
        point.aux["statistics"] = statistics
        return Info(point, rate)
