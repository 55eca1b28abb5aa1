"""The objective on all data at once, with what the methods of second order ask of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

from nnx.autodiff import grad, jvp, vjp
from nnx.backend import device_of, namespace
from nnx.errors import OptionError
from nnx.losses import registry as losses
from nnx.models.objective import Batch, BatchPoint, BatchProblem
from nnx.models.program import Params, Ran
from nnx.optimizers.problem import read
from nnx.options import built_in

Array = Any


class FullBatchPoint(BatchPoint):
    """The objective at one vector of weights, with residuals and products with derivatives."""

    problem: FullBatchProblem

    def __init__(self, problem: FullBatchProblem, w: Array) -> None:
        super().__init__(problem, problem.layout.views(w))
        self.w = w
        self.params = problem.params(self.pieces)
        self._ran: Ran | None = None

    @property
    def ran(self) -> Ran:
        """What the network answers."""
        if self._ran is None:
            self.problem.counts["value"] += 1
            self._ran = self.problem.run(self.params)
        return self._ran

    @property
    def output(self) -> Array:
        """The network's output."""
        return self.ran.outputs[0]

    @property
    def value(self) -> Array:
        problem, batch = self.problem, self.problem.batch
        if self._value is None and batch is not None:
            self._value = problem.objective.total(self.ran, batch, self.params)
            self.learn(self.ran)
        return self._value

    @property
    def gradient(self) -> Array:
        if self._gradient is None:
            self.problem.counts["gradient"] += 1
            self.problem.counts["value"] += self._value is None
        return super().gradient

    def hvp(self, v: Array) -> Array:
        """The product H·v of the Hessian with a vector."""
        problem = self.problem
        problem.counts["hvp"] += 1
        slope = grad(lambda pieces: problem.cost(pieces)[0])
        return problem.layout.pack(jvp(slope, (self.pieces,), (problem.layout.views(v),))[1])

    @cached_property
    def hessian(self) -> Array:
        """The Hessian, n × n and symmetric."""
        xp, n = namespace(self.w), self.w.shape[0]
        eye = xp.eye(n, dtype=self.w.dtype, device=self.problem.device)
        h = xp.stack([self.hvp(eye[i, :]) for i in range(n)])
        self.problem.counts["hvp"] -= n
        self.problem.counts["hessian"] += 1
        return 0.5 * (h + h.T)

    # -- sums of squares --------------------------------------------------------------------------

    @cached_property
    def residual(self) -> Array:
        """r(w) with ½‖r‖² the loss, without the penalties on weights."""
        problem = self.problem
        problem.counts["value"] += 1
        # Keep the pullbacks: most points evaluated here become the next iterate.
        self._pullbacks = problem.pullbacks(self.params)
        outputs = [output for output, _ in self._pullbacks]
        output = outputs[0] if len(outputs) == 1 else problem.adapter.xp.concat(outputs)
        changes = problem.run(self.params).changes if problem.stateful else {}
        self._ran = Ran([output], changes, [])
        residual, self._by_output = vjp(lambda out: problem.residual(out, problem.batch), output)
        return residual

    @property
    def residual_scale(self) -> float:
        """What the errors are multiplied by in the residuals: the loss is the mean of their squares."""
        return math.sqrt(2.0 / self.residual.shape[0])

    @property
    def ridge(self) -> Array | None:
        """Penalties as a vector d: ½ Σ dᵢwᵢ² is added to the cost; None where there are none."""
        return self.problem.ridge

    def blocks(self, memory_limit: float) -> Iterator[tuple[Array, Array]]:
        """Rows of the Jacobian with their residuals, as many at a time as cache and memory hold.

        All blocks lie in one buffer: each is there until the next one is asked for.
        """
        self.problem.counts["jacobian"] += 1
        self.problem.check_rows(self)
        residual = namespace(self.w).reshape(self.residual, (self.output.shape[0], -1))
        for k in range(residual.shape[1]):
            for part, rows in self.column(k, memory_limit):
                yield rows, residual[part, k]

    def column(self, k: int, memory_limit: float = math.inf) -> Iterator[tuple[slice, Array]]:
        """The rows of the Jacobian for the k-th number of each sample's residuals, some samples at a time."""
        xp, n, size = namespace(self.w), self.output.shape[0], self.problem.rows_at_once(memory_limit)
        picked = xp.ones_like(xp.reshape(self.residual, (n, -1)))
        if picked.shape[1] > 1:
            index = xp.arange(picked.shape[1], device=self.problem.device)
            picked = xp.where(index == k, picked, 0.0)
        yield from self._rows(picked, size)

    def _rows(self, u: Array, size: int) -> Iterator[tuple[slice, Array]]:
        """Each sample's gradient of Σ u·r by the weights as a row, for so many samples at a time."""
        (by_output,) = self._by_output(namespace(u).reshape(u, (-1,)))
        end = 0
        for output, back in self._pullbacks:
            first, end = end, end + output.shape[0]
            gradients = back(by_output[first:end, ...])
            for start in range(first, end, size):
                stop = min(start + size, end)
                rows = self.problem.rows(gradients(slice(start - first, stop - first)))
                yield slice(start, stop), rows

    def jvp(self, v: Array) -> Array:
        """The product J·v."""
        self.problem.counts["product"] += 1
        return jvp(self._residuals, (self.pieces,), (self.problem.layout.views(v),))[1]

    def vjp(self, u: Array) -> Array:
        """The product Jᵀ·u."""
        self.problem.counts["product"] += 1
        residual = self.residual  # which keeps the pullbacks
        assert u.shape == residual.shape
        xp, total = namespace(u), namespace(u).zeros_like(self.w)
        for _, rows in self._rows(u, self.problem.rows_at_once()):
            total = total + xp.sum(rows, axis=0)
        return total

    def _residuals(self, pieces: Sequence[Any]) -> Array:
        problem = self.problem
        return problem.residual(problem.run(problem.params(pieces)).outputs[0], problem.batch)


class FullBatchProblem(BatchProblem):
    """A model's objective for methods that compare costs from step to step.

    ``version`` counts how often it became another function: by other data, or by other random numbers of
    layers that have them (these stay the same within a step). ``counts`` are the figures of merit: values,
    gradients, Jacobians, products.
    """

    #: how steps of the weights are measured where the method was not told: they have like units
    scaling = "identity"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.version = 0
        self._checked = False
        self.device = device_of(self._owned)
        self._rows: Array = None
        layers = self.objective.network.layers
        #: whether layers return changes, which no pullback tells
        self.stateful = any(layer.stateful for layer in layers)
        self._random = self.stateful or any(layer.random for layer in layers)
        self._own_layers = [
            k for k, call in enumerate(self.objective.network.calls) if not built_in(layers[call.layer])
        ]

    def show(self, batch: Batch, step: int) -> None:
        self.version += batch is not self.batch or self._random
        super().show(batch, step)

    def at(self, w: Array) -> FullBatchPoint:
        return FullBatchPoint(self, w)

    # -- sums of squares --------------------------------------------------------------------------

    def need_residuals(self, method: str) -> None:
        """Raises :class:`nnx.errors.OptionError` where the objective is no sum of squares of the samples."""
        objective = self.objective
        if self._residual is None:
            able = [e.name for e in losses if e.facts.get("residual")]
            raise OptionError(
                f"{method} needs a loss that is a sum of squares ({', '.join(able)}), got "
                f"'{objective.loss.name}'. For other losses take optimizer='lbfgs': it needs gradients only."
            )
        network = objective.network
        for k, call in enumerate(network.calls):
            layer, place = network.layers[call.layer], network.place(k).removeprefix("in ")
            if layer.mixes_samples:
                raise OptionError(
                    f"{method} needs each sample's own derivatives, but {place} mixes the samples of a "
                    "batch. Take optimizer='lbfgs', or leave that layer out."
                )
            if layer.activity_regularizer is not None:
                raise OptionError(
                    f"{method} needs a cost that is a sum of squares, but {place} has a penalty on its "
                    "outputs. Take optimizer='lbfgs', or leave activity_regularizer out."
                )
        _ = self.ridge

    def check_rows(self, point: FullBatchPoint) -> None:
        """Once, where layers are a user's own: are rows made sample by sample those of the Jacobian?"""
        if self._checked or not self._own_layers:
            return
        self._checked = True
        xp = self.adapter.xp
        v = xp.cos(xp.arange(self.layout.size, dtype=self._owned.dtype, device=self.device))
        count = point.residual.shape[0] // point.output.shape[0]
        columns = [xp.concat([rows @ v for _, rows in point.column(k)]) for k in range(count)]
        seen, norm = xp.reshape(xp.stack(columns, axis=1), (-1,)), xp.linalg.vector_norm
        difference, size = read(norm(seen - point.jvp(v)), norm(seen))
        if difference > math.sqrt(xp.finfo(v.dtype).eps) * size:
            place = self.objective.network.place(self._own_layers[0]).removeprefix("in ")
            raise OptionError(
                f"Rows of the Jacobian made sample by sample are not those of the network: {place} mixes the "
                "samples of a batch, or its per_sample is wrong. Take optimizer='lbfgs': it needs no rows."
            )

    @property
    def _residual(self) -> Any:
        return self.objective.loss.facts.get("residual")

    def residual(self, output: Array, batch: Batch | None) -> Array:
        """The r with ½‖r‖² the mean loss."""
        assert batch is not None
        return math.sqrt(2.0) * self._residual(batch.y, output, batch.weight)

    @cached_property
    def ridge(self) -> Array | None:
        """The vector d of squared penalties ½ Σ dᵢwᵢ²; None without any."""
        if not self.objective.penalties:
            return None
        d = self.adapter.xp.zeros_like(self._owned)
        for _, _, i, regularizer in self.objective.penalties:
            factor = _squared(regularizer)
            if factor is None:
                name = self.layout.names[i]
                raise OptionError(
                    f"The penalty {regularizer!r} on '{name}' is no sum of squares. Take an L2 penalty, or "
                    "optimizer='lbfgs'."
                )
            d[self.layout.slices[i]] = 2.0 * factor
        return d

    def pullbacks(self, params: Params) -> list[tuple[Array, Callable[[Array], Any]]]:
        """The network's output and its pullback sample by sample, for as many samples as the cache holds."""
        assert self.batch is not None
        xs, n = self.batch.xs, self.batch.size
        size = (
            n if self._random else self.rows_at_once()
        )  # a layer's random numbers belong to the whole batch
        parts = [xs] if size == n else [tuple(x[i : i + size, ...] for x in xs) for i in range(0, n, size)]
        program = self.objective.program
        return [program.per_sample(params, part, self.context) for part in parts]

    def rows_at_once(self, memory_limit: float = math.inf) -> int:
        """For how many samples at a time rows of the Jacobian are made."""
        assert self.batch is not None
        row = max(1, self.layout.size)
        # With few rows per block, adding up JᵀJ (n² entries) costs more than computing it.
        cached = max(4 * row, self.adapter.cached_numbers / row)
        limit = memory_limit / (row * (self.adapter.xp.finfo(self._owned.dtype).bits // 8))
        return int(max(1, min(self.batch.size, cached, limit)))

    def rows(self, by_weight: list[Array]) -> Array:
        """Each sample's gradient as a row, in the problem's buffer."""
        xp, n = self.adapter.xp, by_weight[0].shape[0]
        if self._rows is None or self._rows.shape[0] < n:
            self._rows = xp.empty((n, self.layout.size), dtype=self._owned.dtype, device=self.device)
        rows = self._rows[:n, :]
        for place, g in zip(self.layout.slices, by_weight, strict=True):
            rows[:, place] = xp.reshape(g, (n, -1))
        return rows


def _squared(regularizer: Any) -> float | None:
    """The factor λ of a penalty λ Σ w²; None for any other penalty."""
    name, options = regularizer.name, regularizer.options
    if name == "l2":
        return float(options.get("l2", 0.01))
    return float(options.get("l2", 0.0)) if name == "l1_l2" and not options.get("l1", 0.0) else None
