"""Work on parts of arrays, spread over the cores in threads of this process.

NumPy's functions on large arrays, and loops compiled with ``nogil``, leave the interpreter to other threads.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from itertools import pairwise
from typing import Any

#: Threads come as they are needed, up to this number.
_MOST = 64
_state: dict[str, Executor] = {}
_lock = threading.Lock()


def cores() -> int:
    """How many threads work may take: ``OMP_NUM_THREADS`` if that is set, else the cores of this process."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    if said.isdigit() and int(said) > 0:
        return int(said)
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def spread(work: Callable[[int, int], None], n: int, most: int) -> None:
    """Calls ``work(a, b)`` for ranges that together are 0 … n, in at most ``most`` threads at a time."""
    parts = max(1, min(cores(), most, n))
    ranges = pairwise(n * k // parts for k in range(parts + 1))
    together([partial(work, a, b) for a, b in ranges])


def together(tasks: Sequence[Callable[[], None]]) -> None:
    """Calls every task in a thread of its own, the first in the calling one, with its context.

    An error in one of them is raised here, after all ended.
    """
    own, *rest = tasks
    others = [later(task) for task in rest]
    try:
        own()
    finally:
        errors = [future.exception() for future in others]
    for error in errors:
        if error is not None:
            raise error


def later(task: Callable[[], Any]) -> Future[Any]:
    """The result of ``task``, which another thread computes in the context of this one."""
    return _executor().submit(copy_context().run, task)


def _executor() -> Executor:
    with _lock:
        if "pool" not in _state:
            _state["pool"] = ThreadPoolExecutor(_MOST, thread_name_prefix="nnx")
        return _state["pool"]


def _after_fork() -> None:
    """A forked process has none of its parent's threads."""
    global _lock
    _state.clear()
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
