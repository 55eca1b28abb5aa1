"""What is minimised: the loss of a network on a batch plus its penalties, and the metrics beside it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nnx import activations, losses
from nnx.autodiff.array import raw
from nnx.autodiff.space import space_of
from nnx.autodiff.trace import Tape, backward
from nnx.errors import NonFiniteError, ShapeError
from nnx.layers import Context
from nnx.models.network import Network
from nnx.registry import Choice


@dataclass(frozen=True)
class Batch:
    """The arrays of one step, on the model's device."""

    x: Any
    y: Any
    weight: Any = None

    @property
    def size(self) -> int:
        return int(self.x.shape[0])


@dataclass(frozen=True)
class Objective:
    """The loss and the metrics of a compiled model."""

    network: Network
    loss: losses.Loss
    metrics: tuple[Any, ...] = ()
    weighted_metrics: tuple[Any, ...] = ()

    @cached_property
    def linear(self) -> bool:
        """Whether the loss takes pre-activations instead: the same value, faster and without underflow."""
        link, head, options = self.loss.traits.canonical_activation, self.network.head, self.loss.options
        if link is None or not isinstance(head, Choice) or head.options or options.get("from_logits", False):
            return False
        # Softmax is along the last axis; the sigmoid has no axis.
        along = link == "sigmoid" or options.get("axis", -1) in (-1, len(self.network.output_shape))
        return along and head.function is getattr(activations, link)

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
    def penalties(self) -> tuple[tuple[int, Any], ...]:
        """Number and regularizer of each trained weight that has one."""
        return tuple(
            (i, w.regularizer) for i, w in enumerate(self.network.trained) if w.regularizer is not None
        )

    def losses(self, output: Any, batch: Batch) -> Any:
        """Numbers for each sample, or one for all, from the network's (perhaps linear) output."""
        extra = {"from_logits": True} if self.linear else {}
        values = self.loss.call(batch.y, output, **extra)
        shape = getattr(values, "shape", None)
        if shape is None or (shape and shape[0] != batch.x.shape[0]):
            got = f"a {type(values).__name__}" if shape is None else f"one of shape {tuple(shape)}"
            raise ShapeError(
                f"The loss '{self.loss.name}' must return an array with one number for each of the "
                f"{batch.size} samples, or a 0-d array, got {got}."
            )
        return values

    def total(self, values: Any, batch: Batch, trained: Sequence[Any]) -> Any:
        """The weighted mean of the samples' losses plus the penalties on the weights."""
        total = self.loss.reduce(values, batch.weight)
        for i, regularizer in self.penalties:
            total = total + regularizer(trained[i])
        return total

    def statistics(self, output: Any, batch: Batch) -> list[Any]:
        """The metrics' sums over the batch, still on the device."""
        if not self.metrics and not self.weighted_metrics:
            return []
        prediction = self.network.head(output) if self._needs_head else output  # type: ignore[misc]
        plain = [m.statistics(batch.y, prediction) for m in self.metrics]
        return plain + [m.statistics(batch.y, prediction, batch.weight) for m in self.weighted_metrics]


class BatchPoint:
    """The objective at one vector of weights: what is asked for is computed, once.

    The gradient lies in the problem's own buffer: it is valid until the next point's is asked for.
    """

    def __init__(self, problem: BatchProblem, pieces: Sequence[Any]) -> None:
        self._problem = problem
        self._pieces = pieces
        self._value: Any = None
        self._gradient: Any = None
        self.statistics: list[Any] = []

    @property
    def value(self) -> Any:
        if self._value is None:
            self._value = raw(self._problem.cost(self._pieces)[0])
        return self._value

    @property
    def gradient(self) -> Any:
        if self._gradient is None:
            self._value, self._gradient, self.statistics = self._problem.value_and_gradient(self._pieces)
        return self._gradient


class BatchProblem:
    """The objective on the current batch as a function of the flat vector of trained weights."""

    #: whether a gradient that is not finite is an error
    strict = True

    def __init__(self, objective: Objective, owned: Any, fixed: Any, adapter: Any, seed: int) -> None:
        self.objective = objective
        self.layout = objective.network.layout
        self.adapter = adapter
        self.seed = seed
        self.step = 0
        #: how often what was computed, where an optimizer's figures of merit are kept
        self.counts: Counter[str] = Counter()
        self.batch: Batch | None = None
        #: told the square of each gradient before it is given out, where looking at numbers is free
        self.watch: Callable[[Any], None] | None = None
        self._owned = owned
        self._views = self.layout.views(owned)
        self._fixed = objective.network.fixed_layout.views(fixed)
        self._gradient = adapter.xp.zeros_like(owned)
        self._space = space_of(owned)
        self._places = self.layout.views(self._gradient)
        self._tape = Tape()
        self._leaves = self._traced(self._views)
        self._one = adapter.xp.reshape(adapter.xp.ones_like(owned[:1]), ()) if self.layout.size else None

    def show(self, batch: Batch, step: int) -> None:
        """From now on it is about ``batch``, with the random numbers of that step."""
        self.batch, self.step = batch, step

    def at(self, w: Any) -> BatchPoint:
        """The point at ``w``."""
        return BatchPoint(self, self._views if w is self._owned else self.layout.views(w))

    def cost(self, pieces: Sequence[Any]) -> tuple[Any, Any]:
        """``(cost, output)`` of the batch in training, for weights in pieces."""
        assert self.batch is not None
        objective, batch = self.objective, self.batch
        context = Context(True, self.seed, self.step)
        output = objective.network.apply(pieces, self._fixed, batch.x, context, objective.linear)
        return objective.total(objective.losses(output, batch), batch, pieces), output

    def value_and_gradient(self, pieces: Sequence[Any]) -> tuple[Any, Any, list[Any]]:
        """Cost, gradient and the metrics' sums, by one pass forward and one back.

        Raises :class:`nnx.errors.NonFiniteError` instead of giving a gradient that would spoil the weights
        (where looking at a number is free; elsewhere the training loop looks now and then).
        """
        # The leaves for the model's own vector are made once: its views show the new numbers after each step.
        leaves = self._leaves if pieces is self._views else self._traced(pieces)
        total, output = self.cost(leaves)
        value, output = raw(total), raw(output)
        if self.strict and self.adapter.reads_are_free and not math.isfinite(value):
            raise NonFiniteError(f"The loss became {float(value)}.")
        found: list[Any] = [None] * len(leaves)
        if value is not total:
            seeds = iter([(total.mark, self._one)])
            del total  # so that the way back frees what each operation kept for it
            found = backward(seeds, [leaf.mark for leaf in leaves])
        self._pack(found, pieces)
        return value, self._gradient, self.objective.statistics(output, self.batch)  # type: ignore[arg-type]

    def _traced(self, pieces: Sequence[Any]) -> list[Any]:
        pairs = zip(pieces, self._places, strict=True)
        return [self._tape.leaf(piece, self._space, place) for piece, place in pairs]

    def _pack(self, found: list[Any], pieces: Sequence[Any]) -> None:
        xp = self.adapter.xp
        for g, place, part in zip(found, self._places, self.layout.slices, strict=True):
            if g is not place:  # else it was computed right there
                self._gradient[part] = 0.0 if g is None else xp.reshape(g, (-1,))
        if self.strict and self.adapter.reads_are_free:
            squares = self._gradient @ self._gradient
            if not math.isfinite(squares) and not xp.all(xp.isfinite(self._gradient)):
                raise NonFiniteError("The gradient of the loss has NaN or infinite entries.")
            if self.watch is not None:
                self.watch(squares)


def evaluate_batch(objective: Objective, trained: Sequence[Any], fixed: Sequence[Any], batch: Batch) -> Any:
    """``(cost, statistics)`` of a batch without training."""
    output = objective.network.apply(trained, fixed, batch.x, Context(), objective.linear)
    cost = objective.total(objective.losses(output, batch), batch, trained)
    return cost, objective.statistics(output, batch)
