"""What is minimised: the loss of a network on a batch plus its penalties, and the metrics that go with it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from nnx.errors import ShapeError
from nnx.models.goals import Goal, OwnLoss, Report, reports_of
from nnx.models.heads import heads_of, without_heads
from nnx.models.masks import masked
from nnx.models.network import Network
from nnx.models.predicting import predicting
from nnx.models.program import Params, Program, Ran
from nnx.models.users_own import users_own

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

    @property
    def arrays(self) -> tuple[Array, ...]:
        """All of them, one after the other."""
        return *self.xs, *self.ys, *self.weights


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
    def predicting(self) -> Program:
        """The same for prediction alone."""
        return predicting(self.program)

    @cached_property
    def users_own(self) -> str:
        """What of layers, losses, metrics and penalties is a user's own, in words; empty where nothing is."""
        penalties = [penalty.regularizer for penalty in self.penalties]
        return users_own((self.network.layers, self.goals, self.program.steps, penalties))

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

    def batch_of(self, arrays: tuple[Array, ...]) -> Batch:
        """The batch with these :attr:`Batch.arrays`."""
        first, end = self._ends
        return Batch(arrays[:first], arrays[first:end], arrays[end:])

    @cached_property
    def _ends(self) -> tuple[int, int]:
        """Where the targets begin among a batch's arrays, and where they end."""
        first = len(self.network.inputs)
        return first, first + len(self.network.outputs)

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
