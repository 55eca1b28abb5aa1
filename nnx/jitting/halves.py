"""A program cut in two: what is computed at once, and what may be asked for later."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from nnx.errors import RecordingError
from nnx.jitting.program import Program, Slot, slots, substituted
from nnx.jitting.recorder import Recorder
from nnx.jitting.replayed import Plan, Replay, Replayed, need_same_bits, wrapped

Array = Any


class Halved(Replayed):
    """A function that returns ``(answer, rest)``: ``rest(*more)``, a pure function, is called later, if ever.

    What it needs of the way to the answer is kept. ``more(*args)`` are arguments of ``rest`` for the
    recording, which may write into them.
    """

    def __init__(
        self, compute: Callable[..., Any], more: Callable[..., Sequence[Array]], *options: Any, **named: Any
    ) -> None:
        super().__init__(compute, *options, **named)
        self._more = more

    def __call__(self, *args: Any) -> Any:
        plan = self.known(args)
        found = None if plan is None else plan.replayed(args)
        if plan is None or found is None:
            return self._as_it_is(args, plan)
        return found[0], partial(self._rest, plan, args, found[1])

    def _rest(self, plan: Plan, args: Sequence[Any], kept: Sequence[Any], *more: Any) -> Any:
        try:
            return plan.made[1].call(*kept, *more)[0]
        except RecordingError as error:
            plan.refuse(error)
        return self._compute(*self._held, *args)[1](*more)

    def _recorded(self, args: Sequence[Any]) -> tuple[Replay, ...]:
        given, added = (*self._held, *args), self._more(*self._held, *args)
        with self._recorder(given) as recorder, recorder.adapter.serving():
            answer, rest = self._compute(*wrapped(recorder, given))
            cut = len(recorder.steps), len(recorder.kinds)
            found = rest(*wrapped(recorder, added))
        terms = recorder.term(answer), recorder.term(found)
        first, second = halves(recorder, len(given), cut, len(added), *terms)
        return self._made(recorder, *first, self._held), self._made(recorder, *second)

    def _compared(self, plan: Plan, args: Sequence[Any]) -> Any:
        given = (*self._held, *args)
        answer, rest = self._compute(*given)
        first, second = plan.made
        need_same_bits(answer, given, first, args)
        kept = first.call(*args)[1]

        def both(*more: Any) -> Any:
            found = rest(*more)
            try:
                need_same_bits(found, (*kept, *more), second, (*kept, *more))
            except Exception as error:
                plan.refuse(error)
                return rest(*more)
            plan.agreed()
            return found

        return answer, both


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
