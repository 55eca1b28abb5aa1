"""Large results in the place of an operand that is needed no more: fewer bytes, and these in the cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nnx.jitting.functions import gives_back_by_numbers, makes_new
from nnx.jitting.program import Program, Slot, Step, slots, substituted, with_terms
from nnx.jitting.values import Kind

#: bytes from which on it pays to use an array's place again
_WORTH_A_PLACE = 1 << 12


def with_places_used_again(program: Program, into: Callable[..., Any]) -> Program:
    """The program with large results in the place of an operand that is needed no more.

    ``into(function)`` is the entry-by-entry function that takes a place for its result as ``out``, or None.
    Only places that the program itself has made are used again.
    """
    memory = program.memory
    last = {memory[i]: k for k, step in enumerate(program.steps) for i in (*step.reads, *step.writes)}
    taken = {memory[i] for i in (*range(program.inputs), *slots(program.outputs))}
    taken |= {memory[i] for step in program.steps if gives_back_by_numbers(step.function) for i in step.reads}
    fresh: set[int] = set()
    new: dict[Any, Any] = {}
    steps = []

    def free(step: Step, k: int, kind: Kind) -> int | None:
        """The slot of an operand whose place step k may take."""
        operands = (term.number for term in step.args if type(term) is Slot)
        ends = (j for j in operands if j in fresh and memory[j] not in taken and last[memory[j]] == k)
        return next((j for j in ends if program.kinds[j] == kind), None)

    for k, old in enumerate(program.steps):
        step, i = with_terms(old, new), old.result
        if step.writes:
            step = step.but(writes=frozenset(new.get(Slot(j), Slot(j)).number for j in step.writes))
        if i is not None and not step.writes:
            kind, function = program.kinds[i], into(step.function)
            if kind.owner and memory[i] == i and (function is not None or makes_new(step.function)):
                fresh.add(i)
            takes = function is not None and not step.kwargs and i in fresh and kind.nbytes >= _WORTH_A_PLACE
            if takes and (j := free(step, k, kind)) is not None:
                new[Slot(i)] = Slot(j)
                last[memory[j]] = last.get(memory[i], k)
                taken |= {memory[j]} if memory[i] in taken else set()
                into_it = {"out": Slot(j)}
                step = step.but(function=function, kwargs=into_it, result=None, writes=frozenset([j]))
        steps.append(step)
    return replace(program, steps=tuple(steps), outputs=substituted(program.outputs, new))
