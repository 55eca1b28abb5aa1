"""Entry-by-entry calls on large NumPy arrays made block by block: what lies between them stays in the cache.

Call by call, each result goes to memory and comes back. Here the calls of a chain are made on one block of
the arrays after the other, with the same bits, and the cores share the blocks. A chain that has run for a
while is one loop, if Numba is installed (:mod:`nnx.backend.entry_loops`). What is only summed, or a row's
maximum asked for, is never in memory: each block is summed while it is in the cache.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from functools import cache, partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from nnx.backend import kernels
from nnx.backend.entry_loops import Growing
from nnx.backend.memory import reused
from nnx.backend.pairwise import parts, total
from nnx.backend.recording import LOGICAL, Asked, Recording
from nnx.backend.threads import cores, together

Array = Any
#: bytes of one buffer: those of a chain stay in the cache of a core
_BLOCK = 1 << 17
#: so many blocks at a time a compiled loop takes, which has no buffers but those of what is summed
_LONGER = 4
#: bytes of a result from which on blocks pay
WORTH_BLOCKS = 1 << 19
#: entries from which on another core pays
_WORTH_A_CORE = 1 << 17


class Reduction(NamedTuple):
    """A sum of all entries of an output, or of each row along the last axis, or an extremum of each row."""

    ufunc: Any
    #: along the last axis; else over all entries
    last: bool
    keepdims: bool
    #: the sum is divided by the number of its entries, as by ``np.mean``
    mean: bool

    @property
    def name(self) -> str:
        """What a program calls it when it is printed."""
        name = "mean" if self.mean else f"{self.ufunc.__name__}.reduce"
        return f"{name}(axis={-1 if self.last else None})"

    def of_parts(self, x: Any, shape: tuple[int, ...]) -> Any:
        """The answer as NumPy gives it; x are the sums, of arrays of that shape."""
        n = shape[-1] if self.last else math.prod(shape)
        if self.mean and isinstance(x, np.ndarray):
            x = np.true_divide(x, np.intp(n), out=x, casting="unsafe")
        elif self.mean:
            x = x.dtype.type(x / np.intp(n))
        if not self.keepdims:
            return x
        return x[..., None] if self.last else np.asarray(x).reshape((1,) * len(shape))


class Piece(NamedTuple):
    """A range of rows that one call of a kernel computes, and the entries of these that are summed."""

    start: int
    end: int
    first: int = 0
    last: int = 0


def joined(
    recording: Recording,
    given: Sequence[tuple[tuple[int, ...], bool]],
    shape: tuple[int, ...],
    dtype: Any,
    asked: Asked | None = None,
    exact: bool = True,
) -> Callable[..., Any] | None:
    """The recorded calls as one function of ``given`` arrays; None where blocks would not pay.

    Of each array the shape, and whether it holds bools, are given; it is C-contiguous. All results have that
    ``shape`` and ``dtype``, or are bools. Unless ``exact``, results may differ from those of the calls in the
    last places: where Numba computes exp and the like.
    """
    asked = asked or Asked(tuple(range(len(recording.outputs))))
    rows = len(shape) > 1 and any(r.last for _, r in asked.reductions)
    flat = not rows and all(other in (shape, ()) for other, _ in given)
    row = 1 if flat else math.prod(shape[1:])
    size = _BLOCK // (row * np.dtype(dtype).itemsize)
    over_all = any(not r.last for _, r in asked.reductions)
    if not size or (over_all and not flat and size < 8):  # rows at the ends of blocks are computed twice
        return None
    return _Chain(recording, given, shape, np.dtype(dtype), asked, exact, flat, size)


class _Chain:
    """The function that :func:`joined` returns."""

    def __init__(
        self,
        recording: Recording,
        given: Sequence[tuple[tuple[int, ...], bool]],
        shape: tuple[int, ...],
        dtype: Any,
        asked: Asked,
        exact: bool,
        flat: bool,
        size: int,
    ) -> None:
        self._flat, self._shape, self._asked = flat, shape, asked
        self._row = 1 if flat else math.prod(shape[1:])
        shapes, bools = [of for of, _ in given], [b for _, b in given]
        self._cut = [of == shape if flat else len(of) == len(shape) and of[0] > 1 for of in shapes]
        logical = [recording.steps[i - recording.inputs][0] in LOGICAL for i in recording.outputs]
        self._kinds = [np.dtype(bool if x else dtype) for x in logical]
        n, block = (math.prod(shape), ()) if flat else (shape[0], shape[1:])
        self._blocks = _blockwise(recording, tuple(self._cut), size)
        self._kernel = Growing(self._blocks, recording, shapes, bools, shape, dtype, exact)
        short, long = (self._shares(n, m) for m in (size, _LONGER * size))
        self._work = {True: short, False: long}
        most = max(p.end - p.start for share in (*short[1], *long[1]) for p in share)
        hidden = {k for k, _ in asked.reductions} - set(asked.entries)
        self._buffers = _Buffers(recording, (size, *block), dtype, dict.fromkeys(hidden, (most, *block)))

    def _shares(self, n: int, size: int) -> tuple[int, list[list[Piece]]]:
        """The most entries that a piece's sum is of; pieces of up to ``size`` of n rows, for each core."""
        row = self._row
        most = max(size - (0 if self._flat else 2), 1) * row  # entries whose rows are at most ``size``
        if all(r.last for _, r in self._asked.reductions):
            pieces = [Piece(a, min(a + size, n)) for a in range(0, n, size)] or [Piece(0, 0)]
        else:
            ranges = parts(n * row, most)
            pieces = [Piece(a // row, -(-b // row), a % row, a % row + b - a) for a, b in ranges]
        count = max(1, min(cores(), n * row // _WORTH_A_CORE, len(pieces)))
        shares = [pieces[a:b] for a, b in pairwise(len(pieces) * k // count for k in range(count + 1))]
        if not self._asked.reductions:  # the kernel has blocks of its own
            shares = [[Piece(share[0].start, share[-1].end)] for share in shares if share]
        return most, shares

    def __call__(self, *arrays: Array) -> Any:
        entries = {k: reused(self._shape, self._kinds[k]) for k in self._asked.entries}
        found = [self._place(k, r) for k, r in self._asked.reductions]
        read: Sequence[Array] = arrays
        write = entries
        if self._flat:
            read = [x.reshape(-1) if c else x for x, c in zip(arrays, self._cut, strict=True)]
            write = {k: x.reshape(-1) for k, x in entries.items()}
        kernel = self._kernel()
        most, shares = self._work[kernel is self._blocks]
        together([partial(self._share, kernel, share, read, write, found) for share in shares])
        results = list(entries.values())
        for (_, r), x in zip(self._asked.reductions, found, strict=True):
            results.append(r.of_parts(x if r.last else self._total(x, most), self._shape))
        return results[0] if len(results) == 1 else tuple(results)

    def _place(self, k: int, r: Reduction) -> Any:
        """Where parts of a reduction are put: a number for each row, or by the place where they begin."""
        return np.empty(self._shape[:-1], self._kinds[k]) if r.last else {}

    def _total(self, sums: dict[int, Any], most: int) -> Any:
        in_order = iter([sums[a] for a in sorted(sums)])
        return total(math.prod(self._shape), most, in_order)

    def _share(self, kernel: Any, share: Any, read: Any, write: Any, found: Any) -> None:
        """One core's part."""
        buffers, hidden = self._buffers.of_thread()
        for a, b, first, last in share:
            into = [write[k][a:b] if k in write else hidden[k][: b - a] for k in range(len(self._kinds))]
            kernel([x[a:b] if c else x for x, c in zip(read, self._cut, strict=True)], into, (), buffers)
            for (k, r), x in zip(self._asked.reductions, found, strict=True):
                y = into[k]
                if r.last:
                    r.ufunc.reduce(y, -1, out=x[a:b])
                else:
                    x[a * self._row + first] = r.ufunc.reduce(y.reshape(-1)[first:last])


class _Buffers(threading.local):
    """The buffers of one thread: those of the kernel, and those of outputs that are only reduced."""

    def __init__(
        self, recording: Recording, shape: tuple[int, ...], dtype: Any, hidden: dict[int, tuple[int, ...]]
    ) -> None:
        kinds = kernels.body(recording, (None,) * len(recording.outputs))[1]
        self._wanted = [(shape, bool if logical else dtype) for logical in kinds.values()]
        self._hidden, self._dtype = hidden, dtype
        self._kept: tuple[list[Array], dict[int, Array]] | None = None

    def of_thread(self) -> tuple[list[Array], dict[int, Array]]:
        if self._kept is None:
            hidden = {k: np.empty(shape, self._dtype) for k, shape in self._hidden.items()}
            self._kept = [np.empty(shape, dtype) for shape, dtype in self._wanted], hidden
        return self._kept


@cache
def _blockwise(recording: Recording, cut: tuple[bool, ...], size: int) -> Callable[..., None]:
    """``kernel(read, write, (), buffers)``: of the arguments that are ``cut`` a part, of the others all."""
    lines, names = kernels.body(recording, (None,) * len(recording.outputs))
    heads = [f"v{k} = read[{k}]" for k, c in enumerate(cut) if not c]
    heads += [f"{name}_ = buffers[{n}]" for n, name in enumerate(names)]
    slices = [f"v{k} = read[{k}][a:b]" for k, c in enumerate(cut) if c]
    slices += [f"w{k} = write[{k}][a:b]" for k in range(len(recording.outputs))]
    slices += [f"{name} = {name}_[:b - a]" for name in names]
    loop = [f"for a in range(0, write[0].shape[0], {size}):", f"    b = min(a + {size}, write[0].shape[0])"]
    return kernels.made(recording, [*heads, *loop, *(f"    {line}" for line in (*slices, *lines))])
