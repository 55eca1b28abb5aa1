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

    def predict(self, params: Params, inputs: Sequence[Array]) -> Array:
        """The output for a batch, of the shape that the layers' specs promise, or ShapeError."""
        y = self.run(params, inputs, Context()).outputs[0]
        n, shape = inputs[0].shape[0], self.network.output_shape
        if tuple(y.shape) != (n, *shape):
            raise ShapeError(
                f"{self.network.model} gave outputs of shape {tuple(y.shape)} for {n} samples, but by its "
                f"layers' specs it is {shape} for each: does every forward fit its spec?"
            )
        return y

    def per_sample(
        self, params: Params, inputs: Sequence[Array], context: Context
    ) -> tuple[Array, Callable[[Array], Callable[[slice], list[Array]]]]:
        """``(output, back)``: with the gradient g by the output, ``back(g)(part)`` lists for a slice of the
        samples each one's gradient by each trained weight, of shape (n, *shape).

        One pass forward, and one back for each entry of a sample's output, make the Jacobian; only a part of
        it need be there at a time. Right for layers that do not mix samples.
        """  # noqa: D205
        values, backs = list(inputs), []
        pick = values.__getitem__
        for step, own in self._with_names:
            at = context.at(step.call, step.training)
            y, back = step.part.per_sample(params[step.owner], own, list(map(pick, step.reads)), at)
            values.append(y)
            backs.append(back)

        def all_back(g: Array) -> Callable[[slice], list[Array]]:
            pending, found = {self.outputs[0]: g}, []
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

        return values[self.outputs[0]], all_back

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

    # -- the activation at the end ----------------------------------------------------------------

    @property
    def head(self) -> Any:
        """The activation function that the only output comes out of; None where there is no such."""
        if not self.steps or len(self.outputs) != 1:
            return None
        last = self.steps[-1]
        at_end = self.outputs[0] == self.inputs + len(self.steps) - 1 and last.penalty is None
        return last.part.activation if at_end and isinstance(last.part, Activation) else None

    def without_head(self) -> Program:
        """The program without the activation at its end: its output is the pre-activations."""
        *steps, last = self.steps
        (z,) = last.reads
        steps = [s._replace(dead=tuple(i for i in s.dead if i != z)) for s in steps]
        return replace(self, steps=tuple(steps), outputs=(z,))


# -- making one ----------------------------------------------------------------------------------


def compiled(network: Network) -> Program:
    """The program of a network: its calls as parts, neighbours fused, values freed after their last use."""
    steps, outputs = _parts(network)
    steps, outputs = _fused(steps, outputs, len(network.inputs))
    return Program(network, len(network.inputs), freed(steps, outputs, len(network.inputs)), outputs)


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


def freed(steps: Sequence[Step], outputs: tuple[int, ...], n: int) -> tuple[Step, ...]:
    """The steps, each with the values that nobody reads after it; ``n`` is the number of inputs."""
    last = {i: k for k, step in enumerate(steps) for i in step.reads}
    dead = defaultdict(list)
    for i, k in last.items():
        if i not in outputs:
            dead[k].append(i)
    return tuple(step._replace(dead=tuple(dead[k])) for k, step in enumerate(steps))
