"""Recorded elementwise functions made into kernels for the CPU.

An optimizer's rule is a few lines of arithmetic on vectors. Evaluated directly, NumPy allocates a vector for
every operation. From the recording of the rule (:mod:`nnx.backend.recording`) are made

- :func:`blockwise`: the same NumPy calls, block by block, into a few buffers that stay in the cache;
- :func:`compiled`: one loop over all entries, compiled by Numba if that is installed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from nnx.backend import loops
from nnx.backend.recording import LOGICAL, Recording

Array = Any
#: Entries in one block: the buffers then stay in the second-level cache.
BLOCK = 1 << 15


@cache
def blockwise(recording: Recording, targets: tuple[int | None, ...], dtype: Any) -> Callable[..., None]:
    """The recording as NumPy calls on blocks, a function ``(read, write, scalars)``.

    ``targets`` says which of the read vectors each result overwrites (None: none). A result is computed there
    directly if no later step reads the old entries, else in a buffer. Each thread has its own buffers.
    """
    calls, kinds = body(recording, targets)
    r = recording
    slices = [f"v{k} = read[{k}][a:b]" for k in range(r.vectors)]
    slices += [f"w{k} = write[{k}][a:b]" for k in range(len(r.outputs))]
    slices += [f"{name} = {name}_[:b - a]" for name in kinds]
    lines = [f"{name}_ = buffers[{n}]" for n, name in enumerate(kinds)]
    lines += [f"for a in range(0, read[0].shape[0], {BLOCK}):", f"    b = min(a + {BLOCK}, read[0].shape[0])"]
    kernel = made(recording, [*lines, *(f"    {line}" for line in (*slices, *calls))])
    return _called(kernel, kinds, dtype)


@cache
def at_once(recording: Recording, targets: tuple[int | None, ...], dtype: Any) -> Callable[..., None]:
    """As :func:`blockwise`, for vectors of at most :data:`BLOCK` entries: without blocks."""
    calls, kinds = body(recording, targets)
    names = [f"v{k}" for k in range(recording.vectors)]
    lines = [f"{', '.join(names)}, = read"]
    lines += [f"{', '.join(f'w{k}' for k in range(len(recording.outputs)))}, = write"]
    lines += [f"{', '.join(kinds)}, = buffers"] if kinds else []
    return _called(made(recording, [*lines, *calls]), kinds, dtype, whole=True)


def body(r: Recording, targets: tuple[int | None, ...]) -> tuple[list[str], dict[str, bool]]:
    """The calls, one in each line, and for each buffer that they need whether it holds bools."""
    last = r.last_use()
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

    lines = []
    for i, (name, operands) in enumerate(r.steps):
        out, given = names[r.inputs + i], [term(v) for v in operands]
        if name == "where":
            chosen = given[0] if kinds.get(given[0]) else f"as_bool({given[0]})"
            lines += [f"copyto({out}, {given[2]})", f"copyto({out}, {given[1]}, where={chosen})"]
        else:
            lines.append(f"{name}({', '.join(given)}, out={out})")
    return lines + [f"w{k}[...] = {names[value]}" for k, value in late], kinds


def made(recording: Recording, lines: Sequence[str]) -> Any:
    """The function ``kernel(read, write, scalars, buffers)`` of these lines."""
    heads = [f"v{recording.vectors + k} = scalars[{k}]" for k in range(recording.inputs - recording.vectors)]
    source = "def kernel(read, write, scalars, buffers):\n"
    source += "".join(f"    {line}\n" for line in (*heads, *lines))
    names = {name for name, _ in recording.steps}
    scope: Any = {name: getattr(np, name, None) for name in names} | {"copyto": np.copyto}
    scope |= {name: own_functions()[name] for name in names if name.startswith(("own_", "restored_"))}
    # constants are written as Python prints them
    scope |= {"as_bool": _as_bool, "inf": np.inf, "nan": np.nan}
    exec(source, scope)  # the text above, made of the rule's own operations
    return scope["kernel"]


def own_functions() -> Mapping[str, Any]:
    """Functions of nnx's own that are compiled loops, by the names that they have in recordings."""
    module = loops.compiled("functions")
    return module.INTO if module else {}


def _as_bool(x: Array) -> Array:
    """A condition that may be numbers: those other than 0 are true, as for NumPy's ``where``."""
    return x if x.dtype == bool else x != 0


def _called(kernel: Any, kinds: Mapping[str, bool], dtype: Any, whole: bool = False) -> Callable[..., None]:
    """``kernel`` with the buffers of the thread: of the vectors' length where ``whole``."""
    own = threading.local()

    def buffers(n: int) -> list[Array]:
        return [np.empty(n, bool if logical else dtype) for logical in kinds.values()]

    def call(read: Sequence[Array], write: Sequence[Array], scalars: Sequence[float]) -> None:
        n = read[0].shape[0] if whole else BLOCK
        if getattr(own, "n", None) != n:
            own.n, own.buffers, own.scalars = n, buffers(n), None
        if scalars != own.scalars:  # as arrays, which NumPy need not look at
            own.scalars, own.arrays = scalars, [np.asarray(s, dtype) for s in scalars]
        kernel(read, write, own.arrays, own.buffers)

    return call


def _buffers(
    r: Recording, last: dict[int, int], direct: dict[int, str], kept: set[int]
) -> tuple[dict[int, str], dict[str, bool]]:
    """The name of the place for each step's result, and for each buffer whether it holds bools.

    A buffer is used again after the last use of its value. ``where`` copies in two steps, so its result must
    not share a buffer with an operand: these are released only afterwards.
    """
    names = dict(direct)
    kinds: dict[str, bool] = {}
    free: dict[bool, list[str]] = {True: [], False: []}

    def release(step: int, operands: Sequence[Any]) -> None:
        for v in {v for v in operands if isinstance(v, int)}:
            if last[v] == step and v in names and v not in direct and v not in kept:
                free[kinds[names[v]]].append(names[v])

    for i, (name, operands) in enumerate(r.steps):
        value, logical = r.inputs + i, name in LOGICAL
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
def compiled(
    recording: Recording, targets: tuple[int | None, ...], bools: tuple[bool, ...]
) -> Callable[..., None] | None:
    """One compiled loop over ``(read, write, scalars)``; None where Numba cannot be used.

    ``targets`` says which of the read vectors each result overwrites, ``bools`` which hold bools.
    """
    module = loops.compiled("entries")
    return module.update(recording, targets, bools) if module else None
