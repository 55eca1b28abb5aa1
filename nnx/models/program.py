"""What of a network runs: parts of layers in order, fused where a table says so, each value freed in time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

from nnx.errors import ShapeError
from nnx.layers import FUSIONS, Activation, Context, Layer, parts_of
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

    @property
    def kind(self) -> int:
        """How the part's forward is called."""
        return _STATEFUL if self.part.stateful else _WITH_CONTEXT if self.part.random else _PLAIN


class Ran(NamedTuple):
    """What a run gives: the outputs, what stateful layers would change, and the penalties on activities."""

    outputs: list[Array]
    changes: dict[int, Mapping[str, Array]]
    penalties: list[Array]


@dataclass(frozen=True, eq=False)
class Program:
    """A network's parts in the order in which they run, as a function of weights and inputs.

    Value i is input i, value ``inputs + k`` is what step k gives.
    """

    network: Network
    inputs: int
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]

    def __post_init__(self) -> None:
        table = tuple((s.part.forward, s.kind, s.reads, s.dead, s) for s in self.steps)
        object.__setattr__(self, "_table", table)

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
                    penalties.append(step.penalty(y) * (1.0 / y.shape[0]))
                values.append(y)
        except Exception as error:
            if step is not None:
                error.add_note(f"  {self.network.place(step.call)}")
            raise
        return Ran(list(map(pick, self.outputs)), changes, penalties)

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
        outputs, n = self.run(params, inputs, Context()).outputs, inputs[0].shape[0]
        for y, shape in zip(outputs, self.network.output_shapes, strict=True):
            if tuple(y.shape) != (n, *shape):
                raise ShapeError(
                    f"{self.network.model} gave outputs of shape {tuple(y.shape)} for {n} samples, but by "
                    f"its layers' specs it is {shape} for each: does every forward fit its spec?"
                )
        return outputs

    def per_sample(
        self, params: Params, inputs: Sequence[Array], context: Context
    ) -> tuple[list[Array], Callable[[Sequence[Array]], Callable[[slice], list[Array]]]]:
        """``(outputs, back)``: with the gradients g by the outputs (None: it is 0), ``back(g)(part)`` lists
        for a slice of the samples each one's gradient by each trained weight, of shape (n, *shape).

        One pass forward, and one back for each entry of a sample's outputs, make the Jacobian; only a part of
        it need be there at a time. Right for layers that do not mix samples.
        """  # noqa: D205
        values, backs = list(inputs), []
        pick = values.__getitem__
        for step, own in self._with_names:
            at = context.at(step.call, step.training)
            y, back = step.part.per_sample(params[step.owner], own, list(map(pick, step.reads)), at)
            values.append(y)
            backs.append(back)

        def all_back(by_outputs: Sequence[Array]) -> Callable[[slice], list[Array]]:
            pending: dict[int, Array] = {}
            for i, g in zip(self.outputs, by_outputs, strict=True):
                if g is not None:
                    pending[i] = pending[i] + g if i in pending else g
            found = []
            k = len(values)
            for (step, own), back in zip(reversed(self._with_names), reversed(backs), strict=True):
                k -= 1
                if (g := pending.pop(k, None)) is None:
                    continue  # nothing comes back here
                by_inputs, gradients = back(g)
                for i, c in zip(step.reads, by_inputs, strict=True):
                    pending[i] = pending[i] + c if i in pending else c
                if own:
                    found.append((step.owner, gradients))
            return lambda part: self._rows([(owner, gradients(part)) for owner, gradients in found])

        return [values[i] for i in self.outputs], all_back

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

    def _rows(self, made: Sequence[tuple[int, Mapping[str, Array]]]) -> list[Array]:
        """The rows of each weight in order; a layer that ran several times has several, which add up."""
        found: dict[tuple[int, str], Array] = {}
        for owner, rows in made:
            for name, row in rows.items():
                key = owner, name
                found[key] = found[key] + row if key in found else row
        return [found[owner, name] for owner, names in enumerate(self._names) for name in names]

    # -- the activations at the ends --------------------------------------------------------------

    @cached_property
    def heads(self) -> tuple[Any, ...]:
        """The activation function that each output comes out of; None where there is none that can go."""
        return tuple(
            self.steps[v - self.inputs].part.activation if self._ends_in_activation(v) else None
            for v in self.outputs
        )

    def _ends_in_activation(self, value: int) -> bool:
        """Whether a value is what an activation gives, and nothing but one output."""
        k = value - self.inputs
        if k < 0 or not isinstance(self.steps[k].part, Activation) or self.steps[k].penalty is not None:
            return False
        return self.outputs.count(value) == 1 and not any(value in step.reads for step in self.steps)

    def without_heads(self, taken: Sequence[bool]) -> Program:
        """The program whose outputs, where ``taken`` says so, are the pre-activations at their ends."""
        gone = {v - self.inputs for v, so in zip(self.outputs, taken, strict=True) if so}
        if not gone:
            return self
        where, steps = list(range(self.inputs)), list[Step]()
        for k, step in enumerate(self.steps):
            moved = step._replace(reads=tuple(where[i] for i in step.reads))
            if k not in gone:
                steps.append(moved)
            where.append(moved.reads[0] if k in gone else self.inputs + len(steps) - 1)
        outputs = tuple(where[v] for v in self.outputs)
        return replace(self, steps=_freed(steps, outputs, self.inputs), outputs=outputs)


# -- making one ----------------------------------------------------------------------------------


def compiled(network: Network) -> Program:
    """The program of a network: its calls as parts, neighbours fused, values freed after their last use."""
    steps, outputs = _parts(network)
    steps, outputs = _fused(steps, outputs, len(network.inputs))
    return Program(network, len(network.inputs), _freed(steps, outputs, len(network.inputs)), outputs)


def _parts(network: Network) -> tuple[list[Step], tuple[int, ...]]:
    n = len(network.inputs)
    steps: list[Step] = []
    where = list(range(n))  # of each value of the network: its number in the program
    for k, (i, reads, training) in enumerate(network.calls):
        layer = network.layers[i]
        inputs = tuple(where[r] for r in reads)
        for part in parts_of(layer):
            steps.append(Step(part, i, k, inputs, training=training))
            inputs = (n + len(steps) - 1,)
        steps[-1] = steps[-1]._replace(penalty=layer.activity_regularizer)
        where.append(inputs[0])
    return steps, tuple(where[v] for v in network.outputs)


def _fused(steps: list[Step], outputs: tuple[int, ...], n: int) -> tuple[list[Step], tuple[int, ...]]:
    """Pairs that a fusion knows become one step, where the second reads the first and nobody else does."""
    readers = [0] * (n + len(steps))
    for i in (*outputs, *(i for step in steps for i in step.reads)):
        readers[i] += 1
    made: list[Step] = []
    where = list(range(n))
    for step in steps:
        moved = step._replace(reads=tuple(where[i] for i in step.reads))
        before = made[-1] if made else None
        last = n + len(made) - 1
        one = None
        if before and before.penalty is None and moved.reads == (last,) and readers[step.reads[0]] == 1:
            pairs = (fusion(before.part, step.part) for fusion in FUSIONS)
            one = next((part for part in pairs if part is not None), None)
        if one is not None and before is not None:
            made[-1] = moved._replace(part=one, owner=before.owner, reads=before.reads)
        else:
            made.append(moved)
        where.append(n + len(made) - 1)
    return made, tuple(where[v] for v in outputs)


def _freed(steps: list[Step], outputs: tuple[int, ...], n: int) -> tuple[Step, ...]:
    last = {i: k for k, step in enumerate(steps) for i in step.reads}
    dead = defaultdict(list)
    for i, k in last.items():
        if i not in outputs:
            dead[k].append(i)
    return tuple(step._replace(dead=tuple(dead[k])) for k, step in enumerate(steps))
