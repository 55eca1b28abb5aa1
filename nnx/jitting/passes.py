"""What a program can do without: each pass makes a shorter program with the same results, bit for bit."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MethodDescriptorType
from typing import Any

from nnx.jitting.functions import COPIES, fills
from nnx.jitting.joining import with_joined_steps
from nnx.jitting.program import (
    Constant,
    Method,
    Program,
    Slot,
    Step,
    places,
    slots,
    substituted,
    with_terms,
)
from nnx.jitting.reusing import with_places_used_again
from nnx.jitting.values import Kind, copied, kind_of

#: up to so many bytes an array is copied sooner than filled
FEW_BYTES = 1 << 12


def shortened(
    program: Program, fixed: Mapping[int, Any], below: Any, exact: bool = True, warns: bool = False
) -> Program:
    """The program after all passes.

    ``fixed`` are the values that do not depend on the arguments' numbers, by slot; ``below`` is the adapter
    of the library. Where ``exact`` the bits are those of the calls even where compiled loops have others.
    If it ``warns``, calls that may warn are made although nobody needs their results, and in the thread that
    runs the program.
    """
    program = with_constants(without_copies(program), fixed)
    program = with_copies_of_what_is_known(program)
    program = with_common_steps_once(without_factors_one(program))
    program = with_direct_calls(without_dead_steps(program, warns), below.direct)
    program = program if warns else with_joined_steps(program, below, exact)
    return _renumbered(with_places_used_again(program, below.into))


def _renumbered(program: Program) -> Program:
    """The program with new numbers for what is left, in order."""
    found = [*places(program.outputs), *(place for step in program.steps for place in step.places)]
    used = dict.fromkeys(place for place in found if type(place) is Constant)
    results = [step.result for step in program.steps if step.result is not None]
    numbers = {i: k for k, i in enumerate((*range(program.inputs), *results))}
    new: dict[Any, Any] = {place: Constant(k) for k, place in enumerate(used)}
    new |= {Slot(i): Slot(k) for i, k in numbers.items()}
    steps = [
        with_terms(step, new).but(
            result=None if step.result is None else numbers[step.result],
            writes=frozenset(numbers[i] for i in step.writes),
        )
        for step in program.steps
    ]
    return Program(
        program.inputs,
        tuple(steps),
        substituted(program.outputs, new),
        {k: program.kinds[i] for i, k in numbers.items()},
        {k: program.memory[i] for i, k in numbers.items()},
        tuple(program.constants[place.number] for place in used),
    )


def _replaced(program: Program, decide: Callable[[Step, Callable[..., bool]], Any]) -> Program:
    """The program with the results of some steps replaced by what ``decide`` says (None: by nothing).

    Results that are written into, or handed out, stay as they are: they must be arrays of their own.
    """
    written = program.written()
    bound = written | {program.memory[i] for i in slots(program.outputs)}

    def free(*numbers: int) -> bool:
        return all(program.memory[i] not in bound for i in numbers)

    new: dict[Any, Any] = {}
    kept = []
    same: dict[int, int] = {}  # memory that is no longer there, and what its views are views of now

    def memory(i: int) -> int:
        found = program.memory[i]
        while found in same:
            found = same[found]
        return found

    for old in program.steps:
        step = with_terms(old, new) if new else old
        if step.result is not None and not step.writes and free(step.result):
            other = decide(step, lambda *numbers: all(program.memory[i] not in written for i in numbers))
            if other is not None:
                new[Slot(step.result)] = other
                if type(other) is Slot and memory(step.result) != memory(other.number):
                    same[memory(step.result)] = memory(other.number)
                continue
        kept.append(step)
    return replace(program, steps=tuple(kept), memory={i: memory(i) for i in program.memory})


def without_copies(program: Program) -> Program:
    """The program without copies that shield from the caller's later writes: in a program there are none."""

    def decide(step: Step, unwritten: Callable[..., bool]) -> Any:
        if getattr(step.function, "__name__", "") not in COPIES or type(step.args[0]) is not Slot:
            return None
        return step.args[0] if unwritten(step.args[0].number) else None

    return _replaced(program, decide)


def with_constants(program: Program, fixed: Mapping[int, Any]) -> Program:
    """The program with results that do not depend on the arguments' numbers as constants."""
    constants = list(program.constants)

    def decide(step: Step, unwritten: Callable[..., bool]) -> Any:
        if step.result is None or step.result not in fixed:
            return None
        if step.reads and not fills(step.function, step.args, step.kwargs):
            return None
        constants.append(fixed[step.result])
        return Constant(len(constants) - 1)

    return replace(_replaced(program, decide), constants=tuple(constants))


def with_copies_of_what_is_known(program: Program) -> Program:
    """The program with copies of small filled arrays in the place of functions that fill them."""
    constants, steps = list(program.constants), []
    for step in program.steps:
        known = getattr(step.function, "__name__", "").lstrip("_") in ("full", "ones") and not step.reads
        if known and step.result is not None and program.kinds[step.result].nbytes <= FEW_BYTES:
            constants.append(known := step.function(*step.args, **step.kwargs))
            copy: Any = Method("copy") if hasattr(known, "copy") else copied
            step = step.but(function=copy, args=(Constant(len(constants) - 1),), kwargs={})
        steps.append(step)
    return replace(program, steps=tuple(steps), constants=tuple(constants))


def without_factors_one(program: Program) -> Program:
    """The program without products with ones of the same shape and type: gradients begin with them."""
    ones = {k for k, c in enumerate(program.constants) if _is_one(c)}

    def decide(step: Step, unwritten: Callable[..., bool]) -> Any:
        if step.function is not operator.mul and getattr(step.function, "__name__", "") != "multiply":
            return None
        if len(step.args) != 2 or step.kwargs:
            return None
        for one, other in (step.args, step.args[::-1]):
            if type(one) is Constant and one.number in ones and type(other) is Slot:
                result, mine = program.kinds[step.result], program.kinds[other.number]  # type: ignore[index]
                if (result.dtype, result.shape) == (mine.dtype, mine.shape) and unwritten(other.number):
                    return other
        return None

    return _replaced(program, decide)


def _is_one(constant: Any) -> bool:
    """Whether all entries are 1, by one of them and the strides of a broadcast number."""
    if not getattr(constant, "size", 0) or getattr(constant.dtype, "kind", "") != "f":
        return False
    return bool((constant == 1.0).all())


def with_common_steps_once(program: Program) -> Program:
    """The program in which the same call of the same values is made once."""
    first: dict[Any, Any] = {}

    def decide(step: Step, unwritten: Callable[..., bool]) -> Any:
        key = _key((step.function, step.args, step.kwargs)) if step.pure else None
        if key is None or not unwritten(*step.reads):
            return None
        if key in first:
            return first[key]
        first[key] = Slot(step.result)  # type: ignore[arg-type]
        return None

    return _replaced(program, decide)


def with_direct_calls(program: Program, direct: Callable[..., Any]) -> Program:
    """The program with the library's own quickest call in the place of others, where that is known.

    ``direct(function, args, kwargs, kinds)``, with the kinds of those arguments that are arrays (else None),
    gives function, arguments and keywords, or None.
    """
    constants = list(program.constants)

    def kind(term: Any) -> Kind | None:
        if type(term) is Slot:
            return program.kinds[term.number]
        return kind_of(constants[term.number]) if type(term) is Constant else None

    def constant(term: Any) -> Any:
        if isinstance(term, type) or not hasattr(term, "dtype") or not hasattr(term, "shape"):
            return term
        constants.append(term)
        return Constant(len(constants) - 1)

    def quicker(step: Step) -> Step:
        found = direct(step.function, step.args, dict(step.kwargs), [kind(term) for term in step.args])
        if found is None:
            return step
        function, args, kwargs = found
        method = isinstance(function, MethodDescriptorType)
        call: Any = Method(function.__name__) if method else function
        return step.but(function=call, args=tuple(map(constant, args)), kwargs=kwargs)

    steps = tuple(map(quicker, program.steps))
    return replace(program, steps=steps, constants=tuple(constants))


def without_dead_steps(program: Program, warns: bool = False) -> Program:
    """The program without steps whose results nobody needs.

    A step that writes is needed where somebody reads that memory, or has it: an argument's, an output's. If
    the program ``warns``, one that makes numbers of its own is, too.
    """
    memory = program.memory
    read = set(slots(program.outputs))
    needed = {memory[i] for i in (*range(program.inputs), *read)}
    kept: list[Step] = []
    for step in reversed(program.steps):
        # a shape that depends on the numbers may have made other numbers: it is asked for again
        asked = step.shape is not None or step.dtype is not None
        asked = asked or (warns and step.result is not None and memory[step.result] == step.result)
        if step.result in read or asked or any(memory[i] in needed for i in step.writes):
            read |= step.reads
            needed |= {memory[i] for i in step.reads}
            kept.append(step)
    return replace(program, steps=tuple(reversed(kept)))


def _key(terms: Any) -> Any:
    """Something hashable that is the same for the same terms; None where there is none."""
    kind = type(terms)
    if kind in (tuple, list):
        parts = tuple(map(_key, terms))
        return None if None in parts else (kind, parts)
    if kind is dict:
        return _key(tuple(terms.items()))
    if kind is slice:
        return _key((slice, terms.start, terms.stop, terms.step))
    try:
        hash(terms)
    except TypeError:
        return None
    # 1, 1.0 and True are equal, 0.0 and -0.0 too, and yet not the same argument
    return kind, repr(terms) if kind in (float, complex) else terms
