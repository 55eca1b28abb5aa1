"""Entry-by-entry calls on large NumPy arrays made block by block: what lies between them stays in the cache.

Call by call, each result goes to memory and comes back. Here the calls of a chain are made on one block of
the arrays after the other, with the same bits, and the cores share the blocks.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from functools import cache, partial
from itertools import pairwise
from typing import Any

import numpy as np

from nnx.backend import kernels
from nnx.backend.memory import reused
from nnx.backend.recording import LOGICAL, Recording
from nnx.backend.threads import cores, together

Array = Any
#: bytes of one buffer: those of a chain stay in the cache of a core
_BLOCK = 1 << 17
#: bytes of a result from which on blocks pay
WORTH_BLOCKS = 1 << 19
#: entries from which on another core pays
_WORTH_A_CORE = 1 << 17


def joined(
    recording: Recording, shapes: Sequence[tuple[int, ...]], shape: tuple[int, ...], dtype: Any
) -> Callable[..., Any] | None:
    """The recorded calls as one function of arrays of these ``shapes``; None where blocks would not pay.

    All results have that ``shape`` and ``dtype``, or are bools. Arguments are C-contiguous.
    """
    flat = all(other in (shape, ()) for other in shapes)
    row = 1 if flat else math.prod(shape[1:])
    size = _BLOCK // (row * np.dtype(dtype).itemsize)
    if not size:
        return None
    cut = tuple(other == shape if flat else len(other) == len(shape) and other[0] > 1 for other in shapes)
    kernel = _blockwise(recording, cut, size)
    logical = [recording.steps[i - recording.inputs][0] in LOGICAL for i in recording.outputs]
    kinds = [np.dtype(bool if x else dtype) for x in logical]
    buffers = _Buffers(recording, (size,) if flat else (size, *shape[1:]), dtype)
    n = math.prod(shape) if flat else shape[0]
    count = max(1, min(cores(), n * row // _WORTH_A_CORE, -(-n // size)))
    ends = [min(n, -(-n // size) * k // count * size) for k in range(count + 1)]

    def call(*arrays: Array) -> Any:
        results = [reused(shape, kind) for kind in kinds]
        read, write = arrays, results
        if flat:
            read = tuple(x.reshape(-1) if c else x for x, c in zip(arrays, cut, strict=True))
            write = [x.reshape(-1) for x in results]

        def part(a: int, b: int) -> None:
            kernel([x[a:b] if c else x for x, c in zip(read, cut, strict=True)], [x[a:b] for x in write],
                   (), buffers.of_thread())  # fmt: skip

        together([partial(part, a, b) for a, b in pairwise(ends)])
        return results[0] if len(results) == 1 else tuple(results)

    return call


class _Buffers(threading.local):
    """The buffers of one thread."""

    def __init__(self, recording: Recording, shape: tuple[int, ...], dtype: Any) -> None:
        kinds = kernels.body(recording, (None,) * len(recording.outputs))[1]
        self._wanted = [(shape, bool if logical else dtype) for logical in kinds.values()]
        self._kept: list[Array] | None = None

    def of_thread(self) -> list[Array]:
        if self._kept is None:
            self._kept = [np.empty(shape, dtype) for shape, dtype in self._wanted]
        return self._kept


@cache
def _blockwise(recording: Recording, cut: tuple[bool, ...], size: int) -> Callable[..., None]:
    """``kernel(read, write, (), buffers)``: of the arguments that are ``cut`` a part, of the others all."""
    lines, names = kernels.body(recording, (None,) * len(recording.outputs))
    heads = [f"v{k} = read[{k}]" for k, c in enumerate(cut) if not c]
    heads += [f"{name}_ = buffers[{n}]" for n, name in enumerate(names)]
    parts = [f"v{k} = read[{k}][a:b]" for k, c in enumerate(cut) if c]
    parts += [f"w{k} = write[{k}][a:b]" for k in range(len(recording.outputs))]
    parts += [f"{name} = {name}_[:b - a]" for name in names]
    loop = [f"for a in range(0, write[0].shape[0], {size}):", f"    b = min(a + {size}, write[0].shape[0])"]
    return kernels.made(recording, [*heads, *loop, *(f"    {line}" for line in (*parts, *lines))])
