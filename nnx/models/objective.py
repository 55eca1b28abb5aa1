"""What is minimised: the loss of a network on a batch plus its penalties, and the metrics that go with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from nnx import activations, losses
from nnx.autodiff.array import raw
from nnx.autodiff.space import space_of
from nnx.autodiff.trace import Tape, backward
from nnx.errors import ShapeError
from nnx.layers import Context
from nnx.models.network import Network
from nnx.models.program import Params, Program, Ran
from nnx.models.weights import Weights
from nnx.optimizers import Point
from nnx.registry import Choice

Array = Any


@dataclass(frozen=True)
class Batch:
    """The arrays of one step, on the model's device."""

    xs: tuple[Array, ...]
    y: Array
    weight: Array = None

    @property
    def size(self) -> int:
        return int(self.xs[0].shape[0])


class Penalty(NamedTuple):
    """A regularizer, and which weight it is on: layer, name, and number among the trained ones."""

    layer: int
    name: str
    number: int
    regularizer: Any


@dataclass(frozen=True, eq=False)
class Objective:
    """The loss and the metrics of a compiled model."""

    whole: Program
    loss: losses.Loss
    metrics: tuple[Any, ...] = ()
    weighted_metrics: tuple[Any, ...] = ()

    @property
    def network(self) -> Network:
        """What the program was made of."""
        return self.whole.network

    @cached_property
    def linear(self) -> bool:
        """Whether the loss takes pre-activations instead: the same value, faster and without underflow."""
        link, head, options = self.loss.traits.canonical_activation, self.whole.head, self.loss.options
        if link is None or not isinstance(head, Choice) or head.options or options.get("from_logits", False):
            return False
        # Softmax is along the last axis; the sigmoid has no axis.
        along = link == "sigmoid" or options.get("axis", -1) in (-1, len(self.network.output_shape))
        return along and head.function is getattr(activations, link)

    @cached_property
    def program(self) -> Program:
        """What runs: without the activation at the end where the loss takes pre-activations."""
        return self.whole.without_head() if self.linear else self.whole

    @cached_property
    def _needs_head(self) -> bool:
        """Whether the metrics need the activation that a linear output lacks (it changes no ranks)."""
        several = self.network.output_shape[-1:] not in ((), (1,))
        ranked = (
            several
            and self.loss.traits.canonical_activation == "softmax"
            and all(m.ranks_only for m in (*self.metrics, *self.weighted_metrics))
        )
        return self.linear and not ranked

    @cached_property
    def linear_weights(self) -> tuple[int, ...]:
        """The numbers of the weights in which the errors are linear: those of a linear layer at the end."""
        network = self.network
        last = network.made_by[network.outputs[0]]
        if self.loss.name != "mean_squared_error" or len(network.outputs) != 1 or last is None:
            return ()
        k = network.calls[last].layer
        parts = network.layers[k].parts()
        if len(parts) > 1 or not parts[0].linear or sum(call.layer == k for call in network.calls) > 1:
            return ()
        return tuple(slot.number for slot in network.slots[k] if slot.trained)

    @cached_property
    def penalties(self) -> tuple[Penalty, ...]:
        """The regularizers of the trained weights."""
        return tuple(
            Penalty(i, slot.name, slot.number, slot.weight.regularizer)
            for i, row in enumerate(self.network.slots)
            for slot in row
            if slot.trained and slot.weight.regularizer is not None
        )

    def losses(self, output: Array, batch: Batch) -> Array:
        """Numbers for each sample, or one for all, from the program's output."""
        extra = {"from_logits": True} if self.linear else {}
        values = self.loss.call(batch.y, output, **extra)
        shape = getattr(values, "shape", None)
        if shape is None or (shape and shape[0] != batch.size):
            got = f"a {type(values).__name__}" if shape is None else f"one of shape {tuple(shape)}"
            raise ShapeError(
                f"The loss '{self.loss.name}' must return an array with one number for each of the "
                f"{batch.size} samples, or a 0-d array, got {got}."
            )
        return values

    def total(self, ran: Ran, batch: Batch, params: Params) -> Array:
        """The weighted mean of the samples' losses plus the penalties on weights and activities."""
        total = self.loss.reduce(self.losses(ran.outputs[0], batch), batch.weight)
        for layer, name, _, regularizer in self.penalties:
            total = total + regularizer(params[layer][name])
        for penalty in ran.penalties:
            total = total + penalty
        return total

    def statistics(self, output: Array, batch: Batch) -> list[Array]:
        """The metrics' sums over the batch, still on the device."""
        if not self.metrics and not self.weighted_metrics:
            return []
        prediction = self.whole.head(output) if self._needs_head else output
        plain = [m.statistics(batch.y, prediction) for m in self.metrics]
        return plain + [m.statistics(batch.y, prediction, batch.weight) for m in self.weighted_metrics]

    def evaluate(self, params: Params, batch: Batch) -> tuple[Array, list[Array]]:
        """``(cost, statistics)`` of a batch without training."""
        ran = self.program.run(params, batch.xs, Context())
        return self.total(ran, batch, params), self.statistics(ran.outputs[0], batch)


class BatchProblem:
    """The objective on the current batch as a function of the flat vector of trained weights."""

    def __init__(self, objective: Objective, weights: Weights, seed: int) -> None:
        self.objective = objective
        self.layout = objective.network.layout
        self.adapter = weights.backend.adapter
        self.seed = seed
        #: what random and stateful layers see of this step
        self.context = Context(True, seed)
        #: how often what was computed, where an optimizer's evaluation counts are kept
        self.counts: Counter[str] = Counter()
        self.batch: Batch | None = None
        self._weights = weights
        self.check_changes = weights.check_changes
        self._owned = owned = weights.trained
        self._views = self.layout.views(owned)
        self._state = objective.network.state_layout.views(weights.state)
        self._gradient = self.adapter.xp.zeros_like(owned)
        self._space = space_of(owned)
        self._places = self.layout.views(self._gradient)
        self._tape = Tape()
        # The leaves for the model's own vector are made once: its views show the new weights after each step.
        self._leaves = self._traced(self._views)
        self._leaf_params = self.params(self._leaves)
        one = self.adapter.xp.ones_like(owned[:1]) if self.layout.size else None
        self._one = None if one is None else self.adapter.xp.reshape(one, ())
        self._known: Point | None = None

    def show(self, batch: Batch, step: int) -> None:
        """From now on it is about ``batch``, with the random numbers of that step."""
        self.batch, self._known = batch, None
        self.context = Context(True, self.seed, step)

    def at(self, w: Array) -> Point:
        """The point at ``w``. Its gradient lies in the problem's buffer: valid until the next one's."""
        point, self._known = self._known, None
        return point or Point(self, w)

    def knows(self, point: Point) -> None:
        """The next :meth:`at` gives this point, which has been evaluated already."""
        self._known = point

    # -- what a point asks for --------------------------------------------------------------------

    def argument(self, w: Array) -> list[Array]:
        """The pieces of ``w``."""
        return self._views if w is self._owned else self.layout.views(w)

    def value(self, point: Point) -> Array:
        """The cost of the batch in training."""
        assert self.batch is not None
        ran = self.ran(point)
        _ = self.statistics(point)  # a metric that fails does so before a step is made
        return self.objective.total(ran, self.batch, self.params_at(point))

    def value_and_gradient(self, point: Point) -> tuple[Array, Array]:
        """Cost and gradient, by one pass forward and one back."""
        assert self.batch is not None
        leaves = self._leaves if point.x is self._views else self._traced(point.x)
        total, ran = self.cost(leaves)
        value = raw(total)
        point.aux["ran"] = ran = self.checked(ran)
        found: list[Any] = [None] * len(leaves)
        if value is not total:
            seeds = iter([(total.mark, self._one)])
            del total  # so that the way back frees what each operation kept for it
            found = backward(seeds, [leaf.mark for leaf in leaves])
        self._pack(found)
        point.aux["statistics"] = self.objective.statistics(ran.outputs[0], self.batch)
        return value, self._gradient

    # -- what a step tells besides ------------------------------------------------------------------

    def ran(self, point: Point) -> Ran:
        """What the network gave at a point: run once."""
        if "ran" not in point.aux:
            point.aux["ran"] = self.checked(self.run(self.params_at(point)))
        found: Ran = point.aux["ran"]
        return found

    def params_at(self, point: Point) -> Params:
        """For each layer its weights by name at a point: made once."""
        if "params" not in point.aux:
            point.aux["params"] = self.params(point.x)
        found: Params = point.aux["params"]
        return found

    def statistics(self, point: Point) -> list[Array]:
        """The metrics' sums over the batch at a point, still on the device."""
        assert self.batch is not None
        found: list[Array] | None = point.aux.get("statistics")
        if found is None:
            output = self.ran(point).outputs[0]
            found = point.aux["statistics"] = self.objective.statistics(output, self.batch)
        return found

    def changes(self, point: Point) -> Mapping[int, Mapping[str, Array]]:
        """What stateful layers would change, by the number of the layer, if the step is accepted."""
        found: Ran = point.aux.get("ran") or self.ran(point)
        return found.changes

    # -- details ------------------------------------------------------------------------------------

    def params(self, pieces: Sequence[Array]) -> Params:
        """For each layer its weights by name, with ``pieces`` for the trained ones."""
        return self._weights.params(pieces, self._state)

    def run(self, params: Params, batch: Batch | None = None) -> Ran:
        """The program on the current batch (or another one), in training."""
        xs = (batch or self.batch).xs  # type: ignore[union-attr]
        return self.objective.program.run(params, xs, self.context)

    def cost(self, pieces: Sequence[Array]) -> tuple[Array, Ran]:
        """``(cost, run)`` of the batch in training, for weights in pieces."""
        assert self.batch is not None
        params = self._leaf_params if pieces is self._leaves else self.params(pieces)
        ran = self.run(params)
        return self.objective.total(ran, self.batch, params), ran

    def checked(self, ran: Ran) -> Ran:
        """A run without the tape, in plain arrays; its changes are those that layers may make."""
        changes = ran.changes
        if changes:
            changes = {i: {name: raw(value) for name, value in new.items()} for i, new in changes.items()}
            self._weights.check_changes(changes)
        return Ran([raw(output) for output in ran.outputs], changes, [])

    def _traced(self, pieces: Sequence[Array]) -> list[Array]:
        pairs = zip(pieces, self._places, strict=True)
        return [self._tape.leaf(piece, self._space, place) for piece, place in pairs]

    def _pack(self, found: list[Array]) -> None:
        xp = self.adapter.xp
        for g, place, part in zip(found, self._places, self.layout.slices, strict=True):
            if g is not place:  # else it was computed right there
                self._gradient[part] = 0.0 if g is None else xp.reshape(g, (-1,))
