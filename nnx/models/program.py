"""What of a network runs: parts of layers in order, fused where a table says so, each value freed in time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from nnx.errors import ShapeError
from nnx.layers import Context, Layer
from nnx.models.network import Network

Array = Any
#: for each layer of the network its weights by name
Params = Sequence[Mapping[str, Array]]
_PLAIN, _WITH_CONTEXT, _STATEFUL = range(3)


class Step(NamedTuple):
    """One part that runs: with whose weights, on which values, and which of these nobody reads afterwards."""

    part: Layer
    owner: int
    call: int
    reads: tuple[int, ...]
    dead: tuple[int, ...] = ()
    #: the penalty on what it gives
    penalty: Any = None
    #: False where it computes as in prediction always
    training: bool | None = None
    #: how many values it gives
    gives: int = 1

    @property
    def kind(self) -> int:
        """How the part's forward is called."""
        return _STATEFUL if self.part.stateful else _WITH_CONTEXT if self.part.random else _PLAIN


class Ran(NamedTuple):
    """What a run gives: the outputs, what stateful layers would change, and the penalties on activities."""

    outputs: list[Array]
    changes: dict[int, Mapping[str, Array]]
    penalties: list[Array]
    #: the mask of each output, None where there is none
    masks: Sequence[Array | None] = ()


@dataclass(frozen=True, eq=False)
class Program:
    """A network's parts in the order in which they run, as a function of weights and inputs.

    Value i is input i; then come what the steps give, in order: one value each, or several in a row.
    """

    network: Network
    inputs: int
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]
    #: for each output the value that is its mask
    masks: tuple[int | None, ...] = ()

    def __post_init__(self) -> None:
        table = tuple((s.part.forward, s.kind, s.reads, s.dead, s) for s in self.steps)
        object.__setattr__(self, "_table", table)

    @cached_property
    def spreads(self) -> bool:
        """Whether one of the parts shares its work among the cores by itself."""
        return any(step.part.spreads for step in self.steps)

    def run(self, params: Params, inputs: Sequence[Array], context: Context) -> Ran:
        """The outputs for a batch of ``inputs``, with what stateful layers would change."""
        values, penalties = list(inputs), []
        pick = values.__getitem__
        changes: dict[int, Mapping[str, Array]] = {}
        step = None
        try:
            for forward, kind, reads, dead, step in self._table:  # type: ignore[attr-defined]
                if kind == _PLAIN:
                    y = forward(params[step.owner], *map(pick, reads))
                elif kind == _WITH_CONTEXT:
                    own = context.at(step.call, step.training)
                    y = forward(params[step.owner], *map(pick, reads), own)
                else:
                    y = self._changing(step, params, map(pick, reads), context, changes)
                for i in dead:
                    values[i] = None
                if step.penalty is not None:
                    first = y if step.gives == 1 else y[0]
                    penalties.append(step.penalty(first) * (1.0 / first.shape[0]))
                if step.gives == 1:
                    values.append(y)
                else:
                    values.extend(y)
        except Exception as error:
            if step is not None:
                error.add_note(f"  {self.network.place(step.call)}")
            raise
        masks = [None if i is None else pick(i) for i in self.masks]
        return Ran(list(map(pick, self.outputs)), changes, penalties, masks)

    def _changing(
        self, step: Step, params: Params, xs: Iterable[Array], context: Context, changes: dict[int, Any]
    ) -> Array:
        """The output of a stateful part; what it changes is added to ``changes``."""
        owner, part = step.owner, step.part
        # called a second time, it goes on from what its first call changed
        p = params[owner] if owner not in changes else {**params[owner], **changes[owner]}
        y, new = part.with_changes(part.forward(p, *xs, context.at(step.call, step.training)))
        changes[owner] = {**changes.get(owner, {}), **new}
        return y

    def predict(self, params: Params, inputs: Sequence[Array]) -> list[Array]:
        """The outputs for a batch, of the shapes that the layers' specs promise, or ShapeError."""
        ran = self.run(params, inputs, Context())
        self.check_outputs(ran.outputs, inputs[0].shape[0])
        return ran.outputs

    def check_outputs(self, outputs: Sequence[Array], n: int) -> None:
        """Raises ShapeError for outputs of n samples that do not have the shapes of the layers' specs."""
        for y, shape in zip(outputs, self.network.output_shapes, strict=True):
            if tuple(y.shape) != (n, *shape):
                raise ShapeError(
                    f"{self.network.model} gave outputs of shape {tuple(y.shape)} for {n} samples, but by "
                    f"its layers' specs it is {shape} for each: does every forward fit its spec?"
                )

    def per_sample(
        self, params: Params, inputs: Sequence[Array], context: Context
    ) -> tuple[Ran, Callable[[Sequence[Array]], Callable[[slice], list[Array | None]]]]:
        """``(ran, back)``: with the gradients g by the outputs (None: it is 0), ``back(g)(part)`` lists for a
        slice of the samples each one's gradient by each trained weight, of shape (n, *shape); None for 0.

        One pass forward, and one back for each entry of a sample's outputs, make the Jacobian; only a part of
        it need be there at a time. Right for layers that do not mix samples.
        """  # noqa: D205
        values, backs = list(inputs), []
        pick = values.__getitem__
        for step, own in self._with_names:
            at = context.at(step.call, step.training)
            y, back = step.part.per_sample(params[step.owner], own, list(map(pick, step.reads)), at)
            values.extend([y] if step.gives == 1 else y)
            backs.append(back)

        def all_back(by_outputs: Sequence[Array]) -> Callable[[slice], list[Array | None]]:
            pending: dict[int, Array] = {}
            for i, g in zip(self.outputs, by_outputs, strict=True):
                if g is not None:
                    pending[i] = pending[i] + g if i in pending else g
            found = []
            k = len(values)
            for (step, own), back in zip(reversed(self._with_names), reversed(backs), strict=True):
                k -= step.gives
                if not any(i in pending for i in range(k, k + step.gives)):
                    continue  # nothing comes back here
                gs = [pending.pop(i, None) for i in range(k, k + step.gives)]
                by_inputs, gradients = back(gs[0] if step.gives == 1 else gs)
                for i, c in zip(step.reads, by_inputs, strict=True):
                    if c is not None:
                        pending[i] = pending[i] + c if i in pending else c
                if own:
                    found.append((step.owner, gradients))
            return lambda part: self._rows([(owner, gradients(part)) for owner, gradients in found])

        masks = [None if i is None else values[i] for i in self.masks]
        return Ran(list(map(pick, self.outputs)), {}, [], masks), all_back

    @cached_property
    def _names(self) -> tuple[tuple[str, ...], ...]:
        """For each layer the names of its trained weights."""
        return tuple(tuple(slot.name for slot in row if slot.trained) for row in self.network.slots)

    @cached_property
    def _with_names(self) -> tuple[tuple[Step, tuple[str, ...]], ...]:
        """Each step with the names of the trained weights that it takes."""
        layers, names = self.network.layers, self._names
        return tuple(
            (s, tuple(n for n in names[s.owner] if n in s.part.takes or s.part is layers[s.owner]))
            for s in self.steps
        )

    def _rows(self, made: Sequence[tuple[int, Mapping[str, Array]]]) -> list[Array | None]:
        """The rows of each weight in order, None for 0; a layer that ran several times adds up its own."""
        found: dict[tuple[int, str], Array] = {}
        for owner, rows in made:
            for name, row in rows.items():
                key = owner, name
                found[key] = found[key] + row if key in found else row
        return [found.get((owner, name)) for owner, names in enumerate(self._names) for name in names]
