"""Functions of nnx's own that are called over and over: recorded after a while, and replayed.

Such a function computes arrays from its arguments and from nothing else. What it does with arrays of given
shapes and types it does in every call: the first calls are made as they are, then one is recorded, and two
are made both ways. Where one bit differs, or the recording fails, calls go on as they are, and a reason says
why. Training steps, evaluations and predictions are such functions, and what methods on all samples ask for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import update_wrapper
from typing import Any, NamedTuple

from nnx.autodiff.array import Traced
from nnx.autodiff.batching.array import Batched
from nnx.autodiff.tree import flatten
from nnx.backend import adapter_of
from nnx.errors import RecordingError
from nnx.jitting.adapter import recorded_over
from nnx.jitting.passes import shortened
from nnx.jitting.program import Program
from nnx.jitting.recorded import Recorded
from nnx.jitting.recorder import Clock, Recorder, recording
from nnx.jitting.replay import compiled
from nnx.jitting.values import bits

Array = Any

#: calls that are made as they are: a recording takes the time of about as many
BEFORE = 20
#: calls that are made both ways
COMPARED = 2
#: kinds of arguments that have programs of their own
KINDS = 32
#: bytes that the constants of a program may have: they are kept as long as the function is
MOST = 1 << 24
_CARRIERS = frozenset((Traced, Batched, Recorded))


class Replay(NamedTuple):
    """A program, and what it is as a function of those arguments that are not held."""

    program: Program
    call: Callable[..., Any]
    #: the numbers of the arguments that it writes into
    writes: tuple[int, ...]


class Plan:
    """What is known of calls with arguments of one kind."""

    def __init__(self, reason: str = "") -> None:
        self.calls = self.compared = 0
        #: why calls are made as they are; empty where they are recorded, or will be
        self.reason = reason
        self.made: tuple[Replay, ...] = ()
        #: the first program as a function, where it is used instead of the function
        self.replay: Callable[..., Any] | None = None

    def replayed(self, args: Sequence[Any]) -> Any:
        """The outputs of the first program; None where it is not used."""
        if self.replay is None:
            return None
        try:
            return self.replay(*args)
        except RecordingError as error:  # a shape that depends on the numbers is another one now
            self.refuse(error)
            return None

    def refuse(self, error: Exception) -> None:
        """From now on calls are made as they are."""
        self.reason, self.replay = f"{type(error).__name__}: {error}", None

    def agreed(self) -> None:
        """A call gave the same bits both ways; after enough of them the program is used."""
        self.compared += 1
        if self.compared >= COMPARED and not self.reason:
            self.replay = self.made[0].call


class Replayed:
    """``compute``, a pure function of arrays, numbers and None that returns containers of arrays.

    It may write into arguments, but only what does not depend on what they held. ``held`` are its first
    arguments, the same arrays in every call, whose numbers may change: calls give the others. The ``clock``
    is that of its random numbers. A ``reason`` says why nothing is ever recorded.
    """

    def __init__(
        self,
        compute: Callable[..., Any],
        clock: Clock | None = None,
        *,
        held: Sequence[Array] = (),
        reason: str = "",
    ) -> None:
        self._compute, self._clock, self._held, self._refused = compute, clock, tuple(held), reason
        self._plans: dict[Any, Plan] = {}
        self.name = getattr(compute, "__name__", "a function")
        update_wrapper(self, compute)

    def __call__(self, *args: Any) -> Any:
        if self._refused:
            return self._compute(*self._held, *args)
        plan = self._plans.get(kinds(args))
        found = None if plan is None else plan.replayed(args)
        return self._as_it_is(args, plan) if found is None else found[0]

    def known(self, args: Sequence[Any]) -> Plan | None:
        """What is known of calls with arguments of this kind."""
        return self._plans.get(kinds(args))

    @property
    def reason(self) -> str:
        """Why calls are made as they are; empty where they are recorded, or will be."""
        return self._refused or next((plan.reason for plan in self._plans.values() if plan.reason), "")

    @property
    def programs(self) -> list[Program]:
        """What is recorded."""
        return [made.program for plan in self._plans.values() for made in plan.made]

    # -- calls that are not replayed --------------------------------------------------------------------

    def _as_it_is(self, args: Sequence[Any], plan: Plan | None) -> Any:
        if plan is None:
            if self._refused or recording() or not _CARRIERS.isdisjoint(map(type, args)):
                return self._compute(*self._held, *args)
            plan = self._new(args)
        plan.calls += 1
        if plan.reason or plan.calls <= BEFORE or recording():
            return self._compute(*self._held, *args)
        try:
            if not plan.made:
                plan.made = self._recorded(args)
            return self._compared(plan, args)
        except Exception as error:
            answer = self._compute(*self._held, *args)  # an error of the function itself is raised here
            plan.refuse(error)
            return answer

    def _new(self, args: Sequence[Any]) -> Plan:
        if len(self._plans) >= KINDS:  # those that are merely counted make room
            self._plans = {kind: plan for kind, plan in self._plans.items() if plan.made or plan.reason}
        if len(self._plans) >= KINDS:
            return Plan("arguments are of another kind in every call")
        return self._plans.setdefault(kinds(args), Plan())

    def _recorded(self, args: Sequence[Any]) -> tuple[Replay, ...]:
        """The programs for arguments of this kind."""
        given = (*self._held, *args)
        with self._recorder(given) as recorder, recorder.adapter.serving():
            answer = self._compute(*wrapped(recorder, given))
        program = recorder.program(len(given), [recorder.term(answer)])
        return (self._made(recorder, program, recorder.fixed, self._held),)

    def _recorder(self, args: Sequence[Any]) -> Recorder:
        return Recorder(recorded_over(adapter_of(*args)), self._clock)

    def _made(
        self, recorder: Recorder, program: Program, fixed: Mapping[int, Any], held: Sequence[Array] = ()
    ) -> Replay:
        if recorder.outside:
            raise RecordingError("An array from outside takes part.")
        below, written = recorder.adapter.below, program.written()
        writes = tuple(i for i in range(program.inputs) if program.memory[i] in written)
        short = shortened(program, fixed, below)
        if sum(getattr(c, "nbytes", 0) for c in short.constants) > MOST:
            raise RecordingError(f"The constants have more than {MOST} bytes, and would be kept.")
        return Replay(short, compiled(short, dict(enumerate(held)), below.ready), writes)

    def _compared(self, plan: Plan, args: Sequence[Any]) -> Any:
        """The answer of the function as it is; an error where the program computes other bits."""
        answer = self._compute(*self._held, *args)
        need_same_bits(answer, (*self._held, *args), plan.made[0], args)
        plan.agreed()
        return answer


def kinds(args: Iterable[Any]) -> tuple[Any, ...]:
    """What arguments that one program serves have in common."""
    found: list[Any] = []
    for a in args:
        if hasattr(a, "strides"):
            found += type(a), a.shape, a.dtype, a.strides
        elif hasattr(a, "shape"):
            found += type(a), a.shape, a.dtype
        else:
            found.append(type(a))
    return tuple(found)


def told(functions: Iterable[Replayed]) -> str:
    """What is recorded of functions, in words, and why something is not."""
    functions = list(functions)
    found = [str(program) for function in functions for program in function.programs]
    found += [f"{f.name} is computed as it is: {f.reason}" for f in functions if f.reason]
    return "\n".join(found)


def wrapped(recorder: Recorder, args: Sequence[Any]) -> list[Any]:
    """The arguments of a function that is recorded; None has a slot that nobody reads."""
    found = [recorder.wrapped(a) for a in args]
    return [None if a is None else own for a, own in zip(args, found, strict=True)]


def need_same_bits(answer: Any, arrays: Sequence[Any], made: Replay, args: Sequence[Any]) -> None:
    """Raises ValueError where a program computes other bits than ``answer``, or writes others.

    It is called with ``args``; ``arrays`` are all of its arguments, the held ones too.
    """
    written = [arrays[i] for i in made.writes]
    wanted = _bits(answer, written)
    if _bits(made.call(*args)[0], written) != wanted:
        raise ValueError("the recorded program does not compute the same bits")


def _bits(answer: Any, written: Sequence[Array]) -> list[Any]:
    leaves = (*flatten(answer)[0], *written)
    return [bits(a) if hasattr(a, "shape") else a for a in leaves]
