"""From a network to the program that runs: calls as parts, neighbours fused, masks handed on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from nnx.layers import FUSIONS, Layer, parts_of
from nnx.models.asked import Asked, MaskOf
from nnx.models.network import Network
from nnx.models.program import Program, Step


def compiled(network: Network) -> Program:
    """The program of a network: its calls as parts, neighbours fused, values freed after their last use."""
    making = _Making(network)
    making.make()
    return making.program()


class _Making:
    """A program that is being made of a network."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.n = len(network.inputs)
        self.steps: list[Step] = []
        #: of each value of the network: its number in the program, and that of its mask
        self.where: list[int] = list(range(self.n))
        self.masks: list[int | None] = [None] * self.n
        self.values = self.n

    def make(self) -> None:
        """The steps of every call, in order."""
        for k, (i, reads, training, options) in enumerate(self.network.calls):
            layer = self.network.layers[i]
            inputs = tuple(self.where[r] for r in reads)
            masks = tuple(self.masks[r] for r in reads)
            read_masks = tuple(m for m in masks if m is not None) if layer.takes_mask else ()
            if read_masks or options:
                taken = tuple(m is not None for m in masks) if read_masks else ()
                names = tuple(weight.name for weight in self.network.specs[i].weights)
                parts: tuple[Layer, ...] = (Asked(layer, options, taken, names),)
            else:
                parts = parts_of(layer)
            last = parts[-1]
            made = inputs + read_masks
            for part in parts:
                gives = self.network.gives(k) if part is last else 1
                made = self._add(Step(part, i, k, made, training=training, gives=gives))
            self.steps[-1] = self.steps[-1]._replace(penalty=layer.activity_regularizer)
            self.where.extend(made)
            self.masks.extend(self._masks_of(k, layer, inputs, masks))

    def _add(self, step: Step) -> tuple[int, ...]:
        """The numbers of the values that a step gives, once it is there."""
        self.steps.append(step)
        first, self.values = self.values, self.values + step.gives
        return tuple(range(first, self.values))

    def _masks_of(
        self, k: int, layer: Layer, inputs: tuple[int, ...], masks: tuple[int | None, ...]
    ) -> list[int | None]:
        """The masks of what call k gives; a step makes one where it is not that of an input."""
        masked = tuple(m is not None for m in masks)
        count, gives = layer.gives_mask(masked), self.network.gives(k)
        there = tuple(m for m in masks if m is not None)
        if not count:
            return [None] * gives
        if type(layer).compute_mask is Layer.compute_mask and len(set(there)) == 1:
            mask = there[0]
        else:
            owner = self.network.calls[k].layer
            (mask,) = self._add(Step(MaskOf(layer, masked), owner, k, inputs + there))
        return [mask if i < count else None for i in range(gives)]

    def program(self) -> Program:
        """The program of the steps, fused, with values freed after their last use."""
        outputs = tuple(self.where[v] for v in self.network.outputs)
        masks = tuple(self.masks[v] for v in self.network.outputs)
        read = (*outputs, *(m for m in masks if m is not None))
        steps, where = joined(self.steps, read, self.n, _fused)
        outputs = tuple(where[v] for v in outputs)
        masks = tuple(None if m is None else where[m] for m in masks)
        kept = {*outputs, *masks}
        return Program(self.network, self.n, freed(steps, kept), outputs, masks if any(masks) else ())


def _fused(before: Step, step: Step) -> Step | None:
    """The step that a fusion makes of two."""
    if len(step.reads) > 1:
        return None
    pairs = (fusion(before.part, step.part) for fusion in FUSIONS)
    one = next((part for part in pairs if part is not None), None)
    if one is None:
        return None
    second = one.takes and one.takes == step.part.takes and not before.part.takes
    return step._replace(part=one, owner=(step if second else before).owner)


def joined(
    steps: Sequence[Step], outputs: Sequence[int], n: int, join: Callable[[Step, Step], Step | None]
) -> tuple[list[Step], list[int]]:
    """Pairs that ``join`` knows become one step, where the second reads the first and nobody else does.

    Also for every value its new number; there are ``n`` inputs.
    """
    readers: dict[int, int] = defaultdict(int)
    for i in (*outputs, *(i for step in steps for i in step.reads)):
        readers[i] += 1
    made: list[Step] = []
    where, values = list(range(n)), n
    for step in steps:
        moved = step._replace(reads=tuple(where[i] for i in step.reads))
        before = made[-1] if made else None
        one = None
        alone = before is not None and before.penalty is None and before.gives == 1
        last = values - 1  # what the step before gives
        if before and alone and last in moved.reads and readers[step.reads[moved.reads.index(last)]] == 1:
            one = join(before, moved)
        if one is not None and before is not None:
            made[-1] = one._replace(reads=(*before.reads, *(i for i in moved.reads if i != last)))
            where.append(values - 1)
        else:
            made.append(moved)
            where.extend(range(values, values + step.gives))
            values += step.gives
    return made, where


def freed(steps: Sequence[Step], kept: set[int | None]) -> tuple[Step, ...]:
    """The steps with what nobody reads afterwards, but for the values that are ``kept``."""
    last = {i: k for k, step in enumerate(steps) for i in step.reads}
    dead = defaultdict(list)
    for i, k in last.items():
        if i not in kept:
            dead[k].append(i)
    return tuple(step._replace(dead=tuple(dead[k])) for k, step in enumerate(steps))
