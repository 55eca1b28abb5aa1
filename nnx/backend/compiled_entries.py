"""Recorded functions of entries as one loop: rules of optimizers, chains of recorded programs.

What stands in the loop computes the numbers that NumPy's calls give, bit for bit, but for exp and the like,
whose last places may differ: no product is fused with a sum, none is left out where NaN or ∞ may come in, and
everything has one type.

Imported only where Numba is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numba
import numpy as np
from numba import types
from numba.core.errors import NumbaError
from numba.extending import intrinsic

from nnx.backend import compiled_functions, compiled_logarithms
from nnx.backend.entry_loops import EXPRESSIONS
from nnx.backend.recording import LOGICAL, Recording

Array = Any


@intrinsic
def _chosen(typingctx: Any, condition: Any, a: Any, b: Any) -> Any:
    """``a if condition else b`` of two numbers that are both computed: no branch, which vectors lack."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(*args)

    return a(types.boolean, a, a), codegen


@numba.njit(inline="always")
def _max(a: Any, b: Any) -> Any:
    """The larger one, NaN if one is; of two zeros the second, as in NumPy."""
    return _chosen((a > b) | (a != a), a, b)


@numba.njit(inline="always")
def _min(a: Any, b: Any) -> Any:
    return _chosen((a < b) | (a != a), a, b)


@cache
def _compiled(source: str, dtype: Any, signature: Any = None) -> Any:
    """The function of that text, for numbers of that type: one for all that differ in constants alone.

    It is compiled now for a ``signature``, and for no other, or when it is called.
    """
    scope: dict[str, Any] = {
        "np": np, "T": dtype.type, "D": np.float64, "max_": _max, "min_": _min, "chosen": _chosen,
        "few": compiled_functions.FEW_DIGITS,
    }  # fmt: skip
    scope |= _FUNCTIONS
    exec(source, scope)  # the text below, made of the function's own operations
    return numba.njit(signature, error_model="numpy", nogil=True)(scope["kernel"])


def _with_flags(function: Any) -> Any:
    """The function of one number compiled apart: what it may fuse, the loop around it may not."""
    return numba.njit(fastmath={"contract"}, error_model="numpy", forceinline=True)(function.py_func)


_FUNCTIONS = {
    name: _with_flags(function)
    for module in (compiled_functions, compiled_logarithms)
    for name, function in vars(module).items()
    if name.endswith("_of") and not name.startswith("_")
}


def text(
    r: Recording, bools: Sequence[bool], targets: Sequence[int | None], axes: Any = None
) -> tuple[str, tuple[float, ...]] | None:
    """The function ``kernel(*read, *write, numbers)`` as Python writes it, and its constants.

    ``targets`` says which of the read arrays each result overwrites. Such an array is passed once, so that
    the compiler sees that no two arguments overlap and can use vector instructions. ``numbers`` are the
    scalars, and after them the constants. ``axes``: those that each array has, of those of the results; by
    default all are vectors. None where an operation has no form.
    """
    constants: list[float] = []
    scalars = r.inputs - r.vectors

    def number(x: float) -> str:
        constants.append(x)
        return f"n{scalars + len(constants) - 1}"

    made = r.expressions(EXPRESSIONS, [*bools, *[False] * scalars], number)
    if made is None:
        return None
    each = axes or [(0,)] * r.vectors
    count = 1 + max((d for of in each for d in of), default=0)
    whole = ", ".join(f"i{d}" for d in range(count))
    places = [f"w{k}" if j is None else f"r{j}" for k, j in enumerate(targets)]
    names = [f"r{k}" for k in range(r.vectors)] + [p for p in places if p.startswith("w")]
    lines = [f"n{k} = numbers[{k}]" for k in range(scalars + len(constants))]
    lines += [f"v{r.vectors + k} = n{k}" for k in range(scalars)]
    lines += [f"{'    ' * d}for i{d} in range({places[0]}.shape[{d}]):" for d in range(count)]
    inside = [f"v{k} = r{k}[{', '.join(f'i{d}' for d in of) or '()'}]" for k, of in enumerate(each)]
    inside += [f"v{k} = {expression}" for k, (_, expression) in enumerate(made, r.inputs)]
    inside += [f"{place}[{whole}] = v{v}" for place, v in zip(places, r.outputs, strict=True)]
    body = [*lines, *("    " * count + line for line in inside)]
    return f"def kernel({', '.join([*names, 'numbers'])}):\n" + "".join(f"    {x}\n" for x in body), tuple(
        constants
    )


def update(
    recording: Recording, targets: Sequence[int | None], bools: Sequence[bool]
) -> Callable[..., None] | None:
    """One loop over vectors ``(read, write, scalars)``, compiled when first called; None without one."""
    found = text(recording, bools, targets)
    if found is None:
        return None
    source, constants = found

    def call(read: Sequence[Array], write: Sequence[Array], scalars: Sequence[float]) -> None:
        dtype, others = write[0].dtype, [x for x, j in zip(write, targets, strict=True) if j is None]
        _compiled(source, dtype)(*read, *others, np.asarray((*scalars, *constants), dtype=dtype))

    return call


def chain(recording: Recording, dtype: Any, bools: Sequence[bool], axes: Any) -> Callable[..., None] | None:
    """A loop over C-contiguous arrays ``(*read, *write)``, compiled now; None where there is none."""
    found = text(recording, bools, [None] * len(recording.outputs), axes)
    if found is None:
        return None
    source, constants = found
    real, logical = numba.from_dtype(np.dtype(dtype)), numba.types.boolean
    read = [
        numba.types.Array(logical if b else real, len(of), "C", readonly=True)
        for b, of in zip(bools, axes, strict=True)
    ]
    whole = 1 + max((d for of in axes for d in of), default=0)
    names = [recording.steps[i - recording.inputs][0] for i in recording.outputs]
    write = [numba.types.Array(logical if name in LOGICAL else real, whole, "C") for name in names]
    signature = numba.void(*read, *write, numba.types.Array(real, 1, "C", readonly=True))
    try:
        kernel = _compiled(source, np.dtype(dtype), signature)
    except NumbaError:
        return None
    numbers = np.asarray(constants, dtype)
    return lambda *arrays: kernel(*arrays, numbers)
