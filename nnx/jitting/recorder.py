"""The recorder: it calls functions on raw arrays, and writes every call down."""

from __future__ import annotations

import math
import operator
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NoReturn

from nnx.backend.programs import Under, error_settings
from nnx.errors import RecordingError
from nnx.jitting.functions import (
    describes,
    fills,
    keeps_shape,
    keeps_type,
    may_give_back,
    may_have_written,
    pure,
    tells,
)
from nnx.jitting.program import Constant, Program, Slot, Step, mapped
from nnx.jitting.values import Kind, bits, copied, kind_of

Array = Any
_CONTAINERS = (tuple, list)
_NONE: Mapping[str, Any] = MappingProxyType({})
_active = threading.local()
KEPT = "an array of another function under nnx.jit, which had kept it somewhere. Make it an argument."


def recording() -> bool:
    """Whether this thread is recording."""
    return getattr(_active, "recorder", None) is not None


def active() -> Recorder:
    """The recorder of this thread; an error where nothing is being recorded."""
    found = getattr(_active, "recorder", None)
    if found is None:
        raise RecordingError(
            "An array of a function under nnx.jit was used after the function had returned: it was kept "
            "somewhere (an attribute, a list, a global name). Return it instead."
        )
    return found


def called(function: Any, args: Sequence[Any], kwargs: Any = _NONE, into: Sequence[Any] = ()) -> Any:
    """The result of ``function``, recorded if this thread is recording: another one may be, meanwhile."""
    if not recording():
        return function(*args, **kwargs)
    return active().call(function, args, kwargs, into)


class Clock:
    """The number of the step that a program is run for: whole, ≥ 0."""

    step = 0


class Draw:
    """A function of a stream of random numbers, which takes the stream of the step that the clock says."""

    def __init__(self, draw: Callable[..., Any], clock: Clock) -> None:
        self._draw, self._clock = draw, clock
        self.__name__, self.__module__ = draw.__name__, draw.__module__

    def __call__(self, stream: Any, *args: Any) -> Any:
        return self._draw(stream._replace(step=self._clock.step), *args)


class Recorder:
    """Calls functions on raw arrays and writes every call down, for one run of a function.

    With a ``clock`` random numbers are drawn anew in every run of the program, else they are constants.
    After ``longest`` steps there is an error.
    """

    def __init__(self, adapter: Any, clock: Clock | None = None, longest: float = math.inf) -> None:
        self.longest = longest
        self.adapter, self.array, self.clock = adapter, adapter.array, clock
        self.steps: list[Step] = []
        self.kinds: list[Kind] = []
        #: those results that no argument has a part in
        self.fixed: dict[int, Any] = {}
        #: for each value a number, which those have in common that may share their memory
        self.memory: list[int] = []
        #: copies of the arrays from outside; and these arrays, as far as they live, with their numbers
        self.constants: list[Array] = []
        self.outside: list[tuple[weakref.ref[Any], int]] = []
        self._numbers: dict[int, int] = {}
        self._owners: dict[int, tuple[Callable[[], Any], int]] = {}
        self._kept: list[Any] = []  # while it is recorded, no other object gets an id of these
        #: what went wrong: an error that the function may have caught, and gone on without the numbers
        self._refused: RecordingError | None = None

    def __enter__(self) -> Recorder:
        self._before, _active.recorder = getattr(_active, "recorder", None), self
        self._settings = error_settings()
        return self

    def __exit__(self, *error: Any) -> None:
        _active.recorder = self._before

    def program(self, inputs: int, outputs: Sequence[Any]) -> Program:
        """The program from the first values to ``outputs``, terms. Raises what the function has caught."""
        if self._refused is not None:
            raise self._refused
        kinds, memory = dict(enumerate(self.kinds)), dict(enumerate(self.memory))
        return Program(inputs, tuple(self.steps), tuple(outputs), kinds, memory, tuple(self.constants))

    def refuse(self, message: str) -> NoReturn:
        """Raises a :class:`nnx.errors.RecordingError`, which ends the recording even if it is caught."""
        self._refused = self._refused or RecordingError(message)
        raise self._refused

    # -- calls ---------------------------------------------------------------------------------------

    def call(self, function: Any, args: Sequence[Any], kwargs: Any = _NONE, into: Sequence[Any] = ()) -> Any:
        """The result of ``function``, recorded; ``into`` are the arguments into which it writes.

        A function that gives back one of these, as ``x += y`` does, has no result of its own.
        """
        args = tuple(args)
        if (settings := error_settings()) != self._settings:
            function = Under(function, settings)
        for target in into:
            self._own(target, function)
        terms = self.term(args), self.term(dict(kwargs)) if kwargs else {}
        answer = self._answer(function, args, kwargs)
        if describes(function, answer) or (tells(answer) and any(answer is x for x in args)):
            return answer
        if tells(answer) or (answer is None and not into):
            self.refuse(
                f"{_name(function)} under nnx.jit has the result {type(answer).__name__}, which is no array: "
                "what it tells, or does, may be another thing whenever the program runs. Call it outside."
            )
        mine = next((x for x in (*args, *into) if type(x) is self.array and x.value is answer), None)
        into = into or self._given_back(function, args, answer)
        written = frozenset(x.slot for x in into)
        if into and (mine is not None or answer is None):
            self.steps.append(Step(function, *terms, None, writes=written))
            return mine
        if mine is not None and may_give_back(function):
            return mine  # nothing was computed
        return self.result(Step(function, *terms, len(self.kinds), writes=written), answer, args)

    def _answer(self, function: Any, args: Any, kwargs: Any) -> Any:
        """The result of ``function``; an error that tells of the numbers ends the recording for good."""
        try:
            if not kwargs:
                return function(*self.raw(args))
            return function(*self.raw(args), **self.raw(dict(kwargs)))
        except (ArithmeticError, ValueError, Warning) as error:
            if isinstance(error, ArithmeticError | Warning) or type(error).__name__ == "LinAlgError":
                self._refused = self._refused or RecordingError(
                    f"{_name(function)} under nnx.jit failed ({error}), and the function went on. With other "
                    "numbers it would not fail: a program cannot do one or the other."
                )
            raise

    def _given_back(self, function: Any, args: Any, answer: Any) -> tuple[Any, ...]:
        """The argument that a function gave back, where it may have written into it."""
        for k, x in enumerate(args):
            if (x.value if type(x) is self.array else x) is answer and may_have_written(function, args, k):
                self._own(x, function)
                return (x,)
        return ()

    def result(self, step: Step, answer: Any, args: Sequence[Any]) -> Any:
        """The recorded ``answer`` of a step."""
        if len(self.steps) >= self.longest:
            self.refuse(f"The function makes more than {self.longest} calls of array functions.")
        promised = keeps_shape(step.function, args), keeps_type(step.function)
        self.steps.append(_with_expected(step.but(pure=pure(step.function)), answer, promised))
        fixed = step.reads <= self.fixed.keys() or fills(step.function, step.args, step.kwargs)
        return self.wrapped(answer, fixed and type(step.function) is not Draw, promised)

    def restored(self, function: Callable[..., Any], d: Any, *args: Any) -> Any:
        """The result of a function that may write into d and give it back, or make another array."""
        self._own(d, function)
        answer = function(*self.raw((d, *args)))
        step = Step(function, self.term((d, *args)), {}, len(self.kinds), writes=frozenset([d.slot]))
        return self.result(step, answer, ())

    def _own(self, target: Any, function: Any) -> None:
        if type(target) is not self.array:
            self.refuse(
                f"{_name(function)} writes into an array that was not made of the arguments of the function "
                "under nnx.jit. Make it by np.zeros_like(x), np.empty_like(x) or xp.zeros of the arguments' "
                "namespace, or return the result."
            )

    def wrapped(self, value: Any, fixed: bool = False, promised: tuple[bool, bool] = (True, True)) -> Any:
        """``value``, of a new slot; of a tuple also its parts, each of a slot of its own.

        ``fixed`` says that it will be the same in every run of the program, ``promised`` that its shape will,
        and that its data type will.
        """
        whole = self.array(value, len(self.kinds), self)
        if fixed:
            self.fixed[whole.slot] = value
        self.kinds.append(kind_of(value))
        self.memory.append(self._memory(value))
        if type(value) not in _CONTAINERS and not hasattr(value, "_fields"):
            return whole
        parts = []
        for k, part in enumerate(value):
            step = Step(operator.getitem, (Slot(whole.slot), k), {}, len(self.kinds), pure=True)
            self.steps.append(_with_expected(step, part, promised))
            parts.append(self.wrapped(part, fixed, promised))
        kind = type(value)
        return kind(*parts) if hasattr(value, "_fields") else kind(parts)

    def term(self, x: Any) -> Any:
        """What stands for ``x`` in a program."""
        return mapped(x, self._place)

    def raw(self, x: Any) -> Any:
        """``x`` with raw arrays in the place of recorded ones."""
        return mapped(x, self._value)

    def _place(self, x: Any) -> Any:
        if type(x) is self.array:
            return Slot(x.slot)
        is_array = hasattr(x, "dtype") and hasattr(x, "shape") and not isinstance(x, type)
        return self._constant(x) if is_array else x

    def _value(self, x: Any) -> Any:
        if type(x) is not self.array:
            return x
        if x.recorder is not self:
            self.refuse(f"An array was used that was {KEPT}")
        return x.value

    def _memory(self, value: Any) -> int:
        """The number of the memory in which ``value`` lies; one for all where the library does not tell."""
        if hasattr(value, "shape") and not hasattr(value, "base"):
            return 0
        owner = value
        while getattr(owner, "base", None) is not None:
            owner = owner.base
        found, number = self._owners.get(id(owner), (_nothing, 0))
        if found() is not owner:  # another one, which is gone, had this id
            number = len(self.memory)
            weak = type(owner).__weakrefoffset__
            self._owners[id(owner)] = weakref.ref(owner) if weak else _nothing, number
        return number

    def _constant(self, x: Array) -> Constant:
        """The array ``x`` from outside as it is now: what is written into it later is not seen here."""
        number = self._numbers.get(id(x))
        if number is None or bits(self.constants[number]) != bits(x):
            number = self._numbers[id(x)] = len(self.constants)
            self.constants.append(copied(x))
            self._kept.append(x)
            if type(x).__weakrefoffset__:  # else it is a scalar, which nobody can write into
                self.outside.append((weakref.ref(x), number))
        return Constant(number)


def _with_expected(step: Step, answer: Any, promised: tuple[bool, bool]) -> Step:
    """The step with the shape and the data type of its result, where they are not ``promised``."""
    if all(promised) or not hasattr(answer, "shape"):
        return step
    shape, dtype = promised
    return step.but(shape=None if shape else tuple(answer.shape), dtype=None if dtype else answer.dtype)


def _nothing() -> None:
    """What stands for an object that is gone, or of which nobody can tell."""


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", None) or getattr(function, "name", type(function).__name__))
