"""A program cut in two: what is computed at once, and what may be asked for later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from nnx.errors import RecordingError
from nnx.jitting.program import Program, Slot, slots, substituted
from nnx.jitting.recorder import Recorder


class Half(NamedTuple):
    """A program, and those values of its slots that are the same in every run."""

    program: Program
    fixed: Mapping[int, Any]


def halves(
    recorder: Recorder, inputs: int, cut: tuple[int, int], more: int, first: Any, second: Any
) -> tuple[Half, Half]:
    """The programs of the calls before and after ``cut``, the numbers of calls and values up to there.

    The first takes ``inputs`` arguments and returns ``(first, kept)``; the second takes what was kept and
    ``more`` arguments, the first values after the cut, and returns ``(second,)``: ``first`` and ``second``
    are terms. An error where the second writes into what the first has made, or was given.
    """
    steps, made = cut
    whole = recorder.program(inputs, ())
    later = whole.steps[steps:]
    used = {*slots(second), *(i for step in later for i in (*step.reads, *step.writes))}
    kept = sorted(i for i in used if i < made)
    early = {whole.memory[i] for i in range(made)}
    if any(whole.memory[i] in early for step in later for i in step.writes):
        raise RecordingError("What is computed later writes into what was there before.")
    mine = replace(whole, steps=whole.steps[:steps], outputs=(first, tuple(map(Slot, kept))))
    given = [*kept, *range(made, made + more)]
    results = [step.result for step in later if step.result is not None]
    numbers = {i: k for k, i in enumerate((*given, *results))}
    new = {Slot(i): Slot(k) for i, k in numbers.items()}
    renumbered = tuple(
        step.but(
            args=substituted(step.args, new),
            kwargs=substituted(step.kwargs, new),
            result=None if step.result is None else numbers[step.result],
            writes=frozenset(numbers[i] for i in step.writes),
        )
        for step in later
    )
    owners: dict[int, int] = {}
    other = Program(
        len(given),
        renumbered,
        (substituted(second, new),),
        {k: whole.kinds[i] for i, k in numbers.items()},
        {k: owners.setdefault(whole.memory[i], k) for i, k in numbers.items()},
        whole.constants,
    )
    fixed = {numbers[i]: value for i, value in recorder.fixed.items() if i in numbers}
    return Half(mine, recorder.fixed), Half(other, fixed)
