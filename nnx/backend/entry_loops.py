"""When a chain of entry-by-entry calls becomes a compiled loop: after it has taken the time of compiling one.

Until then its calls are NumPy's, on blocks: so no run takes much more than twice its time. How long that is,
the operations tell and not a clock: two runs of a script change at the same call, and have the same bits. A
thread beside would not help: it needs the interpreter, for which each block would then have to wait.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from nnx.backend import loops
from nnx.backend.recording import FORMS, Recording

Array = Any
#: Operation → its expression in the loop; T is the type of all numbers.
EXPRESSIONS = FORMS | {
    "absolute": "abs({0})", "positive": "{0}", "square": "{0} * {0}", "reciprocal": "T(1) / {0}",
    "logical_not": "{0} == 0", "logical_and": "({0} != 0) & ({1} != 0)", "isnan": "{0} != {0}",
    "logical_or": "({0} != 0) | ({1} != 0)", "isfinite": "{0} - {0} == 0",
    "power": "{0} ** {1}",
    "sign": "chosen({0} != {0}, {0}, T({0} > 0) - T({0} < 0))", "where": "chosen({0} != 0, {1}, {2})",
    "isinf": "abs({0}) == np.inf", "exp": "T(exp_of(D({0})))", "log": "T(log_of(D({0})))",
    "log1p": "T(log1p_of(D({0})))", "expm1": "T(expm1_of(D({0})))", "tanh": "T(tanh_of(D({0})))",
    "own_tanh": "tanh_of({0})", "own_sigmoid": "sigmoid_of({0})",  # of float64 only
    "restored_sech_squared": "chosen({0} < few, sech_squared_of({1}), {0})",
    "restored_logistic_slope": "chosen({0} < few, logistic_slope_of({1}), {0})",
}  # fmt: skip
#: nanoseconds of NumPy's on one core that repay a loop: Numba is loaded (0.5 s), and compiles (0.2 to 1 s)
WORTH_COMPILING = 1.5e9
#: operations → nanoseconds that NumPy takes for an entry, where it is not half of one
_SLOW = {"exp": 5.0, "log": 5.0, "log1p": 10.0, "expm1": 10.0, "tanh": 15.0, "divide": 1.0, "sqrt": 1.5}
#: operations whose last places may differ in a loop
_INEXACT = frozenset(("exp", "log", "log1p", "expm1", "tanh", "pow", "power"))
#: settings of ``np.errstate`` for which a loop will do
_SILENT = frozenset(("ignore", "warn"))
#: LLVM compares so many pairs of arrays before a loop, to see whether they overlap; with more it uses no
#: vector instructions
_MOST_PAIRS = 8


class Growing:
    """The kernel of a chain: called, it gives ``kernel(read, write, (), buffers)``, to be called now."""

    def __init__(
        self,
        blocks: Callable[..., None],
        recording: Recording,
        shapes: Sequence[tuple[int, ...]],
        bools: Sequence[bool],
        shape: tuple[int, ...],
        dtype: Any,
        exact: bool,
    ) -> None:
        self._blocks = self._kernel = blocks
        self._calls = 0
        self._make: Callable[[], Any] | None = None
        if loops.left_out() or dtype.char not in "fd" or not _pays(recording, exact):
            return
        work = math.prod(shape) * sum(_SLOW.get(name, 0.5) for name, _ in recording.steps)
        self._ask = math.ceil(WORTH_COMPILING / max(work, 1.0))
        axes, sizes = merged(shapes, shape)
        self._make = partial(_loop, recording, dtype, bools, axes, sizes, blocks)

    def __call__(self) -> Callable[..., None]:
        if self._make is not None:
            self._grow()
        if self._kernel is not self._blocks and not _SILENT.issuperset(np.geterr().values()):
            return self._blocks  # where NumPy is to raise errors: a loop has none
        return self._kernel

    def _grow(self) -> None:
        self._calls += 1
        if self._calls > self._ask and self._make is not None:
            self._kernel, self._make = self._make() or self._kernel, None


def _pays(recording: Recording, exact: bool) -> bool:
    names = {name for name, _ in recording.steps}
    pairs = len(recording.outputs) * (2 * recording.inputs + len(recording.outputs) - 1) // 2
    return pairs <= _MOST_PAIRS and names <= EXPRESSIONS.keys() and not (exact and names & _INEXACT)


def merged(
    shapes: Sequence[tuple[int, ...]], shape: tuple[int, ...]
) -> tuple[list[tuple[int, ...]], list[int]]:
    """Which axes each array has, where neighbours that all arrays have or lack together are one; their sizes.

    >>> from nnx.backend.entry_loops import merged
    >>> merged([(5, 3, 4), (3, 4), (5, 1, 1), ()], (5, 3, 4))
    ([(0, 1), (1,), (0,), ()], [5, 12])
    """
    patterns: list[list[bool]] = []
    sizes: list[int] = []
    for d, n in enumerate(shape, -len(shape)):
        has = [len(other) >= -d and other[d] == n for other in shapes]
        if sizes and (n == 1 or has == patterns[-1]):
            sizes[-1] *= n
        else:
            patterns.append(has)
            sizes.append(n)
    return [tuple(k for k, has in enumerate(patterns) if has[j]) for j in range(len(shapes))], sizes


def _loop(
    recording: Recording,
    dtype: Any,
    bools: Sequence[bool],
    axes: Any,
    sizes: Sequence[int],
    blocks: Callable[..., None],
) -> Any:
    """The loop as a kernel; None where Numba is missing, or has none."""
    module = loops.compiled("entries")
    found = module and module.chain(recording, dtype, bools, axes)
    if not found:
        return None
    shapes = [tuple(-1 if k == 0 else sizes[k] for k in of) for of in axes]
    whole = (-1, *sizes[1:])

    def kernel(read: Sequence[Array], write: Sequence[Array], scalars: Any, buffers: Any) -> None:
        given = [np.asarray(x).reshape(s) for x, s in zip(read, shapes, strict=True)]
        into = [x.reshape(whole) for x in write]
        if all(x.flags.aligned for x in given):
            found(*given, *into)
        else:
            blocks(read, write, scalars, buffers)

    return kernel
