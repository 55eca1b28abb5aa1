"""Elementwise functions made into kernels for the CPU.

An optimizer's rule is a few lines of arithmetic on vectors. Evaluated as it stands, NumPy allocates a vector
for every operation; :func:`record` runs the rule once on symbols and writes down its operations, from which
follow

- :func:`blockwise`: the same NumPy calls, block by block, into a few buffers that stay in the cache;
- :func:`compiled`: one loop over all numbers, compiled by Numba where that is installed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

Array = Any
#: Numbers in one block: the buffers then stay in the second-level cache.
BLOCK = 1 << 15

_UNARY = {
    "negative": "-{0}", "sqrt": "np.sqrt({0})", "abs": "abs({0})",
    "sign": "np.sign({0})", "exp": "np.exp({0})",
}  # fmt: skip
_BINARY = {
    "add": "{0} + {1}", "subtract": "{0} - {1}", "multiply": "{0} * {1}", "divide": "{0} / {1}",
    "maximum": "max_({0}, {1})", "minimum": "min_({0}, {1})",
    "greater": "{0} > {1}", "greater_equal": "{0} >= {1}", "less": "{0} < {1}", "less_equal": "{0} <= {1}",
    "equal": "{0} == {1}", "not_equal": "{0} != {1}",
}  # fmt: skip
_COMPARISONS = {"greater", "greater_equal", "less", "less_equal", "equal", "not_equal"}
_CHOICE = {"where": "({1} if {0} else {2})"}
_FORMS = _UNARY | _BINARY | _CHOICE


class _NotElementwise(Exception):
    """The function uses what cannot be recorded."""


class _Symbol:
    """A vector or number of the function while it is being recorded."""

    __array_ufunc__ = None

    def __init__(self, recorder: _Recorder, number: int) -> None:
        self.recorder, self.number = recorder, number

    def __bool__(self) -> bool:
        raise _NotElementwise("a branch on values")


def _operator(name: str, swap: bool = False) -> Callable[..., Any]:
    def method(self: _Symbol, *other: Any) -> Any:
        operands = (*other, self) if swap else (self, *other)
        return self.recorder.step(name, operands)

    return method


for _dunder, _name in {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide",
}.items():  # fmt: skip
    setattr(_Symbol, f"__{_dunder}__", _operator(_name))
    setattr(_Symbol, f"__r{_dunder}__", _operator(_name, swap=True))
for _dunder, _name in {
    "gt": "greater", "ge": "greater_equal", "lt": "less", "le": "less_equal", "eq": "equal",
    "ne": "not_equal", "neg": "negative", "abs": "abs",
}.items():  # fmt: skip
    setattr(_Symbol, f"__{_dunder}__", _operator(_name))


@dataclass(frozen=True)
class Recording:
    """Operations in order. Value k < inputs is an argument, value inputs + i the result of step i."""

    vectors: int
    inputs: int
    steps: tuple[tuple[str, tuple[Any, ...]], ...]
    outputs: tuple[int, ...]

    def last_use(self) -> dict[int, int]:
        """For each value, the last step that reads it."""
        return {v: i for i, (_, operands) in enumerate(self.steps) for v in operands if isinstance(v, int)}


class _Recorder:
    """Stands in for the array namespace while a function is being recorded."""

    def __init__(self, inputs: int) -> None:
        self.inputs = inputs
        self.steps: list[tuple[str, tuple[Any, ...]]] = []

    def step(self, name: str, operands: Sequence[Any]) -> _Symbol:
        numbers: list[Any] = []
        for x in operands:
            if isinstance(x, _Symbol):
                numbers.append(x.number)
            elif isinstance(x, float | int) and not isinstance(x, bool):
                numbers.append(float(x))
            else:
                raise _NotElementwise(f"{name} of {type(x).__name__}")
        self.steps.append((name, tuple(numbers)))
        return _Symbol(self, self.inputs + len(self.steps) - 1)

    def __getattr__(self, name: str) -> Callable[..., _Symbol]:
        if name not in _FORMS:
            raise _NotElementwise(name)
        return lambda *operands: self.step(name, operands)


@cache
def record(function: Callable[..., Any], vectors: int, scalars: int) -> Recording | None:
    """The operations of ``function(xp, *vectors, *scalars)``; None where they cannot be written down."""
    recorder = _Recorder(vectors + scalars)
    given = [_Symbol(recorder, i) for i in range(vectors + scalars)]
    try:
        results = function(recorder, *given)
    except (_NotElementwise, TypeError):
        return None
    if not all(isinstance(r, _Symbol) and r.number >= recorder.inputs for r in results):
        return None  # an input handed through: the caller's buffers would overlap
    return Recording(vectors, recorder.inputs, tuple(recorder.steps), tuple(r.number for r in results))


@cache
def blockwise(recording: Recording, targets: tuple[int | None, ...], dtype: Any) -> Callable[..., None]:
    """The recording as NumPy calls on blocks: ``(read, write, scalars)``, written for these targets.

    ``targets`` says which of the read vectors each result overwrites. A result goes straight there if nothing
    reads the old numbers afterwards, else by way of a buffer. Each thread has buffers of its own.
    """
    r, last = recording, recording.last_use()
    direct: dict[int, str] = {}
    late = []
    for k, (value, alias) in enumerate(zip(r.outputs, targets, strict=True)):
        if value not in direct and (alias is None or last.get(alias, -1) <= value - r.inputs):
            direct[value] = f"w{k}"
        else:
            late.append((k, value))
    names, kinds = _buffers(r, last, direct, {value for _, value in late})

    def term(v: Any) -> str:
        return names.get(v, f"v{v}") if isinstance(v, int) else repr(v)

    body = []
    for i, (name, operands) in enumerate(r.steps):
        out, given = names[r.inputs + i], [term(v) for v in operands]
        if name == "where":
            body += [f"copyto({out}, {given[2]})", f"copyto({out}, {given[1]}, where={given[0]})"]
        else:
            body.append(f"{name}({', '.join(given)}, out={out})")
    body += [f"w{k}[...] = {names[value]}" for k, value in late]
    slices = [f"v{k} = read[{k}][a:b]" for k in range(r.vectors)]
    slices += [f"w{k} = write[{k}][a:b]" for k in range(len(r.outputs))]
    slices += [f"{name} = {name}_[:b - a]" for name in kinds]
    lines = [f"v{r.vectors + k} = scalars[{k}]" for k in range(r.inputs - r.vectors)]
    lines += [f"{name}_ = buffers[{n}]" for n, name in enumerate(kinds)]
    source = "def kernel(read, write, scalars, buffers, size):\n    n = read[0].shape[0]\n"
    source += "".join(f"    {line}\n" for line in lines) + "    for a in range(0, n, size):\n"
    source += "        b = min(a + size, n)\n" + "".join(f"        {line}\n" for line in (*slices, *body))
    scope = {name: getattr(np, name) for name in _FORMS if name != "where"} | {"copyto": np.copyto}
    exec(source, scope)  # the text above, made of the rule's own operations
    kernel: Any = scope["kernel"]
    own = threading.local()

    def call(read: Sequence[Array], write: Sequence[Array], scalars: Sequence[float]) -> None:
        if not hasattr(own, "buffers"):
            own.buffers = [np.empty(BLOCK, bool if logical else dtype) for logical in kinds.values()]
        kernel(read, write, scalars, own.buffers, BLOCK)

    return call


def _buffers(
    r: Recording, last: dict[int, int], direct: dict[int, str], kept: set[int]
) -> tuple[dict[int, str], dict[str, bool]]:
    """The name of the place of each step's result, and of each buffer whether it holds bools.

    A buffer is used again once its value is dead. ``where`` copies in two steps, so its result must not lie
    on one of its operands: these are let go only afterwards.
    """
    names = dict(direct)
    kinds: dict[str, bool] = {}
    free: dict[bool, list[str]] = {True: [], False: []}

    def release(step: int, operands: Sequence[Any]) -> None:
        for v in {v for v in operands if isinstance(v, int)}:
            if last[v] == step and v in names and v not in direct and v not in kept:
                free[kinds[names[v]]].append(names[v])

    for i, (name, operands) in enumerate(r.steps):
        value, logical = r.inputs + i, name in _COMPARISONS
        if name != "where":
            release(i, operands)
        if value not in direct:
            if not free[logical]:
                fresh = f"b{len(kinds)}"
                kinds[fresh] = logical
                free[logical].append(fresh)
            names[value] = free[logical].pop()
        if name == "where":
            release(i, operands)
    return names, kinds


@cache
def compiled(recording: Recording, targets: tuple[int | None, ...]) -> Callable[..., None] | None:
    """One compiled loop over ``(read, write, scalars)``; None where Numba cannot be used.

    ``targets`` says which of the read vectors each result overwrites: named once, so that the compiler sees
    that nothing else overlaps and can work on several numbers at a time.
    """
    try:
        import numba
    except ImportError:  # not there, or (as Numba says so itself) not for this version of NumPy
        return None

    lines, constants = [], []

    def term(v: Any) -> str:
        if isinstance(v, int):
            return f"v{v}"
        constants.append(v)
        return f"c[{len(constants) - 1}]"

    for i, (name, operands) in enumerate(recording.steps):
        lines.append(f"v{recording.inputs + i} = " + _FORMS[name].format(*(term(v) for v in operands)))
    places = [f"w{k}" if j is None else f"r{j}" for k, j in enumerate(targets)]
    lines += [f"{place}[i] = v{value}" for place, value in zip(places, recording.outputs, strict=True)]
    reads = [f"r{k}" for k in range(recording.vectors)]
    writes = [place for place in places if place.startswith("w")]
    head = [f"v{recording.vectors + k} = s[{k}]" for k in range(recording.inputs - recording.vectors)]
    source = f"def kernel({', '.join([*reads, *writes, 's', 'c'])}):\n"
    source += "".join(f"    {line}\n" for line in head)
    source += f"    for i in range({reads[0]}.shape[0]):\n"
    source += "".join(f"        v{k} = r{k}[i]\n" for k in range(recording.vectors))
    source += "".join(f"        {line}\n" for line in lines)
    # maximum and minimum pass NaN on, as NumPy's do
    scope: dict[str, Any] = {
        "np": np,
        "max_": numba.njit(lambda a, b: a if a > b or a != a else b),
        "min_": numba.njit(lambda a, b: a if a < b or a != a else b),
    }
    exec(source, scope)  # the text above, made of the rule's own operations
    kernel = numba.njit(error_model="numpy", nogil=True)(scope["kernel"])

    def call(read: Sequence[Array], write: Sequence[Array], scalars: Sequence[float]) -> None:
        dtype, others = write[0].dtype, [x for x, j in zip(write, targets, strict=True) if j is None]
        kernel(*read, *others, np.asarray(scalars, dtype=dtype), np.asarray(constants, dtype=dtype))

    return call
