"""Programs that are run in pieces, whose inner values are computed again on the way back and not kept."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from nnx.autodiff import checkpoint
from nnx.errors import OptionError, UnknownName
from nnx.layers import Context
from nnx.models.compiling import freed
from nnx.models.program import Params, Program, Ran
from nnx.options import Number

Array = Any
_PIECES = Number(least=2, whole=True)


class Piece(NamedTuple):
    """Steps in a row as a program of their own: the values that it reads and gives, and which then die."""

    program: Program
    reads: tuple[int, ...]
    gives: tuple[int, ...]
    dead: tuple[int, ...]
    #: whose weights its steps take
    owners: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Recomputed(Program):
    """A program whose training keeps only what crosses from one piece to the next; ``cuts`` are step numbers.

    Each piece but the last is a checkpointed function (see :func:`nnx.checkpoint`) of its weights and of the
    values that it reads: on the way back it runs again, with the same random numbers. All that is computed is
    what the program computes.
    """

    cuts: tuple[int, ...] = ()

    def run(self, params: Params, inputs: Sequence[Array], context: Context) -> Ran:
        if not context.training:
            return super().run(params, inputs, context)
        values = dict(enumerate(inputs))
        own = dict(enumerate(params))
        changes: dict[int, Mapping[str, Array]] = {}
        penalties: list[Array] = []
        for piece in self._pieces:

            def run(p: Any, xs: Any, piece: Piece = piece) -> tuple[Any, ...]:
                return tuple(piece.program.run(p, xs, context))

            made = run if piece is self._pieces[-1] else checkpoint(run)
            taken = {i: dict(own[i]) for i in piece.owners}
            outputs, changed, more, *_ = made(taken, [values[i] for i in piece.reads])
            for i, new in changed.items():  # which a later call of the layer goes on from
                own[i] = {**own[i], **new}
                changes[i] = {**changes.get(i, {}), **new}
            values.update(zip(piece.gives, outputs, strict=True))
            for i in piece.dead:
                del values[i]
            penalties += more
        masks = [None if i is None else values[i] for i in self.masks]
        return Ran([values[i] for i in self.outputs], changes, penalties, masks)

    @cached_property
    def _pieces(self) -> tuple[Piece, ...]:
        found = []
        #: the number of each step's first value, and the number of values
        first = list(accumulate((step.gives for step in self.steps), initial=self.inputs))
        last = {i: k for k, step in enumerate(self.steps) for i in step.reads}
        last |= dict.fromkeys((i for i in (*self.outputs, *self.masks) if i is not None), len(self.steps))
        for start, stop in pairwise((0, *(k for k in self.cuts if k < len(self.steps)), len(self.steps))):
            steps, own = self.steps[start:stop], range(first[start], first[stop])
            reads = sorted({i for step in steps for i in step.reads if i not in own})
            gives = tuple(i for i in own if last.get(i, -1) >= stop)
            place = {i: k for k, i in enumerate((*reads, *own))}
            moved = [step._replace(reads=tuple(place[i] for i in step.reads)) for step in steps]
            outputs = tuple(place[i] for i in gives)
            program = Program(self.network, len(reads), freed(moved, set(outputs)), outputs)
            dead = tuple(i for i in reads if last[i] < stop)
            owners = tuple(sorted({step.owner for step in steps}))
            found.append(Piece(program, tuple(reads), gives, dead, owners))
        return tuple(found)


def recomputed(program: Program, wanted: Any) -> Program:
    """The program, cut as ``compile(recompute=...)`` says: into so many pieces, or after layers of names."""
    if wanted is None:
        return program
    cuts = _after(program, wanted) if isinstance(wanted, list | tuple) else _equal(program, wanted)
    return Recomputed(
        program.network, program.inputs, program.steps, program.outputs, program.masks, cuts=cuts
    )


def check_recompute(wanted: Any) -> Any:
    """``wanted`` itself, or OptionError for what cannot say how to cut any program."""
    names = isinstance(wanted, list | tuple) and wanted and all(isinstance(name, str) for name in wanted)
    if wanted is None or names:
        return wanted
    if isinstance(wanted, bool | str | list | tuple):
        raise OptionError(
            "compile: recompute must be a number of pieces, or a list of the names of layers after which the "
            f"model is cut, got {wanted!r}."
        )
    return _PIECES("compile", "recompute", wanted)


def _after(program: Program, names: Sequence[str]) -> tuple[int, ...]:
    """Where to cut after every call of the layers of these names."""
    network = program.network
    if strangers := [name for name in names if name not in network.names]:
        raise UnknownName(
            f"compile: recompute names the layer {strangers[0]!r}, which {network.model} does not have. It "
            f"has: {', '.join(network.names)}."
        )
    wanted = {k for k, call in enumerate(network.calls) if network.names[call.layer] in names}
    # A step that was fused with those of later calls ends where they end.
    ends = {max((i for i, s in enumerate(program.steps) if s.call <= k), default=-1) + 1 for k in wanted}
    return tuple(sorted(k for k in ends if 0 < k < len(program.steps)))


def _equal(program: Program, pieces: int) -> tuple[int, ...]:
    """Where to cut into pieces that give about equally many numbers."""
    network, count = program.network, len(program.steps)
    if pieces > count:
        raise OptionError(f"compile: recompute={pieces} pieces, but {network.model} has {count} steps.")
    given = Counter[int | None]()
    for shape, call in zip(network.shapes, network.made_by, strict=True):
        given[call] += math.prod(shape)
    sizes = list(accumulate(given[step.call] for step in program.steps))
    cuts = [
        next(k for k, size in enumerate(sizes, 1) if size * pieces >= j * sizes[-1]) for j in range(1, pieces)
    ]
    return tuple(sorted({k for k in cuts if k < count}))
