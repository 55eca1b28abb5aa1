"""What of a network runs: parts of layers in order, fused where a table says so, each value freed in time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
        table = tuple(
            (s.part, s.owner, s.call, s.reads, s.dead, s.penalty, s.training, s.kind) for s in self.steps
        )
        object.__setattr__(self, "_table", table)

    def run(self, params: Params, inputs: Sequence[Array], context: Context) -> Ran:
        """The outputs for a batch of ``inputs``, with what stateful layers would change."""
        values, penalties = list(inputs), []
        changes: dict[int, Mapping[str, Array]] = {}
        call = 0
        try:
            for part, owner, call, reads, dead, penalty, fixed, kind in self._table:  # type: ignore[attr-defined]
                xs = [values[i] for i in reads]
                for i in dead:
                    values[i] = None
                if kind == _PLAIN:
                    y = part.forward(params[owner], *xs)
                elif kind == _WITH_CONTEXT:
                    y = part.forward(params[owner], *xs, context.at(call, fixed))
                else:
                    # called a second time, it goes on from what its first call changed
                    p = params[owner] if owner not in changes else {**params[owner], **changes[owner]}
                    y, new = part.with_changes(part.forward(p, *xs, context.at(call, fixed)))
                    changes[owner] = {**changes.get(owner, {}), **new}
                if penalty is not None:
                    penalties.append(penalty(y) * (1.0 / y.shape[0]))
                values.append(y)
        except Exception as error:
            error.add_note(f"  {self.network.place(call)}")
            raise
        return Ran([values[i] for i in self.outputs], changes, penalties)

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
        self, params: Params, names: Sequence[Sequence[str]], inputs: Sequence[Array], context: Context
    ) -> tuple[Array, Callable[[Array], Callable[[slice], list[Array]]]]:
        """``(output, back)``: with the gradient g by the output, ``back(g)(part)`` lists for a slice of the
        samples each one's gradient by each trained weight (``names`` by layer), of shape (n, *shape).

        One pass forward, and one back for each entry of a sample's output, make the Jacobian; only a part of
        it need be there at a time. Right for layers that do not mix samples.
        """  # noqa: D205
        values, backs = list(inputs), []
        for step in self.steps:
            own = [n for n in names[step.owner] if n in step.part.takes or step.part is self._layer(step)]
            xs = [values[i] for i in step.reads]
            y, back = step.part.per_sample(params[step.owner], own, xs, context.at(step.call, step.training))
            values.append(y)
            backs.append((own, back))

        def all_back(g: Array) -> Callable[[slice], list[Array]]:
            pending, found = {self.outputs[0]: g}, defaultdict(list)
            for k in reversed(range(len(self.steps))):
                if (g := pending.pop(self.inputs + k, None)) is None:
                    continue  # nothing comes back here
                (own, back), step = backs[k], self.steps[k]
                by_inputs, gradients = back(g)
                for i, c in zip(step.reads, by_inputs, strict=True):
                    pending[i] = pending[i] + c if i in pending else c
                if own:
                    found[step.owner].append(gradients)
            return lambda part: list(_rows(names, found, part))

        return values[self.outputs[0]], all_back

    def _layer(self, step: Step) -> Layer:
        return self.network.layers[step.owner]

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


def _rows(names: Sequence[Sequence[str]], found: Mapping[int, list[Any]], part: slice) -> Iterator[Array]:
    """The rows of each weight in order; a layer that ran several times has several, which add up."""
    for owner, own in enumerate(names):
        if not own:
            continue
        made = [gradients(part) for gradients in found[owner]]
        for name in own:
            pieces = [rows[name] for rows in made if name in rows]
            yield sum(pieces[1:], start=pieces[0])


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
