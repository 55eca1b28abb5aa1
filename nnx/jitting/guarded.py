"""Derivatives of users' functions, called over and over: recorded where nothing speaks against it.

Of a user's function little is known. So it is looked at before it is recorded (:mod:`nnx.jitting.effects`),
and before each run of the program what it reads from outside is compared (:mod:`nnx.jitting.surroundings`).
Where anything is unlike what was recorded the function is called as it is, and nobody notices: no
error, no other bit, no other warning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import FunctionType, MethodType
from typing import Any

from nnx.autodiff.array import Traced
from nnx.autodiff.batching.array import Batched
from nnx.autodiff.tree import flatten
from nnx.backend import adapter_of
from nnx.backend.programs import error_settings, raising
from nnx.errors import RecordingError
from nnx.jitting.adapter import recorded_over
from nnx.jitting.effects import effect
from nnx.jitting.passes import shortened
from nnx.jitting.program import Program
from nnx.jitting.recorded import Recorded
from nnx.jitting.recorder import Recorder, recording
from nnx.jitting.replay import compiled
from nnx.jitting.surroundings import Surroundings, trusted

Array = Any

#: calls that are made as they are: a recording takes the time of about as many
BEFORE = 10
#: calls that are made both ways
COMPARED = 2
#: so often may a recording or a run be given up because of a warning, or an error that numbers make
PATIENCE = 20
#: kinds of arguments that have programs of their own
KINDS = 16
#: bytes that constants may have, and those arrays from outside that are compared before each run
MOST = 1 << 20
#: steps that a program may have: Python takes long to compile more
LONGEST = 4000
_CARRIERS = (Traced, Batched, Recorded)


class Watch:
    """Functions of a user's: what they do beside computing, and whether what they read is what it was.

    They are looked at when that is asked for the first time.
    """

    def __init__(self, *functions: Any) -> None:
        self._functions = functions
        self._reason: str | None = None
        self._surroundings: Surroundings | None = None
        #: arrays from outside that no look has found, with their copies
        self._more: list[tuple[Any, Array]] = []

    @property
    def reason(self) -> str:
        """Why the functions are called as they are; empty where nothing is known against a recording."""
        if self._reason is None:
            try:
                found = self._surroundings = Surroundings(*self._functions)
                self._reason = effect(found)
            except RecordingError as error:
                self._reason = str(error)
            except Exception as error:  # an object that does not like to be looked at
                self._reason = f"it cannot be looked at: {type(error).__name__}: {error}"
            if not self._reason and sum(x.nbytes for x in found.arrays()) > MOST:
                self._reason = f"it reads arrays of more than {MOST} bytes, too many to be compared"
        return self._reason

    def changed(self) -> bool:
        """Whether what the functions read is not what it was: from then on they are called as they are."""
        try:
            path = None if self._surroundings is None else self._surroundings.changed()
        except Exception as error:
            path = f"{type(error).__name__}: {error}"
        if path is not None:
            self._reason = f"what it reads changes: {path}"
        for reference, copy in self._more:
            x = reference()
            if x is not None and (x.shape != copy.shape or x.tobytes() != copy.tobytes()):
                self._reason = "an array that it reads changes"
        return bool(self._reason)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """A time in which nobody writes into the arrays that the functions read."""
        with ExitStack() as stack:
            for x in () if self._surroundings is None else self._surroundings.arrays():
                if (release := adapter_of(x).lock(x)) is not None:
                    stack.callback(release)
            yield

    def add(self, recorder: Recorder) -> None:
        """Watches the arrays from outside that a recording met, as far as they are not watched already."""
        seen = set() if self._surroundings is None else set(map(id, self._surroundings.things))
        for reference, number in recorder.outside:
            x = reference()
            if x is not None and id(x) not in seen:
                self._more.append((reference, recorder.constants[number]))


class Kept:
    """The recorded derivatives of the functions that were used last, for further runs with the same ones.

    >>> from nnx.jitting.guarded import Kept
    >>> kept, f = Kept(), lambda x: x
    >>> kept.of(f, dict) is kept.of(f, dict), kept.of(f, dict) is kept.of(lambda x: x, dict)
    (True, False)
    """

    #: so many are kept: what they read lives as long
    most = 8

    def __init__(self) -> None:
        self._entries: list[tuple[Any, dict[str, Guarded]]] = []

    def of(self, functions: Any, make: Callable[[], dict[str, Guarded]]) -> dict[str, Guarded]:
        """What was made for the same functions, where what they read is what it was; else it is made."""
        entries = [entry for entry in self._entries if not any(f.spoiled for f in entry[1].values())]
        found = next((own for known, own in entries if _same(known, functions)), None)
        if found is None:
            found = make()
            entries.append((functions, found))
        self._entries = entries[-self.most :]
        return found


def _same(f: Any, g: Any) -> bool:
    """Whether two functions, or tuples of them, are the same for all that can be told by identity."""
    if f is g:
        return True
    kind = type(f)
    if kind is not type(g):
        return False
    if kind is tuple:
        return len(f) == len(g) and all(map(_same, f, g))
    if kind is MethodType:
        return f.__func__ is g.__func__ and f.__self__ is g.__self__
    if kind is FunctionType:  # those that nnx itself wraps around a user's
        wraps = trusted(f.__module__) and f.__code__ is g.__code__ and not (f.__defaults__ or g.__defaults__)
        mine, other = ([cell.cell_contents for cell in h.__closure__ or ()] for h in (f, g))
        return wraps and all(map(_same, mine, other))
    return False


class _Plan:
    """What is known of calls with arguments of one kind."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings
        self.calls = self.compared = self.disturbed = 0
        self.reason = ""
        self.program: Program | None = None
        self.replay: Callable[..., Any] | None = None

    def disturb(self, error: Exception) -> None:
        """A warning or an error that numbers make: too many of them, and it is no use."""
        self.disturbed += 1
        if self.disturbed >= PATIENCE:
            self.reason = f"it has warned, or failed, {PATIENCE} times: {type(error).__name__}: {error}"


class Guarded:
    """``compute``, a function of arrays that calls a user's functions, which are under ``watch``.

    It returns containers of arrays.
    """

    def __init__(self, compute: Callable[..., Any], watch: Watch) -> None:
        self._compute, self._watch = compute, watch
        self._plans: dict[Any, _Plan] = {}

    def __call__(self, *args: Any) -> Any:
        settings = error_settings()
        key = (*settings.values(), *[(type(a), a.shape, a.dtype) for a in args])
        plan = self._plans.get(key) or self._new(key, settings, args)
        if plan.reason or recording():
            return self._compute(*args)
        if plan.replay is None:
            plan.calls += 1
            return self._compute(*args) if plan.calls <= BEFORE else self._first(plan, args)
        if self._watch.changed():
            plan.reason = self._watch.reason
        elif plan.compared < COMPARED:
            return self._both_ways(plan, args)
        else:
            try:
                with raising(plan.settings):
                    return plan.replay(*args)[0]
            except Exception as error:  # the function itself says it, and better
                plan.disturb(error)
        return self._compute(*args)

    @property
    def spoiled(self) -> bool:
        """Whether it will not be recorded any more, or what its functions read is not what it was."""
        return bool(self.reason) or self._watch.changed()

    @property
    def program(self) -> Program | None:
        """What is used instead of the function, if anything is."""
        found = (p.program for p in self._plans.values() if p.compared >= COMPARED and not p.reason)
        return next(found, None)

    @property
    def reason(self) -> str:
        """Why calls are made as they are; empty where they are recorded, or will be."""
        return next((plan.reason for plan in self._plans.values() if plan.reason), "")

    # -- calls that are not replayed --------------------------------------------------------------------

    def _new(self, key: Any, settings: Any, args: Sequence[Any]) -> _Plan:
        plan = _Plan(settings)
        if len(self._plans) >= KINDS:
            plan.reason = "arguments are of another kind in every call"
            return plan
        name = adapter_of(*args).name
        if name != "numpy" or any(type(a) in _CARRIERS for a in args):
            plan.reason = f"calls with arrays of {name} are not recorded"
        return self._plans.setdefault(key, plan)

    def _first(self, plan: _Plan, args: Sequence[Any]) -> Any:
        """The answer of the function as it is; then it is recorded."""
        answer = self._compute(*args)
        plan.reason = self._watch.reason
        if not plan.reason:
            try:
                with raising(plan.settings), self._watch.locked():
                    plan.program, plan.replay = self._recorded(args)
            except FloatingPointError as error:
                plan.disturb(error)
            except Exception as error:
                plan.reason = f"{type(error).__name__}: {error}"
        return answer

    def _recorded(self, args: Sequence[Any]) -> tuple[Program, Callable[..., Any]]:
        adapter = adapter_of(*args)
        with Recorder(recorded_over(adapter), longest=LONGEST) as recorder, recorder.adapter.serving():
            answer = self._compute(*[recorder.wrapped(a) for a in args])
        program = recorder.program(len(args), [recorder.term(answer)])
        self._watch.add(recorder)
        short = shortened(program, recorder.fixed, adapter, warns=True)
        if sum(getattr(c, "nbytes", 0) for c in short.constants) > MOST:
            raise RecordingError(f"The constants have more than {MOST} bytes, and would be kept.")
        return short, compiled(short, ready=adapter.ready)

    def _both_ways(self, plan: _Plan, args: Sequence[Any]) -> Any:
        """The answer of the function as it is; from then on it is called where the program's bits differ."""
        answer = self._compute(*args)
        wanted = _bits(answer, args)
        try:
            with raising(plan.settings):
                same = _bits(plan.replay(*args)[0], args) == wanted  # type: ignore[misc]
        except Exception as error:
            plan.disturb(error)
            return answer
        plan.compared += 1
        if not same:
            plan.reason = "the recorded program does not compute the same bits"
        return answer


def _bits(answer: Any, args: Sequence[Any]) -> list[Any]:
    leaves = (*flatten(answer)[0], *args)
    return [(a.dtype, a.shape, a.tobytes()) if hasattr(a, "tobytes") else a for a in leaves]


def summary(functions: Mapping[str, Guarded]) -> str:
    """What is recorded of functions with these names, in words, and why something is not."""
    found = [f"{name}: recorded" for name, f in functions.items() if f.program is not None]
    found += [f"{name}: computed as it is, since {f.reason}" for name, f in functions.items() if f.reason]
    return "; ".join(found)
