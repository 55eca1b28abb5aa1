"""Every path through a Python function whose branches depend on recorded values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from docs_build.live.tape import INPUTS, Recorded, Tape, Undecided, known_to_nnx
from nnx.errors import NnxError

#: What is recorded: it returns its results by name.
Function = Callable[[Tape], Mapping[str, Recorded]]
#: What a path may end with instead of results: nnx refuses these values.
_REFUSALS = (NnxError, TypeError, ValueError)
#: a value in the text of an error, see ``Recorded.__repr__``
MENTIONED = re.compile("«(\\d+)»")


@dataclass(frozen=True)
class Block:
    """Steps in order (number of the value, operation, operands), and how they end."""

    steps: tuple[tuple[int, str, tuple[Any, ...]], ...]
    end: Results | Fork | Refusal


@dataclass(frozen=True)
class Results:
    """The results by name: the number of each value, and whether it is a vector."""

    values: Mapping[str, tuple[int, bool]]


@dataclass(frozen=True)
class Fork:
    """A branch: which block follows where the value is true, and which where it is not."""

    condition: int
    yes: Block
    no: Block


@dataclass(frozen=True)
class Refusal:
    """The path ends with this error."""

    message: str


def paths(function: Function) -> Block:
    """``function(tape)``, which returns its results by name, run once for every path through it.

    No two values have one number, and where a branch makes no difference there is none.
    """
    with known_to_nnx():
        return _renumbered(_paths(function, (), 0), {}, count())


def _paths(function: Function, decisions: tuple[bool, ...], first: int) -> Block:
    end: Results | Fork | Refusal
    with Tape(decisions).in_use() as tape:
        try:
            found = function(tape)
            end = Results({name: (x.value, len(x.shape) > 0) for name, x in found.items()})
        except Undecided as branch:
            known = len(tape.steps)
            yes, no = (_paths(function, (*decisions, answer), known) for answer in (True, False))
            end = yes.end if _same(yes, no, known) else Fork(branch.value, yes, no)
            more = yes.steps if end is yes.end else ()
            return _needed(Block(_numbered(tape, first) + more, end))
        except _REFUSALS as error:
            end = Refusal(str(error))
    return _needed(Block(_numbered(tape, first), end))


def _numbered(tape: Tape, first: int) -> tuple[tuple[int, str, tuple[Any, ...]], ...]:
    return tuple((first + i, *step) for i, step in enumerate(tape.steps[first:]))


def _same(one: Block, other: Block, known: int) -> bool:
    """Whether two blocks that follow the same ``known`` values compute the same."""
    numbers = {i: i for i in range(known)}
    return _renumbered(one, numbers, count(known)) == _renumbered(other, numbers, count(known))


def _needed(block: Block) -> Block:
    """``block`` without the steps that no result needs."""
    wanted, kept = _read_by(block.end), []
    for step in reversed(block.steps):
        if step[0] in wanted:
            kept.append(step)
            wanted |= set() if step[1] in INPUTS else set(step[2])
    return Block(tuple(reversed(kept)), block.end)


def _read_by(end: Results | Fork | Refusal) -> set[int]:
    if isinstance(end, Results):
        return {value for value, _ in end.values.values()}
    if isinstance(end, Refusal):
        return {int(value) for value in MENTIONED.findall(end.message)}
    found = {end.condition}
    for block in (end.yes, end.no):
        found |= _read_by(block.end)
        found |= {x for _, name, given in block.steps if name not in INPUTS for x in given}
    return found


def _renumbered(block: Block, numbers: dict[int, int], fresh: Iterator[int]) -> Block:
    numbers, steps = dict(numbers), []
    for value, name, operands in block.steps:
        numbers[value] = next(fresh)
        given = operands if name in INPUTS else tuple(numbers[x] for x in operands)
        steps.append((numbers[value], name, given))
    end = block.end
    if isinstance(end, Fork):
        yes, no = (_renumbered(part, numbers, fresh) for part in (end.yes, end.no))
        end = Fork(numbers[end.condition], yes, no)
    elif isinstance(end, Results):
        end = Results({name: (numbers[x], is_vector) for name, (x, is_vector) in end.values.items()})
    else:
        end = Refusal(MENTIONED.sub(lambda found: f"«{numbers[int(found[1])]}»", end.message))
    return Block(tuple(steps), end)
