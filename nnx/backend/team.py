"""Blocks of a computation spread over the cores, each multiplied by one thread of BLAS.

BLAS spreads one product over the cores. A convolution is many products of blocks that stay in a core's cache:
there each core had better do blocks of its own. threadpoolctl (optional) tells BLAS to use one thread
meanwhile; without it the blocks run one after the other, and BLAS spreads each product itself.
"""

from __future__ import annotations

import itertools
import math
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from nnx.backend.threads import cores, later, together

Array = Any


class Team:
    """Threads that share the blocks of one call, and what they need: buffers, and BLAS held to one thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._own = threading.local()
        self._start_anew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._start_anew)  # who held BLAS is not there

    def _start_anew(self) -> None:
        self._blas: Sequence[Any] | None = None
        self._held: list[int] = []
        self._callers = 0
        self._lock = threading.Lock()

    def run(self, function: Callable[..., Any], blocks: Sequence[Any]) -> list[Any]:
        """``[function(block) for block in blocks]``, several at a time where there are several cores.

        Which thread does which block is left to chance; ``function`` must not depend on it.
        """
        with self.held() as threads:
            return self._shared(function, blocks, min(threads, len(blocks)))

    def each(self, function: Callable[[Any], Any], blocks: Iterable[Any]) -> Iterator[Any]:
        """``function(block)`` for each block, in their order; a few of them are under way at a time.

        The results are made in other threads, and this one is free to add them up. A single block is left to
        the calling thread, and to the threads of BLAS.
        """
        rest = iter(blocks)
        first = list(itertools.islice(rest, 2))
        if cores() < 2 or len(first) < 2:
            yield from map(function, itertools.chain(first, rest))
            return
        with self.held() as threads:
            if threads < 2:
                yield from map(function, itertools.chain(first, rest))
                return
            under_way: deque[Future[Any]] = deque()
            try:
                for block in itertools.chain(first, rest):
                    under_way.append(later(partial(function, block)))
                    if len(under_way) >= threads:
                        yield under_way.popleft().result()
                while under_way:
                    yield under_way.popleft().result()
            finally:
                wait(under_way)  # where this one was left early, or a block failed

    @contextmanager
    def held(self) -> Iterator[int]:
        """Holds BLAS to one thread; gives the number that it has otherwise. May be nested.

        OpenBLAS's threads wait in a loop for the next product, and take a core away for about 100 ms after
        each: held over several calls they sleep.
        """
        threads = self._hold_blas()
        try:
            yield threads
        finally:
            self._release_blas()

    def _shared(self, function: Callable[..., Any], blocks: Sequence[Any], threads: int) -> list[Any]:
        results: list[Any] = [None] * len(blocks)
        turn = itertools.count()

        def work() -> None:
            while (i := next(turn)) < len(blocks):
                results[i] = function(blocks[i])

        together([work] * max(1, threads))
        return results

    def buffer(self, name: str, shape: tuple[int, ...], dtype: Any) -> Array:
        """An array of this thread's that keeps its place from block to block; its entries are left-overs."""
        kept = self._own.__dict__
        size = math.prod(shape) * dtype.itemsize
        if name not in kept or kept[name].nbytes < size:
            kept[name] = np.empty(size, np.uint8)
        return kept[name][:size].view(dtype).reshape(shape)

    # -- BLAS ---------------------------------------------------------------------------------------

    def _hold_blas(self) -> int:
        """Tells BLAS to use one thread; how many it would use otherwise, 1 where it cannot be told."""
        with self._lock:
            if self._blas is None:
                self._blas = _libraries()
            if not self._blas:
                return 1
            if not self._callers:
                self._held = [library.get_num_threads() for library in self._blas]
                for library in self._blas:
                    library.set_num_threads(1)
            self._callers += 1
            return max(self._held)

    def _release_blas(self) -> None:
        with self._lock:
            if not self._blas:
                return
            self._callers -= 1
            if not self._callers:
                for library, threads in zip(self._blas, self._held, strict=True):
                    library.set_num_threads(threads)


def _libraries() -> Sequence[Any]:
    """The BLAS libraries that are loaded, as threadpoolctl's controllers; none without it."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return ()
    found: Sequence[Any] = ThreadpoolController().select(user_api="blas").lib_controllers
    return found


TEAM = Team()
