"""The program for prediction alone: products, normalizations and rectifiers behind them in one part each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nnx.layers import Context
from nnx.layers.ended import ended
from nnx.models.compiling import freed, joined
from nnx.models.program import Array, Params, Program, Ran, Step


@dataclass(frozen=True, eq=False)
class Predicting(Program):
    """A program whose parts may have the weights of two layers: ``pairs`` are these owners, after all others.

    What follows from the weights is computed in every run, so it is never out of date.
    """

    pairs: tuple[tuple[int, int], ...] = ()

    def run(self, params: Params, inputs: Sequence[Array], context: Context) -> Ran:
        both = ({**params[i], **params[j]} for i, j in self.pairs)
        return super().run((*params, *both), inputs, context)


def predicting(program: Program) -> Program:
    """What computes the outputs of ``program`` without training in fewer passes, to rounding.

    Its runs with a context that trains are wrong; it has no rows of a Jacobian.
    """
    network, pairs = program.network, list[tuple[int, int]]()
    ranks = {call: 1 + len(shape) for shape, call in zip(network.shapes, network.made_by, strict=True)}

    def join(before: Step, step: Step) -> Step | None:
        one = ended(before.part, step.part, ranks[step.call], len(step.reads))
        if one is None:
            return None
        owner = before.owner
        if one.normalization is step.part:
            owner = len(network.layers) + len(pairs)
            pairs.append((before.owner, step.owner))
        return step._replace(part=one, owner=owner, call=before.call)

    kept = [i for i in (*program.outputs, *program.masks) if i is not None]
    steps, where = joined(program.steps, kept, program.inputs, join)
    outputs = tuple(where[v] for v in program.outputs)
    masks = tuple(None if m is None else where[m] for m in program.masks)
    in_time = freed(steps, {*outputs, *masks})
    return Predicting(network, program.inputs, in_time, outputs, masks, pairs=tuple(pairs))
