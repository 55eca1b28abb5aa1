"""Training, step by step: the one place where weights are written to."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from nnx import optimizers
from nnx.errors import OptionError
from nnx.models.batch_problem import BatchProblem
from nnx.models.full_batch import FullBatchProblem
from nnx.models.norms import activation_norms, activation_program, gradient_norms
from nnx.models.objective import Batch, Objective
from nnx.models.program import Program
from nnx.models.quick_step import QuickStep
from nnx.models.weights import Weights

Array = Any


class Trainer:
    """Weights in training, with the problem and the optimizer's state: the only one who writes to them.

    A step computes (the problem), judges (``judge``, which raises where weights would be spoiled), and moves
    (the optimizer); what stateful layers returned and the constraints follow where the step was accepted.
    """

    def __init__(self, weights: Weights, objective: Objective, optimizer: Any, seed: int) -> None:
        self.weights, self.objective, self.optimizer = weights, objective, optimizer
        #: methods of first order take one gradient; the others compare costs from step to step
        self.first_order = not isinstance(optimizer, optimizers.Deterministic)
        kind = BatchProblem if self.first_order else FullBatchProblem
        self.problem = kind(objective, weights, seed)
        self.state = optimizer.init(self.problem, weights.trained)
        #: the gradient of the last step
        self.gradient: Array = None
        #: whether the optimizer's average is in the place of the weights
        self._averaged = False
        self._known: tuple[Any, QuickStep | None] = (None, None)
        #: why no more steps can be made: the model was changed
        self.retired: str | None = None

    def step(self, batch: Batch, guard: Any = None) -> optimizers.Info:
        """One step of the optimizer on a batch; a ``guard`` judges it (:class:`nnx.models.guard.Guard`)."""
        if self.retired is not None:
            raise OptionError(self.retired)
        if self._averaged:
            self.show_average(False)
        problem, w = self.problem, self.weights.trained
        quick = self._quick() if guard is not None and self.first_order else None
        with self.weights.computing():
            if quick is not None and (done := quick(batch, guard.is_calm)) is not None:
                self.gradient = problem.gradient_place
                return done
            problem.show(batch, self.state.step)
            if self.first_order:
                point = problem.at(w)
                if guard is not None:
                    guard.judge(point)
                problem.knows(point)
            _, self.state, info = self.optimizer.step(problem, w, self.state)
        # Methods that compare costs know it at the point where they ended, however they computed it.
        self.gradient = (getattr(self.state, "point", None) or info.point).gradient
        if info.accepted:
            self.weights.commit(problem.changes(info.point))
            self.weights.constrain()
        return info

    def _quick(self) -> QuickStep | None:
        """Steps that are settled, for the state as it is."""
        state, known = self._known
        if state is not self.state:
            known = QuickStep.of(self.problem, self.weights, self.optimizer, self.state)
            self._known = self.state, known
        return known

    @property
    def learning_rate(self) -> float:
        """The rate of the next step; an error for methods that have none."""
        return float(self.optimizer.rate(self.state))

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.optimizer.rate(self.state)  # an error where there is none
        self.state.learning_rate = self.optimizer.constant_rate(value)

    # -- what a callback may ask -------------------------------------------------------------------

    def gradient_norms(self) -> dict[str, float]:
        """For each layer that is trained the norm of the last step's gradient by its weights."""
        return {} if self.gradient is None else gradient_norms(self.weights.network, self.gradient)

    def activation_norms(self) -> dict[str, float]:
        """For each layer the norm of what it gives for a sample of the last step's batch."""
        batch = self.problem.batch
        return {} if batch is None else activation_norms(self._watched, self.weights.own_params, batch.xs)

    @cached_property
    def _watched(self) -> Program:
        return activation_program(self.weights.network)

    # -- the end, and going on ---------------------------------------------------------------------

    def finish(self) -> None:
        """The end of training: an optimizer that keeps an average of the weights puts it in their place."""
        self.show_average(False)
        self.optimizer.finalize(self.weights.trained, self.state)

    def show_average(self, shown: bool) -> bool:
        """Whether the average of the weights (``use_ema``) was in their place; from now on as ``shown`` says.

        The next step, and the end of training, put the weights back by themselves.
        """
        before, self._averaged = self._averaged, shown
        if shown is not before:
            w, average = self.weights.trained, self.state.memory["ema"]
            self.state.memory["ema"] = self.weights.backend.xp.asarray(w, copy=True)
            w[...] = average
        return before

    def restored(self, vectors: Mapping[str, Array], numbers: Mapping[str, int | float]) -> Any:
        """The optimizer's state out of a file, for :meth:`resume`; an error where it is another one's."""
        return self.optimizer.restore(self.problem, self.weights.trained, vectors, numbers)

    def resume(self, state: Any) -> None:
        """Goes on with a state of the optimizer: the weights are those that belong to it."""
        self.state, self.gradient, self._averaged = state, None, False

    def go_back(self, trained: Array, state: Array) -> None:
        """Puts vectors in place of the weights; the optimizer's averages start anew, its rate stays."""
        self.weights.trained[...] = trained
        self.weights.state[...] = state
        before, self._averaged = self.state, False
        self.state = self.optimizer.init(self.problem, self.weights.trained)
        self.state.step, self.state.learning_rate = before.step, before.learning_rate
        self.gradient = None
