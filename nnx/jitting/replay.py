"""Programs made into Python functions: one line for each call, no look at arguments, no dispatch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnx.errors import RecordingError
from nnx.jitting.program import Constant, Program, expression, slots, written

#: the memory of results from this size on is given back after their last use
_LARGE = 1 << 14


def compiled(program: Program) -> Callable[..., tuple[Any, ...]]:
    """The program as a function of its arguments; it returns the outputs."""
    names: dict[int, str] = {}
    scope: dict[str, Any] = {"changed": _changed}
    for k, constant in enumerate(program.constants):
        scope[f"c{k}"] = _locked(constant)

    def name(thing: Any) -> str:
        if id(thing) not in names:
            names[id(thing)] = f"f{len(names)}"
            scope[names[id(thing)]] = thing
        return names[id(thing)]

    kept = {*range(program.inputs), *slots(program.outputs)}
    last = {i: k for k, step in enumerate(program.steps) for i in (*step.reads, *step.writes)}
    dead: dict[int, list[str]] = {}  # by the step after which a large result is needed no more
    for i, k in last.items():
        if i not in kept and program.sizes[i] >= _LARGE:
            dead.setdefault(k, []).append(f"v{i}")
    body = []
    for k, step in enumerate(program.steps):
        call = written(step, name)
        body.append(call if step.result is None else f"v{step.result} = {call}")
        if step.shape is not None:
            body.append(f"if v{step.result}.shape != {step.shape!r}: changed({call!r}, v{step.result}.shape)")
        if k in dead:
            body.append("del " + ", ".join(dead[k]))
    outputs = ", ".join(_output(term, name) for term in program.outputs)
    arguments = ", ".join(f"v{i}" for i in range(program.inputs))
    source = f"def replay({arguments}):\n" + "".join(f"    {line}\n" for line in body)
    exec(
        source + f"    return ({outputs}{',' if program.outputs else ''})\n", scope
    )  # the program's own text
    found: Callable[..., tuple[Any, ...]] = scope["replay"]
    return found


def _output(term: Any, name: Callable[[Any], str]) -> str:
    """An output; an array from outside as a copy, for the caller may write into it."""
    copies = type(term) is Constant
    return f"{expression(term, name)}.copy()" if copies else expression(term, name)


def _locked(constant: Any) -> Any:
    if hasattr(constant, "setflags") and getattr(constant, "base", None) is None:
        constant.setflags(write=False)
    return constant


def _changed(call: str, shape: Any) -> None:
    raise RecordingError(
        f"The shape of a result under nnx.jit depends on the numbers: {call} has the shape {shape} now, and "
        "had another when the function was recorded. Keep shapes fixed, for example by np.where instead of "
        "x[mask], or leave that part out of the function under jit."
    )
