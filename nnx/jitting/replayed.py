"""Functions of nnx's own that are called over and over: recorded after a while, and replayed.

Such a function computes arrays from its arguments and from nothing else. What it does with arrays of given
shapes and types it does in every call: the first calls are made as they are, then one is recorded, and two
are made both ways. Where one bit differs, or the recording fails, calls go on as they are, and a reason says
why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial, update_wrapper
from typing import Any

from nnx.autodiff.array import Traced
from nnx.autodiff.batching.array import Batched
from nnx.autodiff.tree import flatten
from nnx.backend import adapter_of
from nnx.errors import RecordingError
from nnx.jitting.adapter import recorded_over
from nnx.jitting.halves import halves
from nnx.jitting.passes import shortened
from nnx.jitting.program import Program
from nnx.jitting.recorded import Recorded
from nnx.jitting.recorder import Clock, Recorder, recording
from nnx.jitting.replay import compiled

Array = Any

#: calls that are made as they are: a recording takes the time that about as many calls of its program save
BEFORE = 40
#: bytes that the constants of a program may have: they are kept as long as the function is
MOST = 1 << 24
#: calls that are made both ways
COMPARED = 2
#: kinds of arguments that have programs of their own
KINDS = 256
_CARRIERS = (Traced, Batched, Recorded)


class Plan:
    """What is known of calls with arguments of one kind."""

    def __init__(self) -> None:
        self.calls = self.compared = 0
        #: why calls are made as they are; empty where they are recorded, or will be
        self.reason = ""
        self.programs: tuple[Program, ...] = ()
        #: the programs, compiled
        self.made: tuple[Callable[..., Any], ...] = ()
        #: the first of them, where it is used instead of the function
        self.replay: Callable[..., Any] | None = None

    def refuse(self, error: Exception) -> None:
        """From now on calls are made as they are."""
        self.reason, self.replay = f"{type(error).__name__}: {error}", None


class Replayed:
    """``compute``, a pure function of arrays of NumPy, numbers and None, that returns containers of arrays.

    It may write into arguments, but only what does not depend on what they held. The ``clock`` is that of its
    random numbers.
    """

    def __init__(self, compute: Callable[..., Any], clock: Clock | None = None) -> None:
        self._compute, self._clock = compute, clock
        self._plans: dict[Any, Plan] = {}
        self.name = getattr(compute, "__name__", "a function")
        update_wrapper(self, compute)

    def __call__(self, *args: Any) -> Any:
        plan = self._plans.get(tuple([_kind(a) for a in args]))
        if plan is not None and plan.replay is not None:
            try:
                return plan.replay(*args)[0]
            except RecordingError as error:  # a shape that depends on the numbers is another one now
                plan.refuse(error)
        return self._as_it_is(args, plan)

    @property
    def reason(self) -> str:
        """Why calls are made as they are; empty where they are recorded, or will be."""
        return next((plan.reason for plan in self._plans.values() if plan.reason), "")

    @property
    def programs(self) -> list[Program]:
        """What is recorded."""
        return [program for plan in self._plans.values() for program in plan.programs]

    # -- calls that are not replayed --------------------------------------------------------------------

    def _as_it_is(self, args: Sequence[Any], plan: Plan | None) -> Any:
        plan = plan or self._new(args)
        if plan.reason or recording():
            return self._compute(*args)
        plan.calls += 1
        if plan.calls <= BEFORE:
            return self._compute(*args)
        try:
            if not plan.made:
                plan.programs = self._recorded(args)
                plan.made = tuple(compiled(p, ready=adapter_of(*args).ready) for p in plan.programs)
            return self._compared(plan, args)
        except Exception as error:
            answer = self._compute(*args)  # an error of the function itself is raised here
            plan.refuse(error)
            return answer

    def _new(self, args: Sequence[Any]) -> Plan:
        plan = Plan()
        if len(self._plans) >= KINDS:
            plan.reason = "arguments are of another kind in every call"
            return plan
        name = adapter_of(*args).name
        if name != "numpy" or any(type(a) in _CARRIERS for a in args):
            plan.reason = f"calls with arrays of {name} are not recorded"
        return self._plans.setdefault(tuple([_kind(a) for a in args]), plan)

    def _recorded(self, args: Sequence[Any]) -> tuple[Program, ...]:
        """The programs for arguments of this kind."""
        with self._recorder(args) as recorder, recorder.adapter.serving():
            answer = self._compute(*_given(recorder, args))
        program = recorder.program(len(args), [recorder.term(answer)])
        return (self._short(recorder, program, recorder.fixed),)

    def _recorder(self, args: Sequence[Any]) -> Recorder:
        return Recorder(recorded_over(adapter_of(*args)), self._clock)

    def _short(self, recorder: Recorder, program: Program, fixed: Mapping[int, Any]) -> Program:
        if recorder.outside:
            raise RecordingError("An array from outside takes part.")
        short = shortened(program, fixed, recorder.adapter.below)
        need_few_constants(short)
        return short

    def _compared(self, plan: Plan, args: Sequence[Any]) -> Any:
        """The answer of the function as it is; an error where the program computes other bits."""
        answer = self._compute(*args)
        _check(answer, args, plan.made[0])
        plan.compared += 1
        if plan.compared == COMPARED:
            plan.replay = plan.made[0]
        return answer


class Halved(Replayed):
    """A function that returns ``(answer, rest)``: ``rest(*more)``, a pure function, is called later, if ever.

    What it needs of the way to the answer is kept. ``more(*args)`` are arguments of ``rest`` for the
    recording, which may write into them.
    """

    def __init__(
        self, compute: Callable[..., Any], more: Callable[..., Sequence[Array]], **options: Any
    ) -> None:
        super().__init__(compute, **options)
        self._more = more

    def __call__(self, *args: Any) -> Any:
        plan = self._plans.get(tuple([_kind(a) for a in args]))
        if plan is not None and plan.replay is not None:
            try:
                answer, kept = plan.replay(*args)
                return answer, partial(self._rest, plan, args, kept)
            except RecordingError as error:
                plan.refuse(error)
        return self._as_it_is(args, plan)

    def _rest(self, plan: Plan, args: Sequence[Any], kept: Sequence[Any], *more: Any) -> Any:
        try:
            return plan.made[1](*kept, *more)[0]
        except RecordingError as error:
            plan.refuse(error)
        return self._compute(*args)[1](*more)

    def _recorded(self, args: Sequence[Any]) -> tuple[Program, ...]:
        added = self._more(*args)
        with self._recorder(args) as recorder, recorder.adapter.serving():
            answer, rest = self._compute(*_given(recorder, args))
            cut = len(recorder.steps), len(recorder.kinds)
            found = rest(*_given(recorder, added))
        terms = recorder.term(answer), recorder.term(found)
        both = halves(recorder, len(args), cut, len(added), *terms)
        return tuple(self._short(recorder, half.program, half.fixed) for half in both)

    def _compared(self, plan: Plan, args: Sequence[Any]) -> Any:
        answer, rest = self._compute(*args)
        _check(answer, args, plan.made[0])
        kept = plan.made[0](*args)[1]

        def both(*more: Any) -> Any:
            found = rest(*more)
            try:
                _check(found, more, lambda *more: plan.made[1](*kept, *more))
            except Exception as error:
                plan.refuse(error)
                return rest(*more)
            plan.compared += 1
            if plan.compared == COMPARED and not plan.reason:
                plan.replay = plan.made[0]
            return found

        return answer, both


def need_few_constants(program: Program) -> None:
    """Raises :class:`nnx.errors.RecordingError` for a program that would keep large constants."""
    if sum(getattr(c, "nbytes", 0) for c in program.constants) > MOST:
        raise RecordingError(f"The constants have more than {MOST} bytes, and would be kept.")


def _kind(a: Any) -> Any:
    """What arguments that one program serves have in common."""
    shape = getattr(a, "shape", None)
    return type(a) if shape is None else (type(a), shape, a.dtype, getattr(a, "strides", None))


def _given(recorder: Recorder, args: Sequence[Any]) -> list[Any]:
    """The arguments of a function that is recorded; None has a slot that nobody reads."""
    wrapped = [recorder.wrapped(a) for a in args]
    return [None if a is None else own for a, own in zip(args, wrapped, strict=True)]


def _check(answer: Any, args: Sequence[Any], replay: Callable[..., Any]) -> None:
    """Raises ValueError where the program computes other bits than ``answer``, or writes others."""
    wanted = _bits(answer, args)
    if _bits(replay(*args)[0], args) != wanted:
        raise ValueError("the recorded program does not compute the same bits")


def _bits(answer: Any, args: Sequence[Any]) -> list[Any]:
    leaves = (*flatten(answer)[0], *args)
    return [(a.dtype, a.shape, a.tobytes()) if hasattr(a, "tobytes") else a for a in leaves]
