"""The activations at the ends of a program, which losses that take pre-activations do without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from nnx.layers import Activation
from nnx.models.compiling import freed
from nnx.models.program import Program, Step


def heads_of(program: Program) -> tuple[Any, ...]:
    """The activation function that each output comes out of; None where there is none that can go."""
    steps = _steps_by_value(program)
    return tuple(
        steps[v].part.activation if v in steps and _ends(program, v, steps[v]) else None
        for v in program.outputs
    )


def _steps_by_value(program: Program) -> dict[int, Step]:
    """The step that gives each value, of those that give one alone."""
    found, value = {}, program.inputs
    for step in program.steps:
        if step.gives == 1:
            found[value] = step
        value += step.gives
    return found


def _ends(program: Program, value: int, step: Step) -> bool:
    """Whether a value is what an activation gives, and nothing but one output."""
    if not isinstance(step.part, Activation) or step.penalty is not None:
        return False
    return program.outputs.count(value) == 1 and not any(value in other.reads for other in program.steps)


def without_heads(program: Program, taken: Sequence[bool]) -> Program:
    """The program whose outputs, where ``taken`` says so, are the pre-activations at their ends."""
    gone = {v for v, so in zip(program.outputs, taken, strict=True) if so}
    if not gone:
        return program
    steps: list[Step] = []
    where = list(range(program.inputs))  # of each value: its new number
    values = program.inputs
    for step in program.steps:
        moved = step._replace(reads=tuple(where[i] for i in step.reads))
        if len(where) in gone:
            where.extend(moved.reads)
            continue
        steps.append(moved)
        where.extend(range(values, values + step.gives))
        values += step.gives
    outputs = tuple(where[v] for v in program.outputs)
    masks = tuple(None if m is None else where[m] for m in program.masks)
    return replace(program, steps=freed(steps, {*outputs, *masks}), outputs=outputs, masks=masks)
