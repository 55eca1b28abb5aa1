"""The objective on one batch after the other, as the problem that an optimizer is given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from nnx.autodiff.array import raw
from nnx.autodiff.space import space_of
from nnx.autodiff.trace import Tape, backward
from nnx.backend import namespace
from nnx.jitting import BEFORE, Clock, Halved, Replayed, told
from nnx.layers import Context
from nnx.models.objective import Batch, Objective
from nnx.models.program import Params, Ran
from nnx.models.weights import Weights
from nnx.optimizers import Point

Array = Any


class BatchProblem:
    """The objective on the current batch as a function of the flat vector of trained weights."""

    def __init__(self, objective: Objective, weights: Weights, seed: int) -> None:
        self.objective = objective
        self.layout = objective.network.layout
        self.adapter = weights.backend.adapter
        self.seed = seed
        #: the number of the step that is shown
        self.clock = Clock()
        #: how often what was computed, where an optimizer's evaluation counts are kept
        self.counts: Counter[str] = Counter()
        self.batch: Batch | None = None
        self._weights, self._state = weights, weights.state
        self._state_views = objective.network.state_layout.views(weights.state)
        self.check_changes = weights.check_changes
        self._owned = owned = weights.trained
        self._views = self.layout.views(owned)
        self._gradient = self.adapter.xp.zeros_like(owned)
        self._places = self.layout.views(self._gradient)
        self._tape = Tape()
        # The leaves for the model's own vector are made once: its views show the new weights after each step.
        self._leaves = self._traced(self._views, self._places, self._gradient)
        self._leaf_params = self.params(self._leaves)
        one = self.adapter.xp.ones_like(owned[:1]) if self.layout.size else None
        self._one = None if one is None else self.adapter.xp.reshape(one, ())
        self._known: Point | None = None

    def show(self, batch: Batch, step: int) -> None:
        """From now on it is about ``batch``, with the random numbers of that step."""
        self.batch, self._known, self.clock.step = batch, None, step

    @property
    def context(self) -> Context:
        """What random and stateful layers see of this step."""
        return Context(True, self.seed, self.clock.step)

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
        w, arrays = point.w, self.batch.arrays
        found = self.own_step(*arrays) if w is self._owned else self.step_at(w, *arrays)
        value, _, ran, point.aux["statistics"] = found
        point.aux["ran"] = Ran(*ran)
        return value, self._gradient

    @cached_property
    def own_step(self) -> Replayed:
        """A step at the model's own weights, as a function of the batch's arrays."""
        return self.recorded(self._step, self._gradient, self._owned)

    @cached_property
    def step_at(self) -> Replayed:
        """A step at other weights, as a function of their vector and the batch's arrays."""
        return self.recorded(self._step, self._gradient)

    def recorded(self, function: Callable[..., Any], *held: Array, **options: Any) -> Any:
        """A function of the state vector, ``held`` and what it is called with, replayed after a while.

        With ``more`` as :class:`nnx.jitting.Halved` takes it the function has a second half.
        """
        kind = Halved if options else Replayed
        return kind(function, clock=self.clock, held=(self._state, *held), reason=self.reason, **options)

    @property
    def reason(self) -> str:
        """Why nothing is recorded; empty where it is, or will be."""
        return self.objective.users_own

    def functions(self) -> list[Replayed]:
        """What is recorded after a while, as far as it was asked for."""
        return [made for made in vars(self).values() if isinstance(made, Replayed)]

    @property
    def plan_text(self) -> str:
        """What is recorded, in words, or why nothing is."""
        if self.reason:
            return f"Steps are computed as they are: {self.reason}"
        found = told(self.functions())
        return (
            found or f"Nothing is recorded yet: that is done after {BEFORE} steps with batches of one shape."
        )

    def _step(
        self, state: Array, gradient: Array, w: Array, *arrays: Array
    ) -> tuple[Array, Array, tuple[Any, ...], list[Array]]:
        """One pass forward and one back: cost, squared norm of the gradient, outputs, sums of the metrics."""
        batch = self.objective.batch_of(arrays)
        if w is self._owned:
            leaves, places, params = self._leaves, self._places, self._leaf_params
        else:
            pieces, places = self.layout.views(w), self.layout.views(gradient)
            leaves = self._traced(pieces, places, gradient)
            params = self._weights.params(leaves, self.objective.network.state_layout.views(state))
        ran = self.run(params, batch)
        total = self.objective.total(ran, batch, params)
        value = raw(total)
        ran = self.checked(ran)
        found: list[Any] = [None] * len(leaves)
        if value is not total:
            one = self._one if w is self._owned else namespace(w).ones_like(w[0, ...])
            seeds = iter([(total.mark, one)])
            del total  # so that the way back frees what each operation kept for it
            found = backward(seeds, [leaf.mark for leaf in leaves])
        self._pack(found, places, gradient)
        return value, gradient @ gradient, tuple(ran), self.objective.statistics(ran, batch)

    @property
    def gradient_place(self) -> Array:
        """Where the gradient by the weights is put."""
        return self._gradient

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
        return self._weights.params(pieces, self._state_views)

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

    def _traced(self, pieces: Sequence[Array], places: Sequence[Array], gradient: Array) -> list[Array]:
        space = space_of(gradient)
        return [self._tape.leaf(piece, space, place) for piece, place in zip(pieces, places, strict=True)]

    def _pack(self, found: list[Array], places: Sequence[Array], gradient: Array) -> None:
        xp = namespace(gradient)
        for g, place, part in zip(found, places, self.layout.slices, strict=True):
            if g is not place:  # else it was computed right there
                gradient[part] = 0.0 if g is None else xp.reshape(g, (-1,))
