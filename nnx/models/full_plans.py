"""What methods ask of a network on all samples, recorded: costs, residuals, rows, products with the Hessian.

These are called with the same shapes over and over, as training steps are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from nnx.autodiff import grad, jvp, vjp
from nnx.backend import namespace
from nnx.jitting import Halved, Replayed
from nnx.models.program import Params, Ran
from nnx.models.weights import Weights

Array = Any


class FullPlans:
    """The recorded functions of a :class:`nnx.models.full_batch.FullBatchProblem`.

    Each takes the weights as one vector, and is about the batch that the problem shows.
    """

    def __init__(self, problem: Any, weights: Weights) -> None:
        self.problem, self.weights = problem, weights

    # -- what a problem asks for ------------------------------------------------------------------------

    def value(self, w: Array) -> tuple[Array, Ran, list[Array]]:
        """The cost at ``w``, what the network gave, and the metrics' sums."""
        value, ran, statistics = self._value(w, *self.problem.batch.arrays)
        return value, Ran(*ran), statistics

    def value_of(self, w: Array, ran: Ran) -> tuple[Array, list[Array]]:
        """The cost at ``w`` and the metrics' sums, of what the network gave there."""
        value, statistics = self._value_of(
            w, *ran.outputs, *(ran.masks or [None] * len(ran.outputs)), *self.problem.batch.arrays
        )
        return value, statistics

    def hvp(self, w: Array, v: Array) -> Array:
        """The product of the Hessian at ``w`` with ``v``."""
        return self._hvp(w, v, *self.problem.batch.arrays)

    def jvp(self, w: Array, v: Array) -> Array:
        """The product of the Jacobian at ``w`` with ``v``."""
        return self._jvp(w, v, *self.problem.batch.arrays)

    def residual(self, w: Array) -> tuple[Array, Ran, Callable[[Array], None]]:
        """The residuals at ``w``, what the network gave, and a function that fills an array with rows of J.

        That is all of them: of shape (entries of a sample's residuals, samples, weights).
        """
        (residual, ran), rows = self._residual(w, *self.problem.batch.arrays)
        return residual, Ran(*ran), rows

    # -- the functions ----------------------------------------------------------------------------------

    def functions(self) -> list[Replayed]:
        """Those that were asked for."""
        return [made for made in vars(self).values() if isinstance(made, Replayed)]

    def _at(self, state: Array, pieces: Sequence[Array]) -> Params:
        """For each layer its weights by name, of the state vector and of pieces for the trained ones."""
        return self.weights.params(pieces, self.problem.objective.network.state_layout.views(state))

    @cached_property
    def _value(self) -> Replayed:
        problem = self.problem

        def value(state: Array, w: Array, *arrays: Any) -> tuple[Array, tuple[Any, ...], list[Array]]:
            batch, params = problem.objective.batch_of(arrays), self._at(state, problem.layout.views(w))
            ran = problem.checked(problem.run(params, batch))
            statistics = problem.objective.statistics(ran, batch)
            return problem.objective.total(ran, batch, params), tuple(ran), statistics

        return problem.recorded(value)

    @cached_property
    def _value_of(self) -> Replayed:
        problem, count = self.problem, len(self.problem.objective.network.outputs)

        def value_of(state: Array, w: Array, *args: Any) -> tuple[Array, list[Array]]:
            outputs, masks, arrays = args[:count], args[count : 2 * count], args[2 * count :]
            ran, batch = Ran(list(outputs), {}, [], masks), problem.objective.batch_of(arrays)
            statistics = problem.objective.statistics(ran, batch)
            return problem.objective.total(ran, batch, self._at(state, problem.layout.views(w))), statistics

        return problem.recorded(value_of)

    @cached_property
    def _hvp(self) -> Replayed:
        problem, layout = self.problem, self.problem.layout

        def hvp(state: Array, w: Array, v: Array, *arrays: Any) -> Array:
            batch = problem.objective.batch_of(arrays)

            def cost(pieces: Sequence[Array]) -> Array:
                params = self._at(state, pieces)
                return problem.objective.total(problem.run(params, batch), batch, params)

            return layout.pack(jvp(grad(cost), (layout.views(w),), (layout.views(v),))[1])

        return problem.recorded(hvp)

    @cached_property
    def _jvp(self) -> Replayed:
        problem, layout = self.problem, self.problem.layout

        def jacobian_product(state: Array, w: Array, v: Array, *arrays: Any) -> Array:
            batch = problem.objective.batch_of(arrays)

            def residuals(pieces: Sequence[Array]) -> Array:
                return problem.residuals(problem.run(self._at(state, pieces), batch), batch)

            return jvp(residuals, (layout.views(w),), (layout.views(v),))[1]

        return problem.recorded(jacobian_product)

    @cached_property
    def _residual(self) -> Halved:
        problem = self.problem

        def residual(state: Array, w: Array, *arrays: Any) -> Any:
            batch, params = problem.objective.batch_of(arrays), self._at(state, problem.layout.views(w))
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

        def room(*args: Any) -> list[Array]:
            return [problem.rows.room(problem.entries)]

        return problem.recorded(residual, more=room)
