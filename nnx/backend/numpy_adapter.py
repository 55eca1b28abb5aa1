"""NumPy on the CPU."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cache
from typing import Any

import array_api_compat.numpy as xp
import numpy as np

from nnx.backend import philox
from nnx.backend.reference import Adapter, Array, apart
from nnx.errors import OptionError

# Numbers in one block of an update: its temporaries then stay in the second-level cache.
_BLOCK = 1 << 16


class NumpyAdapter(Adapter):
    """NumPy arrays in host memory."""

    name = "numpy"
    reads_are_free = True
    fills_buffers = True

    def device(self, spec: Any) -> Any:
        if spec not in (None, "cpu"):
            raise OptionError(f"NumPy has one device, 'cpu'; got device={spec!r}.")
        return "cpu"

    def asarray(self, x: Any, dtype: Any = None, device: Any = None) -> Array:
        return np.asarray(x, dtype=dtype)

    def to_numpy(self, x: Array) -> np.ndarray:
        return np.asarray(x)

    def scatter_add(self, n: int, index: Array, values: Array) -> Array:
        out = np.zeros((n, *values.shape[1:]), dtype=values.dtype)
        np.add.at(out, index, values)
        return out

    def keep_mask(
        self, stream: philox.Stream, rate: float, shape: Sequence[int], dtype: Any, device: Any
    ) -> Array:
        return philox.keep_mask(stream, rate, tuple(shape), np.dtype(dtype).type)

    def map_inplace(
        self,
        function: Callable[..., tuple[Array, ...]],
        read: tuple[Array, ...],
        write: tuple[Array, ...],
        scalars: tuple[float, ...] = (),
    ) -> None:
        n = read[0].shape[0]

        def run(start: int, stop: int) -> None:
            for a in range(start, stop, _BLOCK):
                part = slice(a, min(a + _BLOCK, stop))
                given = [x[part] for x in read]
                results = apart(np, function(np, *given, *scalars), given)
                for target, value in zip(write, results, strict=True):
                    target[part] = value

        if n <= 2 * _BLOCK or _cores() < 2:
            run(0, n)
            return
        # NumPy lets go of the interpreter's lock inside each operation: two threads share the work.
        # The other one works in this context too (np.errstate is part of it).
        middle = n // 2 // _BLOCK * _BLOCK
        other = _pool(os.getpid()).submit(copy_context().run, run, 0, middle)
        try:
            run(middle, n)
        finally:
            other.result()

    def pack(self, pieces: Sequence[Array], out: Array) -> None:
        start = 0
        for piece in pieces:
            stop = start + piece.size
            out[start:stop].reshape(piece.shape)[...] = piece
            start = stop

    def take_rows(self, x: Array, index: Array, out: Array | None = None) -> Array:
        # mode="clip" lets NumPy write into `out` directly; the indices are the loop's own and valid.
        return x.take(index, axis=0, out=out, mode="clip")


@cache
def _pool(process: int) -> ThreadPoolExecutor:
    # One for each process: a fork copies the object without its thread, and would wait for ever.
    return ThreadPoolExecutor(1, thread_name_prefix="nnx-update")


@cache
def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load() -> Adapter:
    """The adapter, for :mod:`nnx.backend.selection`."""
    return NumpyAdapter(xp)
