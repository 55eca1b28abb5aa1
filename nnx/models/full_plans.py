"""What methods ask of a network on all samples, recorded: costs, residuals, rows, products with the Hessian.

These are called with the same shapes over and over, as training steps are (:mod:`nnx.models.step_plan`), and
the same holds of them: only what nnx itself computes is recorded, and bits are compared before it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from nnx.autodiff import grad, jvp, vjp
from nnx.backend import namespace
from nnx.jitting import Clock, Halved, Replayed
from nnx.models.objective import Batch
from nnx.models.program import Ran
from nnx.models.weights import Weights

Array = Any


class FullPlans:
    """The recorded functions of a :class:`nnx.models.full_batch.FullBatchProblem`.

    Each takes the weights as one vector and what the batch has, and gives what it has the recording of.
    """

    def __init__(self, problem: Any, weights: Weights, state: Sequence[Array]) -> None:
        self.problem, self.weights, self.state = problem, weights, state
        self._clock = Clock()
        network = problem.objective.network
        self._counts = len(network.inputs), len(network.outputs)

    # -- what a problem asks for ------------------------------------------------------------------------

    def value(self, w: Array) -> tuple[Array, Ran, list[Array]]:
        """The cost at ``w``, what the network gave, and the metrics' sums."""
        value, ran, statistics = self._value(w, *self._given())
        return value, Ran(*ran), statistics

    def value_of(self, w: Array, ran: Ran) -> tuple[Array, list[Array]]:
        """The cost at ``w`` and the metrics' sums, of what the network gave there."""
        value, statistics = self._value_of(
            w, *ran.outputs, *(ran.masks or [None] * self._counts[1]), *self._given()
        )
        return value, statistics

    def hvp(self, w: Array, v: Array) -> Array:
        """The product of the Hessian at ``w`` with ``v``."""
        return self._hvp(w, v, *self._given())

    def jvp(self, w: Array, v: Array) -> Array:
        """The product of the Jacobian at ``w`` with ``v``."""
        return self._jvp(w, v, *self._given())

    def residual(self, w: Array) -> tuple[Array, Ran, Callable[[Array], None]]:
        """The residuals at ``w``, what the network gave, and a function that fills an array with rows of J.

        That is all of them: of shape (entries of a sample's residuals, samples, weights).
        """
        (residual, ran), rows = self._residual(w, *self._given())
        return residual, Ran(*ran), rows

    def text(self) -> str:
        """What is recorded, in words, or why something is not."""
        made = [found for found in vars(self).values() if isinstance(found, Replayed)]
        found = [str(program) for plan in made for program in plan.programs]
        found += [f"{p.name} is computed as it is: {p.reason}" for p in made if p.reason]
        return "\n".join(found)

    # -- the functions ----------------------------------------------------------------------------------

    def _given(self) -> list[Any]:
        """The arrays of the batch and the state, flat."""
        problem = self.problem
        self._clock.step = problem.context.step
        batch = problem.batch
        return [*batch.xs, *batch.ys, *batch.weights, *self.state]

    def _spread(self, given: Sequence[Any]) -> tuple[Batch, Sequence[Array]]:
        """Batch and state, of :meth:`_given`."""
        inputs, outputs = self._counts
        ends = inputs, inputs + outputs, inputs + 2 * outputs
        xs, ys, weights = given[: ends[0]], given[ends[0] : ends[1]], given[ends[1] : ends[2]]
        return Batch(tuple(xs), tuple(ys), tuple(weights)), given[ends[2] :]

    @cached_property
    def _value(self) -> Replayed:
        problem = self.problem

        def value(w: Array, *given: Any) -> tuple[Array, tuple[Any, ...], list[Array]]:
            batch, state = self._spread(given)
            params = self.weights.params(problem.layout.views(w), state)
            ran = problem.checked(problem.run(params, batch))
            statistics = problem.objective.statistics(ran, batch)
            return problem.objective.total(ran, batch, params), tuple(ran), statistics

        return Replayed(value, self._clock)

    @cached_property
    def _value_of(self) -> Replayed:
        problem, count = self.problem, self._counts[1]

        def value_of(w: Array, *args: Any) -> tuple[Array, list[Array]]:
            outputs, masks, given = args[:count], args[count : 2 * count], args[2 * count :]
            batch, state = self._spread(given)
            ran = Ran(list(outputs), {}, [], masks)
            statistics = problem.objective.statistics(ran, batch)
            params = self.weights.params(problem.layout.views(w), state)
            return problem.objective.total(ran, batch, params), statistics

        return Replayed(value_of, self._clock)

    @cached_property
    def _hvp(self) -> Replayed:
        problem, layout = self.problem, self.problem.layout

        def hvp(w: Array, v: Array, *given: Any) -> Array:
            batch, state = self._spread(given)

            def cost(pieces: Sequence[Array]) -> Array:
                params = self.weights.params(pieces, state)
                return problem.objective.total(problem.run(params, batch), batch, params)

            return layout.pack(jvp(grad(cost), (layout.views(w),), (layout.views(v),))[1])

        return Replayed(hvp, self._clock)

    @cached_property
    def _jvp(self) -> Replayed:
        problem = self.problem

        def jacobian_product(w: Array, v: Array, *given: Any) -> Array:
            batch, state = self._spread(given)

            def residuals(pieces: Sequence[Array]) -> Array:
                return problem.residuals(problem.run(self.weights.params(pieces, state), batch), batch)

            return jvp(residuals, (problem.layout.views(w),), (problem.layout.views(v),))[1]

        return Replayed(jacobian_product, self._clock)

    @cached_property
    def _residual(self) -> Halved:
        problem = self.problem

        def residual(w: Array, *given: Any) -> Any:
            batch, state = self._spread(given)
            params = self.weights.params(problem.layout.views(w), state)
            ran, back = problem.objective.program.per_sample(params, batch.xs, problem.context)
            ran = problem.checked(ran)
            found, by_outputs = vjp(
                lambda *outputs: problem.residuals(ran._replace(outputs=list(outputs)), batch), *ran.outputs
            )

            def rows(store: Array) -> None:
                for k in range(store.shape[0]):
                    only = problem.output_of(k)
                    gs = by_outputs(namespace(found).reshape(problem.rows.picked(found, k), (-1,)))
                    gradients = back([g if i == only else None for i, g in enumerate(gs)])
                    problem.rows.fill(store[k, ...], gradients(slice(0, batch.size)))

            return (found, tuple(ran)), rows

        return Halved(residual, lambda *_: [problem.rows.room(problem.entries)], clock=self._clock)
