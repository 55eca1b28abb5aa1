"""New arrays in the place of writes into old ones, where nobody can tell: then such a call can be joined."""

from __future__ import annotations

import operator
from collections import Counter
from dataclasses import replace
from itertools import count
from typing import Any

from nnx.jitting.program import Constant, Program, Slot, Step, substituted, with_terms
from nnx.jitting.values import Kind, kind_of

Term = Any

#: what writes its result into its first argument, and what makes a new array of it
_WRITES: dict[Any, Any] = {
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    operator.itruediv: operator.truediv,
}


def without_writes(program: Program, below: Any) -> Program:
    """The program with new arrays for sums and the like that go into an array that is large enough to join.

    Only into one that the program has made, of which there is no view: nobody else sees what was there. What
    has the written array as its result is taken for one that makes a new one only where it can be joined: the
    adapter ``below`` knows it as an entry-by-entry call.
    """
    kinds, memory = dict(program.kinds), dict(program.memory)
    sharing = Counter(memory.values())
    made = {step.result for step in program.steps}
    numbers = count(max(kinds, default=-1) + 1)
    now: dict[Any, Any] = {}
    steps = []
    for old in program.steps:
        step, call = with_terms(old, now), _WRITES.get(old.function)
        i = old.result
        if call is None and i is not None and old.writes and _is_known(program, old, below):
            call = old.function
        j = old.args[0].number if call is not None and type(old.args[0]) is Slot else -1
        same = 1 if i is None or j < 0 else 1 + (memory[i] == memory[j])
        alone = j in made and sharing[memory[j]] == same and kinds[j].owner
        large = alone and kinds[j].nbytes >= below.worth_joining
        if call and large and not old.kwargs and _keeps_kind(program, kinds[j], old.args[1]):
            i = next(numbers) if i is None else i
            kinds[i], memory[i] = kinds[j], i
            step = Step(call, step.args, {}, i, pure=True)
            now[Slot(j)] = Slot(i)
        elif step.writes:
            step = step.but(writes=frozenset(now.get(Slot(k), Slot(k)).number for k in step.writes))
        steps.append(step)
    outputs = substituted(program.outputs, now)
    return replace(program, steps=tuple(steps), outputs=outputs, kinds=kinds, memory=memory)


def _is_known(program: Program, step: Step, below: Any) -> bool:
    """Whether a step that writes can be joined as a call that makes a new array."""
    kinds = [program.kinds[x.number] if type(x) is Slot else None for x in step.args]
    return below.entrywise(step.function, step.args, dict(step.kwargs), kinds) is not None


def _keeps_kind(program: Program, kind: Kind, term: Term) -> bool:
    """Whether the sum of an array of that kind and the term has that kind as well."""
    if type(term) in (int, float):
        return bool(kind.dtype.kind == "f")
    if type(term) is Slot:
        other = program.kinds[term.number]
    elif type(term) is Constant:
        other = kind_of(program.constants[term.number])
    else:
        return False
    return bool(other.dtype == kind.dtype and other.shape == kind.shape and other.in_order and kind.in_order)
