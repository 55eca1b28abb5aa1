"""Memory for NumPy arrays that is used again: fresh memory costs a page fault for every 4 kB."""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

#: Blocks of these sizes in bytes are kept, the last so many of each thread; smaller ones the allocator keeps.
_SMALLEST, _LARGEST, _MOST = 1 << 16, 1 << 25, 12


class _Blocks(threading.local):
    def __init__(self) -> None:
        self.kept: list[np.ndarray] = []


_blocks = _Blocks()


def _holders(kept: list[np.ndarray], k: int) -> int:
    return sys.getrefcount(kept[k])


#: what :func:`_holders` says of a block that nobody but the list refers to
_NOBODY = _holders([np.empty(1)], 0)


def reused(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """An empty array, of memory that no earlier array of this thread needs any more.

    Views refer to the block of memory that they are views of. So a block that only the list of blocks refers
    to is free, and one that somebody still has an array of is not touched.

    >>> from nnx.backend.memory import reused
    >>> first = reused((200, 200), "float64")
    >>> second = reused((200, 200), "float64")
    >>> np.shares_memory(first, second)
    False
    """
    kind = np.dtype(dtype)
    size = math.prod(shape) * kind.itemsize
    if not _SMALLEST <= size <= _LARGEST:
        return np.empty(tuple(shape), kind)
    kept = _blocks.kept
    for k in range(len(kept)):
        if size <= kept[k].nbytes < 2 * size and _holders(kept, k) <= _NOBODY:
            kept.append(kept.pop(k))  # the last one to be given up
            break
    else:
        kept.append(np.empty(size, np.uint8))
        del kept[:-_MOST]
    return kept[-1][:size].view(kind).reshape(tuple(shape))
