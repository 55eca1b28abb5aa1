"""What is minimised: the loss of a network on a batch plus its penalties, and the metrics that go with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from nnx.autodiff.array import raw
from nnx.autodiff.space import space_of
from nnx.autodiff.trace import Tape, backward
from nnx.errors import ShapeError
from nnx.layers import Context
from nnx.models.goals import Goal, OwnLoss, Report, reports_of
from nnx.models.heads import heads_of, without_heads
from nnx.models.masks import masked
from nnx.models.network import Network
from nnx.models.program import Keep, Params, Program, Ran
from nnx.models.weights import Weights
from nnx.optimizers import Point

Array = Any


@dataclass(frozen=True)
class Batch:
    """The arrays of one step, on the model's device."""

    xs: tuple[Array, ...]
    #: the targets and the weights for each of the outputs; None where there are none
    ys: tuple[Array, ...]
    weights: tuple[Array, ...]

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
    """The losses and the metrics of a compiled model."""

    whole: Program
    #: what each output is trained for
    goals: tuple[Goal, ...]

    @property
    def network(self) -> Network:
        """What the program was made of."""
        return self.whole.network

    @cached_property
    def reports(self) -> tuple[Report, ...]:
        """What is reported beside the loss."""
        return reports_of(self.goals)

    @cached_property
    def linear(self) -> tuple[bool, ...]:
        """For each output whether its loss takes pre-activations: the same value without underflow."""
        of_outputs = zip(self.goals, heads_of(self.whole), self.network.output_shapes, strict=True)
        return tuple(goal.takes_link(head, len(shape)) for goal, head, shape in of_outputs)

    @cached_property
    def program(self) -> Program:
        """What runs: without the activations at the end of which the losses take pre-activations."""
        return without_heads(self.whole, self.linear)

    @cached_property
    def _heads(self) -> tuple[Any, ...]:
        """The activations that the metrics need and the program's outputs lack; None for the others."""
        of_outputs = zip(
            self.goals, heads_of(self.whole), self.network.output_shapes, self.linear, strict=True
        )
        return tuple(
            head if linear and not (shape[-1:] not in ((), (1,)) and goal.ranks_only) else None
            for goal, head, shape, linear in of_outputs
        )

    @cached_property
    def _told(self) -> tuple[dict[str, bool], ...]:
        """What each output's loss is told besides."""
        return tuple({"from_logits": True} if linear else {} for linear in self.linear)

    @cached_property
    def _terms(self) -> tuple[tuple[int, float], ...]:
        """The outputs that are trained, with the weights of their losses."""
        return tuple((k, goal.weight) for k, goal in enumerate(self.goals) if goal.loss is not None)

    @cached_property
    def linear_weights(self) -> tuple[tuple[int, ...], ...]:
        """For each output the weights in which its errors are linear: those of a linear layer at its end.

        By their numbers; none at all where this does not hold for every output.
        """
        found = tuple(map(self._linear_weights, self.goals, self.network.outputs))
        return found if all(found) else ()

    def _linear_weights(self, goal: Goal, output: int) -> tuple[int, ...]:
        network = self.network
        last = network.made_by[output]
        if last is None or goal.loss is None or goal.loss.name != "mean_squared_error":
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

    def _cost(self, k: int, ran: Ran, batch: Batch) -> Array:
        """The loss of output k, the weighted mean of the samples', from what the program gave."""
        loss, output = self.goals[k].loss, ran.outputs[k]
        assert loss is not None
        values = loss.call(batch.ys[k], output, **self._told[k])
        shape = getattr(values, "shape", None)
        if shape is None or (shape and shape[0] != batch.size):
            got = f"a {type(values).__name__}" if shape is None else f"one of shape {tuple(shape)}"
            raise ShapeError(
                f"The loss '{loss.name}' must return an array with one number for each of the "
                f"{batch.size} samples, or a 0-d array, got {got}."
            )
        return loss.reduce(values, self.weight_of(k, ran, batch) if ran.masks else batch.weights[k])

    def weight_of(self, k: int, ran: Ran, batch: Batch) -> Array:
        """What the loss of output k weighs samples with, or places in them: also by the output's mask.

        As in Keras a mean is then over the places that are not masked.
        """
        weight, loss = batch.weights[k], self.goals[k].loss
        if not ran.masks or ran.masks[k] is None:
            return weight
        mean = loss is not None and loss.reduction in ("sum_over_batch_size", "mean")
        return masked(ran.masks[k], weight, ran.outputs[k], mean)

    def total(self, ran: Ran, batch: Batch, params: Params) -> Array:
        """The weighted sum of the outputs' losses plus the penalties on weights and activities."""
        total = None
        for k, weight in self._terms:
            cost = self._cost(k, ran, batch)
            cost = cost if weight == 1.0 else cost * weight
            total = cost if total is None else total + cost
        for layer, name, _, regularizer in self.penalties:
            total = total + regularizer(params[layer][name])
        for penalty in ran.penalties:
            total = total + penalty
        return total

    def statistics(self, ran: Ran, batch: Batch) -> list[Array]:
        """The sums over the batch of what is reported, still on the device."""
        outputs = ran.outputs
        if any(self._heads):
            pairs = zip(self._heads, outputs, strict=True)
            outputs = [y if head is None else head(y) for head, y in pairs]
        found = []
        for _, k, measure, weighted in self.reports:
            if type(measure) is OwnLoss:
                found.append(measure.statistics(self._cost(k, ran, batch), batch.size))
                continue
            weight = batch.weights[k] if weighted else None
            if ran.masks and ran.masks[k] is not None:
                weight = masked(ran.masks[k], weight, outputs[k])
            found.append(measure.statistics(batch.ys[k], outputs[k], weight))
        return found

    def evaluate(self, params: Params, batch: Batch, keep: Keep | None = None) -> tuple[Array, list[Array]]:
        """``(cost, statistics)`` of a batch without training; ``keep`` as of :meth:`Program.predict`."""
        ran = self.program.run(params, batch.xs, Context())
        if keep is not None:
            keep(ran.changes)
        return self.total(ran, batch, params), self.statistics(ran, batch)


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
        point.aux["statistics"] = self.objective.statistics(ran, self.batch)
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
            found = point.aux["statistics"] = self.objective.statistics(self.ran(point), self.batch)
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
        outputs, masks = [raw(output) for output in ran.outputs], [raw(mask) for mask in ran.masks]
        return Ran(outputs, changes, [], masks)

    def _traced(self, pieces: Sequence[Array]) -> list[Array]:
        pairs = zip(pieces, self._places, strict=True)
        return [self._tape.leaf(piece, self._space, place) for piece, place in pairs]

    def _pack(self, found: list[Array]) -> None:
        xp = self.adapter.xp
        for g, place, part in zip(found, self._places, self.layout.slices, strict=True):
            if g is not place:  # else it was computed right there
                self._gradient[part] = 0.0 if g is None else xp.reshape(g, (-1,))
