"""Many kernels as one launch: a function's work on CuPy's arrays captured in a CUDA graph.

What small programs cost on a GPU is launching: some microseconds of the host for each kernel. A graph is
launched at once. It repeats the very kernels with the very addresses of the run that was captured, so the
arguments are copied into arrays of its own, and the results out of such.

Source: CUDA C++ Programming Guide, "CUDA Graphs"; CuPy's ``Stream.begin_capture``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cupy

Array = Any


def capture(
    function: Callable[..., Sequence[Any]], arrays: Sequence[Array]
) -> Callable[..., tuple[Any, ...]]:
    """``function`` of arrays like these as one launch; for one thread and one stream at a time.

    It must not write into its arguments, nor wait for the device. Raises what CuPy raises where it cannot be
    captured: a wait, or a library that refuses (cuBLAS, cuSOLVER and cuRAND ask for it).
    """
    stream, pool = cupy.cuda.Stream(non_blocking=True), cupy.cuda.MemoryPool()
    given = [x.copy() for x in arrays]
    cupy.cuda.get_current_stream().synchronize()  # the copies are there before another stream reads them
    with stream, cupy.cuda.using_allocator(pool.malloc):
        function(*given)  # kernels are compiled, libraries loaded, and the pool has the memory
        stream.synchronize()
        stream.begin_capture()
        try:
            results = function(*given)
        finally:
            graph = stream.end_capture()

    def launch(*new: Array) -> tuple[Any, ...]:
        for place, x in zip(given, new, strict=True):
            place[...] = x
        graph.launch()
        return tuple([y.copy() if isinstance(y, cupy.ndarray) else y for y in results])

    launch.memory = pool  # type: ignore[attr-defined]  # no one else may get what the kernels write into
    return launch
