"""The objective on all data at once, with what the methods of second order ask of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import chain
from typing import Any, NamedTuple

from nnx.autodiff import grad, jvp, vjp
from nnx.backend import device_of, namespace
from nnx.errors import OptionError
from nnx.jitting import Replayed
from nnx.losses import registry as losses
from nnx.models.batch_problem import BatchProblem
from nnx.models.full_plans import FullPlans
from nnx.models.objective import Batch, Objective
from nnx.models.program import Ran
from nnx.models.sample_rows import SampleRows
from nnx.models.weights import Weights
from nnx.optimizers import Point
from nnx.optimizers.problem import read
from nnx.options import built_in

Array = Any


class _Term(NamedTuple):
    """One output among the residuals."""

    output: int
    #: one past its last entry in the residuals of a sample
    end: int
    residual: Any
    #: the square root of twice the loss' weight
    scale: float


class FullBatchProblem(BatchProblem):
    """A model's objective for methods that compare costs from step to step.

    ``version`` counts how often it became another function: by other data, or by other random numbers of
    layers that have them (these stay the same within a step). ``counts`` are the evaluation counts: values,
    gradients, Jacobians, products.
    """

    #: how steps of the weights are measured where the method was not told: they have like units
    scaling = "identity"
    #: the first radius of a dog-leg as a share of the weights' length: the model holds not far from a start
    first_radius = 0.1

    def __init__(self, objective: Objective, weights: Weights, seed: int) -> None:
        super().__init__(objective, weights, seed)
        self.version = 0
        self._checked = False
        self._units: Any = None
        self.device = device_of(self._owned)
        self.dtype = self._owned.dtype
        self.rows = SampleRows(self)
        #: what is recorded of it beside steps of cost and gradient
        self.full_plans = FullPlans(self, weights)
        self._recorded = not self.reason
        #: a batch, and whether residuals and rows of it are recorded
        self._whole: tuple[Batch | None, bool] = None, False
        layers = self.objective.network.layers
        #: whether layers return changes, which no pullback tells
        self.stateful = any(layer.stateful for layer in layers)
        self._random = self.stateful or any(layer.random for layer in layers)
        #: the layers that are a user's own, by their calls
        self.own_layers = [
            k for k, call in enumerate(self.objective.network.calls) if not built_in(layers[call.layer])
        ]

    def show(self, batch: Batch, step: int) -> None:
        self.version += batch is not self.batch or self._random
        super().show(batch, step)

    @property
    def linear_weights(self) -> Array | None:
        """1.0 for weights in which the output is linear, 0.0 for others; None where targets are of size 1.

        A start knows nothing of the size of its targets. Where that is far from 1, the weights that the
        output is linear in are found before the others move.
        """
        return None if self.units is None else sum(self._linear)

    @property
    def units(self) -> Array | None:
        """The sizes that weights are to have, where they differ: the targets' for the linear ones, and 1."""
        batch = self.batch
        if not self._linear or batch is None:
            return None
        if self._units is None or self._units[0] is not batch:
            xp = self.adapter.xp
            sizes = [read(xp.sqrt(xp.mean(y * y)))[0] for y in batch.ys]
            near = all(0.01 <= size <= 100.0 or not 0.0 < size < math.inf for size in sizes)
            units = xp.ones_like(self._owned)
            for mask, size in zip(self._linear, sizes, strict=True):
                units = xp.where(mask > 0.0, size, units)
            self._units = batch, None if near else units
        return self._units[1]

    @cached_property
    def _linear(self) -> list[Array]:
        """For each output 1.0 for the weights in which its errors are linear; nothing where some are not."""
        masks = []
        for numbers in self.objective.linear_weights:
            masks.append(mask := self.adapter.xp.zeros_like(self._owned))
            for i in numbers:
                mask[self.layout.slices[i]] = 1.0
        return masks

    def functions(self) -> list[Replayed]:
        return [*super().functions(), *self.full_plans.functions()]

    # -- what a point asks for --------------------------------------------------------------------

    def value(self, point: Point) -> Array:
        if not self._recorded:
            return super().value(point)
        if "fill" in point.aux:  # the residuals are known, and with them what the network gives
            found, point.aux["statistics"] = self.full_plans.value_of(point.w, point.aux["ran"])
        else:
            found, point.aux["ran"], point.aux["statistics"] = self.full_plans.value(point.w)
        return found

    def hvp(self, point: Point, v: Array) -> Array:
        """The product H·v of the Hessian with a vector."""
        if self._recorded:
            return self.full_plans.hvp(point.w, v)
        slope = grad(lambda pieces: self.cost(pieces)[0])
        return self.layout.pack(jvp(slope, (point.x,), (self.layout.views(v),))[1])

    def residual(self, point: Point) -> Array:
        """r(w) with ½‖r‖² the loss, without the penalties on weights."""
        # Keep the way back: most points evaluated here become the next iterate.
        if self._rows_recorded():
            residual, point.aux["ran"], point.aux["fill"] = self.full_plans.residual(point.w)
            return residual
        return self.keep_pullbacks(point)

    def _rows_recorded(self) -> bool:
        """Whether residuals and rows of all samples may be recorded: a part alone says little of others."""
        if self._whole[0] is not self.batch:
            whole = self._recorded and not self.stateful and self.rows.whole(self.entries)
            self._whole = self.batch, whole
        return self._whole[1]

    def in_parts(self) -> None:
        """From now on residuals of this batch come with pullbacks, and are not recorded."""
        self._whole = self.batch, False

    def keep_pullbacks(self, point: Point) -> Array:
        """The residuals; the pullbacks of the network and the loss are kept with the point."""
        pullbacks = self.rows.pullbacks(self.params_at(point), whole=self._random)
        point.aux["pullbacks"] = pullbacks
        ran = self._joined([ran for ran, _ in pullbacks])
        point.aux["ran"] = ran = self.checked(ran._replace(changes=self._changes_of(point)))
        residual, point.aux["by_outputs"] = vjp(
            lambda *outputs: self.residuals(ran._replace(outputs=list(outputs))), *ran.outputs
        )
        return residual

    def _joined(self, parts: Sequence[Ran]) -> Ran:
        """What the program gave for all samples, from what it gave for parts of them."""
        if len(parts) == 1:
            return parts[0]
        xp = self.adapter.xp
        outputs = [xp.concat(list(ys)) for ys in zip(*(ran.outputs for ran in parts), strict=True)]
        of_outputs = zip(*(ran.masks for ran in parts), strict=True)
        masks = [None if ms[0] is None else xp.concat(list(ms)) for ms in of_outputs]
        return Ran(outputs, {}, [], masks)

    def _changes_of(self, point: Point) -> Any:
        """What stateful layers return: no pullback tells it, so the program runs once more for it."""
        return self.run(self.params_at(point)).changes if self.stateful else {}

    def residual_scale(self, point: Point) -> float:
        """What the errors are multiplied by in the residuals: the loss is the mean of their squares.

        Of several outputs it is the sum of such means: right where they are equally long and weighted.
        """
        return math.sqrt(2.0 * len(self._terms) / point.residual.shape[0])

    def blocks(self, point: Point, memory_limit: float) -> Iterable[tuple[Array, Array]]:
        """Rows of the Jacobian with their residuals, as many at a time as cache and memory hold."""
        self.check_rows(point)
        return self.rows.blocks(point, memory_limit)

    def jvp(self, point: Point, v: Array) -> Array:
        """The product J·v."""
        if self._recorded:
            self.in_parts()  # who asks for this asks for Jᵀ·u as well, by the pullbacks of each point
            return self.full_plans.jvp(point.w, v)

        def residuals(pieces: Sequence[Any]) -> Array:
            return self.residuals(self.run(self.params(pieces)))

        return jvp(residuals, (point.x,), (self.layout.views(v),))[1]

    def vjp(self, point: Point, u: Array) -> Array:
        """The product Jᵀ·u."""
        xp, rows = namespace(u), self.rows
        if (found := rows.times(point, u)) is not None:
            return found
        sums = rows.each(
            lambda piece: [xp.sum(some, axis=0) for _, some in piece], rows.of(point, u, rows.at_once())
        )
        return sum(chain.from_iterable(sums), start=xp.zeros_like(point.w))

    @property
    def batch_size(self) -> int:
        """The number of samples."""
        assert self.batch is not None
        return self.batch.size

    # -- sums of squares --------------------------------------------------------------------------

    def need_residuals(self, method: str) -> None:
        """Raises :class:`nnx.errors.OptionError` where the objective is no sum of squares of the samples."""
        objective = self.objective
        for goal in objective.goals:
            if goal.loss is not None and goal.loss.residual is None:
                able = [e.name for e in losses if e.traits.residual]
                raise OptionError(
                    f"{method} needs a loss that is a sum of squares ({', '.join(able)}), got "
                    f"'{goal.loss.name}'. For other losses take optimizer='lbfgs': it needs gradients only."
                )
            if goal.loss is not None and goal.weight < 0.0:
                raise OptionError(
                    f"{method} needs a sum of squares, but the loss of output '{goal.name}' has the weight "
                    f"{goal.weight:g}. Take optimizer='lbfgs'."
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

    def check_rows(self, point: Point) -> None:
        """Once, where layers are a user's own: are rows made sample by sample those of the Jacobian?"""
        if self._checked or not self.own_layers:
            return
        self._checked = True
        xp = self.adapter.xp
        v = xp.cos(xp.arange(self.layout.size, dtype=self._owned.dtype, device=self.device))
        count = point.residual.shape[0] // self.batch_size
        columns = [
            xp.concat([rows @ v for piece in self.rows.column(point, k) for _, rows in piece])
            for k in range(count)
        ]
        seen, norm = xp.reshape(xp.stack(columns, axis=1), (-1,)), xp.linalg.vector_norm
        difference, size = read(norm(seen - self.jvp(point, v)), norm(seen))
        if difference > math.sqrt(xp.finfo(v.dtype).eps) * size:
            place = self.objective.network.place(self.own_layers[0]).removeprefix("in ")
            raise OptionError(
                f"Rows of the Jacobian made sample by sample are not those of the network: {place} mixes the "
                "samples of a batch, or its per_sample is wrong. Take optimizer='lbfgs': it needs no rows."
            )

    @cached_property
    def _terms(self) -> list[_Term]:
        """The outputs that are trained, and where the residuals of each end in those of a sample."""
        found, end = [], 0
        for k, (goal, shape) in enumerate(
            zip(self.objective.goals, self.objective.network.output_shapes, strict=True)
        ):
            if goal.loss is not None:
                end += math.prod(shape)
                found.append(_Term(k, end, goal.loss.residual, math.sqrt(2.0 * goal.weight)))
        return found

    @property
    def entries(self) -> int:
        """How many residuals a sample has."""
        return self._terms[-1].end

    def output_of(self, k: int) -> int:
        """The output to which the k-th entry of a sample's residuals belongs."""
        return next(term.output for term in self._terms if k < term.end)

    def residuals(self, ran: Ran, batch: Batch | None = None) -> Array:
        """The r with ½‖r‖² the sum of the losses, from what the network gave: sample after sample.

        Without a ``batch`` it is the one that is shown.
        """
        found, batch = [], batch or self.batch
        assert batch is not None
        for k, _, residual, scale in self._terms:
            weight = self.objective.weight_of(k, ran, batch)
            found.append(scale * residual(batch.ys[k], ran.outputs[k], weight))
        if len(found) == 1:
            return found[0]
        xp = namespace(*found)
        rows = [xp.reshape(r, (batch.size, -1)) for r in found]
        return xp.reshape(xp.concat(rows, axis=1), (-1,))

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


def _squared(regularizer: Any) -> float | None:
    """The factor λ of a penalty λ Σ w²; None for any other penalty."""
    name, options = regularizer.name, regularizer.options
    if name == "l2":
        return float(options.get("l2", 0.01))
    return float(options.get("l2", 0.0)) if name == "l1_l2" and not options.get("l1", 0.0) else None
