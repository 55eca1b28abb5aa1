"""Recurrent cells over whole sequences in NumPy: what :mod:`nnx.backend.recurrent` says, without copies.

A step's gates are one matrix product into their place, and all elementwise work is done in place on
contiguous rows (:mod:`nnx.backend.numpy_steps`). Samples are shared out among threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnx.backend.memory import reused
from nnx.backend.numpy_steps import BACK, FORWARD, loops
from nnx.backend.recurrent import Array, Past, by_input, by_weights, joined, state_rows
from nnx.backend.team import TEAM

#: Samples are shared out among threads from so many multiplications on, and each gets so many samples.
_WORTH_SHARING, _FEWEST = 1 << 24, 32
#: Bytes of the gradients by gates that stay in the cache.
_CACHED = 1 << 20


def run(
    name: str,
    x: Array,
    states: Sequence[Array],
    weights: Sequence[Array],
    mask: Array | None,
    sequences: bool,
    keep: bool,
    together: bool = True,
) -> tuple[tuple[Any, ...], Past | None]:
    """As :func:`nnx.backend.recurrent.run`; all h for ``sequences``, and what is kept for ``keep``, only.

    Samples may be shared out among threads, unless ``together`` asks for what is kept in one piece.
    """
    every = None
    if sequences:
        kind = np.result_type(x, *weights, *states)
        every = np.empty((*x.shape[:2], states[0].shape[1]), kind)

    def part(own: slice) -> tuple[list[Array], Past | None]:
        some = None if mask is None else mask[own]
        out = None if every is None else every[own]
        return _run(name, x[own], [s[own] for s in states], weights, some, out, keep)

    found = _shared(part, x, weights[1], together)
    ends = (_joined(pieces) for pieces in zip(*(last for last, _ in found), strict=True))
    if not keep:
        return (every, *ends), None
    seen, *saved = (array for _, past in found if past for array in (past.seen, *past.saved))
    return (every, *ends), Past(seen, tuple(saved))


def _shared(part: Callable[[slice], Any], x: Array, recurrent: Array, together: bool) -> list[Any]:
    """What ``part`` gives of slices of the samples, each done by one thread with one of BLAS."""
    n, steps, features = x.shape
    units, wide = recurrent.shape
    most = 1 if together or n * steps * wide * (units + features) < _WORTH_SHARING else n // _FEWEST
    if most <= 1:
        return [part(slice(0, n))]
    with TEAM.held() as threads:
        count = min(threads, most)
        return TEAM.run(part, [slice(n * k // count, n * (k + 1) // count) for k in range(count)])


def _joined(pieces: Sequence[Array]) -> Array:
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


def _parts(name: str, past: Past) -> list[Past]:
    """What was kept of each slice of the samples."""
    arrays, size = (past.seen, *past.saved), 4 if name == "lstm" else 2
    return [Past(a, tuple(rest)) for a, *rest in (arrays[k : k + size] for k in range(0, len(arrays), size))]


def _run(
    name: str,
    x: Array,
    states: Sequence[Array],
    weights: Sequence[Array],
    mask: Array | None,
    every: Array | None,
    keep: bool,
) -> tuple[list[Array], Past | None]:
    """``(last states, past)``; all h come into ``every``."""
    n, steps, _ = x.shape
    u, kind = states[0].shape[1], np.result_type(x, *weights, *states)
    seen = reused((u + 1 + x.shape[2], steps, n), kind)
    seen[u], seen[u + 1 :] = 1.0, x.transpose(2, 1, 0)
    seen[:u, 0] = states[0].T
    last = np.empty((u, n), kind)
    w = [m.astype(kind, copy=False) for m in joined(np, name, *weights)]  # new arrays, transposed
    step, saved = FORWARD[name](w, seen, states, keep, loops(seen[:u].size))
    left = None if mask is None else np.ascontiguousarray(~mask.T)
    for t in range(steps):
        h = seen[:u, t + 1] if t + 1 < steps else last
        step(t, seen[:, t], h)
        if left is not None:
            np.copyto(h, seen[:u, t], where=left[t])
            if name == "lstm":
                cells = saved[1]
                np.copyto(cells[t + 1], cells[t], where=left[t])
    if every is not None:
        every[:, :-1], every[:, -1] = seen[:u, 1:].transpose(2, 1, 0), last.T
    ends = [last.T.copy()] if name != "lstm" else [last.T.copy(), saved[1][steps].T.copy()]
    return ends, Past(seen, (last,) if name == "simple_rnn" else saved) if keep else None


def pullback(
    name: str,
    kernel: Array,
    recurrent: Array,
    mask: Array | None,
    past: Past,
    gs: Sequence[Array | None],
    needs: tuple[bool, bool],
) -> tuple[Any, tuple[Array, ...], tuple[Any, ...]]:
    """As :meth:`nnx.backend.recurrent.Recurrence.recurrence_pullback`.

    The gradients by the gates are used a few steps at a time, as long as they are in the cache.
    """
    kept, ends = _parts(name, past), [0]
    for one in kept:
        ends.append(ends[-1] + one.seen.shape[2])
    kind, shape = past.seen.dtype, (ends[-1], past.seen.shape[1], kernel.shape[0])
    by_x = np.empty(shape, kind) if needs[0] else None

    def part(k: int) -> tuple[tuple[Array, ...], Sequence[Array]]:
        own, seen = slice(ends[k], ends[k + 1]), kept[k].seen
        total: list[Array] = []

        def take(start: int, by_gates: Array) -> None:
            steps = slice(start, start + by_gates.shape[1])
            if by_x is not None:
                by_x[own, steps] = by_input(np, kernel, by_gates)
            if needs[1]:
                found = by_weights(np, name, seen[:, steps], by_gates, recurrent.shape[0])
                for a, b in zip(total, found, strict=False):
                    a += b
                total.extend(found[len(total) :])

        some = None if mask is None else mask[own]
        mine = [None if g is None else g[own] for g in gs]
        size = max(1, _CACHED // (recurrent.shape[1] * seen.shape[2] * kind.itemsize))
        return _back(name, recurrent, some, kept[k], mine, size, take), total

    found = [part(0)] if len(kept) == 1 else TEAM.run(part, range(len(kept)))
    by_states, weights = zip(*found, strict=True)
    together = tuple(np.add.reduce(pieces) for pieces in zip(*weights, strict=True))
    return by_x, tuple(map(_joined, zip(*by_states, strict=True))), together or (None, None, None)


def back(
    name: str, recurrent: Array, mask: Array | None, past: Past, gs: Sequence[Array | None]
) -> tuple[Array, tuple[Array, ...]]:
    """As :func:`nnx.backend.recurrent.back`, for what was kept in one piece."""
    found: list[Array] = []

    def take(start: int, by_gates: Array) -> None:
        found.append(by_gates)

    by_states = _back(name, recurrent, mask, past, gs, past.seen.shape[1], take)
    return found[0], by_states


def _back(
    name: str,
    recurrent: Array,
    mask: Array | None,
    past: Past,
    gs: Sequence[Array | None],
    size: int,
    take: Callable[[int, Array], None],
) -> tuple[Array, ...]:
    """The gradients by the states; ``take(first step, by gates)`` gets those by the gates of ``size`` steps.

    The array that it gets is overwritten afterwards.
    """
    seen, u = past.seen, recurrent.shape[0]
    _, steps, n = seen.shape
    by_all, *by_last = gs
    g = [np.zeros((u, n), seen.dtype) if by is None else np.array(by.T, order="C") for by in by_last]
    rows = np.ascontiguousarray(state_rows(np, name, recurrent), seen.dtype)
    step, blocks = BACK[name](past, loops(seen[:u].size)), 4 if name != "simple_rnn" else 1
    own, new = np.empty((blocks * u, n), seen.dtype), np.empty((u, n), seen.dtype)
    found = reused((blocks * u, min(size, steps), n), seen.dtype)
    left = None if mask is None else np.ascontiguousarray(~mask.T)
    for t in reversed(range(steps)):
        if by_all is not None:
            g[0] += by_all[:, t].T
        before = [] if left is None else [a.copy() for a in g]
        step(t, own, g)  # of g[0] it makes what reaches h directly, of g[1] what reaches c
        if left is not None:
            np.copyto(own, 0.0, where=left[t])
        found[:, t % size] = own
        np.matmul(rows, own[: rows.shape[1]], out=new)
        if name == "gru":
            new += g[0]
        g[0], new = new, g[0]
        if left is not None:
            for a, b in zip(g, before, strict=True):
                np.copyto(a, b, where=left[t])
        if t % size == 0:
            take(t, found[:, : min(size, steps - t)])
    return tuple(a.T for a in g)
