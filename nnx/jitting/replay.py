"""Programs made into Python functions: one line for each call, no look at arguments, no dispatch.

What is known when the function is made is done then: views of arrays that are the same in every run, numbers
as arrays of the type in which they are used, constants in the shape in which they are used.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from nnx.errors import RecordingError
from nnx.jitting.program import Constant, Program, Slot, Step, expression, mapped, slots, written
from nnx.jitting.values import Kind, copied

Array = Any
#: the memory of results from this size on is given back after their last use
_LARGE = 1 << 14
#: up to so many bytes a constant is kept in the shape in which it is used
_SPREAD = 1 << 14
_OF_TWO = frozenset(
    (operator.add, operator.sub, operator.mul, operator.truediv, operator.iadd, operator.isub, operator.imul,
     operator.itruediv, operator.lt, operator.le, operator.gt, operator.ge)
)  # fmt: skip


def compiled(
    program: Program, bound: Mapping[int, Array] | None = None, ready: Callable[..., Any] | None = None
) -> Callable[..., tuple[Any, ...]]:
    """The program as a function of its arguments; it returns the outputs.

    ``bound`` are arguments, by number, that are the same arrays in every run: the function has the others.
    ``ready`` is what the library's adapter has by that name.
    """
    fixed: dict[int, Array] = dict(bound or {})
    steps = [step for step in program.steps if not _is_done(program, step, fixed)]
    names: dict[int, str] = {}
    scope: dict[str, Any] = {"changed": _changed, **{f"v{i}": x for i, x in fixed.items()}}
    for k, constant in enumerate(program.constants):
        scope[f"c{k}"] = _locked(constant)

    def name(thing: Any) -> str:
        if id(thing) not in names:
            names[id(thing)] = f"f{len(names)}"
            scope[names[id(thing)]] = thing
        return names[id(thing)]

    if ready is not None:
        steps = [_with_ready_operands(program, step, ready) for step in steps]
    body = _lines(program, steps, name)
    outputs = ", ".join(_output(term, name) for term in program.outputs)
    copies = {term.number for term in program.outputs if type(term) is Constant}
    body += [
        f"r{k} = {name(copied)}(c{k})" for k in sorted(copies)
    ]  # the caller may write into what is handed out
    arguments = ", ".join(f"v{i}" for i in range(program.inputs) if i not in fixed)
    source = f"def replay({arguments}):\n" + "".join(f"    {line}\n" for line in body)
    exec(
        source + f"    return ({outputs}{',' if program.outputs else ''})\n", scope
    )  # the program's own text
    found: Callable[..., tuple[Any, ...]] = scope["replay"]
    return found


def _lines(program: Program, steps: list[Step], name: Callable[[Any], str]) -> list[str]:
    """The lines of the function; large results are let go after their last use."""
    kept = {*range(program.inputs), *slots(program.outputs)}
    last = {i: k for k, step in enumerate(steps) for i in (*step.reads, *step.writes)}
    own = {step.result for step in steps}
    dead: dict[int, list[str]] = {}
    for i, k in last.items():
        if i in own and i not in kept and program.kinds[i].nbytes >= _LARGE:
            dead.setdefault(k, []).append(f"v{i}")
    body = []
    for k, step in enumerate(steps):
        call = written(step, name)
        body.append(call if step.result is None else f"v{step.result} = {call}")
        for part, known in (("shape", step.shape), ("dtype", step.dtype)):
            if known is not None:
                found, same = f"v{step.result}.{part}", repr(known) if part == "shape" else name(known)
                body.append(f"if {found} != {same}: changed({call!r}, {part!r}, {found})")
        if k in dead:
            body.append("del " + ", ".join(dead[k]))
    return body


def _is_done(program: Program, step: Step, fixed: dict[int, Array]) -> bool:
    """Whether a step only looks at arrays that stay: then its result is put into ``fixed``."""
    i, reads = step.result, step.reads
    if i is None or not step.pure or not reads or not reads <= fixed.keys():
        return False
    if any(type(place) is Constant for place in step.places):
        return False
    if program.kinds[i].strides is None:  # of a library that does not tell views from numbers of their own
        return False
    if all(program.memory[i] != program.memory[j] for j in reads):  # numbers of its own, which change
        return False

    def value(term: Any) -> Any:
        return fixed[term.number] if type(term) is Slot else term

    fixed[i] = step.function(*mapped(step.args, value), **mapped(dict(step.kwargs), value))
    return True


def _with_ready_operands(program: Program, step: Step, ready: Callable[..., Any]) -> Step:
    """The step with a number, or a constant of another shape, as an array that NumPy need not look at."""
    if step.function not in _OF_TWO or len(step.args) != 2:
        return step
    for k, (one, other) in enumerate((step.args, step.args[::-1])):
        kind = program.kinds[other.number] if type(other) is Slot else None
        if kind is None or not kind.shape or getattr(kind.dtype, "kind", "") != "f":
            continue
        array = _ready(program, one, kind, ready)
        if array is not None:
            return step.but(args=(step.args[0], array) if k else (array, step.args[1]))
    return step


def _ready(program: Program, one: Any, kind: Kind, ready: Callable[..., Any]) -> Array | None:
    if type(one) is float or type(one) is int:
        return ready(one, (), kind.dtype)
    if type(one) is not Constant or not kind.in_order or kind.nbytes > _SPREAD:
        return None
    x = program.constants[one.number]
    if x.dtype != kind.dtype or not x.shape or x.shape == kind.shape or len(x.shape) > len(kind.shape or ()):
        return None
    smaller = all(n in (1, m) for n, m in zip(x.shape[::-1], (kind.shape or ())[::-1], strict=False))
    return ready(x, kind.shape, kind.dtype) if smaller else None


def _output(term: Any, name: Callable[[Any], str]) -> str:
    """An output; of an array from outside its copy."""
    return f"r{term.number}" if type(term) is Constant else expression(term, name)


def _locked(constant: Any) -> Any:
    if hasattr(constant, "setflags") and getattr(constant, "base", None) is None:
        constant.setflags(write=False)
    return constant


def _changed(call: str, part: str, found: Any) -> None:
    raise RecordingError(
        f"The {part} of a result under nnx.jit depends on the numbers: {call} has the {part} {found} now, "
        "and had another when the function was recorded. Keep shapes fixed, for example by np.where instead "
        "of x[mask], and types, as by complex arguments; or leave that part out of the function under jit."
    )
