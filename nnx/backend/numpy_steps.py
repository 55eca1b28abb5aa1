"""The steps of recurrent cells in NumPy: in place, on contiguous blocks of (units, n).

A sigmoid is computed as a tanh, so that one call serves all gates: the rows of W that belong to sigmoids are
halved beforehand.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from nnx.backend.loops import compiled
from nnx.backend.memory import reused
from nnx.backend.recurrent import Array, Past

#: From this many entries of all states on, loops compiled by Numba (if installed) repay its import.
_WORTH_COMPILING = 1 << 16


class Loops(NamedTuple):
    """The elementwise part of a step, on contiguous arrays of (units, n) or blocks of these."""

    lstm: Callable[..., None]
    lstm_back: Callable[..., None]
    gru: Callable[..., None]
    gru_back: Callable[..., None]


def _simple(w: Any, seen: Array, states: Any, keep: bool, loops: Loops) -> tuple[Any, Any]:
    z = np.empty((states[0].shape[1], seen.shape[2]), seen.dtype)

    def step(t: int, s: Array, h: Array) -> None:
        np.tanh(np.matmul(w[0], s, out=z), out=h)

    return step, ()


def _simple_back(past: Past, loops: Loops) -> Any:
    seen, (last,) = past.seen, past.saved
    u, steps = last.shape[0], seen.shape[1]

    def step(t: int, own: Array, g: Any) -> None:
        h = seen[:u, t + 1] if t + 1 < steps else last
        np.multiply(h, h, out=own)
        np.subtract(1.0, own, out=own)
        own *= g[0]

    return step


def _places(keep: bool, steps: int, *shape: int, kind: Any) -> Any:
    """For each step an array of that shape: side by side if they are kept, else one and the same."""
    if keep:
        return reused((steps, *shape), kind)
    return [np.empty(shape, kind)] * steps


def _lstm(w: Any, seen: Array, states: Any, keep: bool, loops: Loops) -> tuple[Any, Any]:
    (of_all,), u = w, states[0].shape[1]
    _, steps, n = seen.shape
    of_all[: 2 * u] *= 0.5
    of_all[3 * u :] *= 0.5
    gates = _places(keep, steps, 4, u, n, kind=seen.dtype)
    ends = _places(keep, steps, u, n, kind=seen.dtype)
    cells = _places(keep, steps + 1, u, n, kind=seen.dtype)
    if not keep:
        cells = [cells[0], np.empty_like(cells[0])] * (steps // 2 + 1)
    cells[0][...] = states[1].T
    flat = [z.reshape(4 * u, n) for z in gates]

    def step(t: int, s: Array, h: Array) -> None:
        np.matmul(of_all, s, out=flat[t])
        np.tanh(flat[t], out=flat[t])
        loops.lstm(gates[t], cells[t], cells[t + 1])
        np.tanh(cells[t + 1], out=ends[t])
        np.multiply(gates[t][3], ends[t], out=h)

    return step, (gates, cells, ends)


def _lstm_back(past: Past, loops: Loops) -> Any:
    gates, cells, ends = past.saved

    def step(t: int, own: Array, g: Any) -> None:
        loops.lstm_back(gates[t], cells[t], ends[t], g[0], g[1], own.reshape(gates[t].shape))

    return step


def _gru(w: Any, seen: Array, states: Any, keep: bool, loops: Loops) -> tuple[Any, Any]:
    of_h, of_both, of_x = w
    u = states[0].shape[1]
    _, steps, n = seen.shape
    of_both *= 0.5
    by_x = (of_x @ seen[u:].reshape(-1, steps * n)).reshape(u, steps, n)
    blocks = _places(keep, steps, 4, u, n, kind=seen.dtype)  # b, z, r, new
    flat = [a.reshape(4 * u, n) for a in blocks]

    def step(t: int, s: Array, h: Array) -> None:
        four = flat[t]
        np.matmul(of_h, s[: u + 1], out=four[:u])
        np.matmul(of_both, s, out=four[u : 3 * u])
        np.tanh(four[u : 3 * u], out=four[u : 3 * u])
        new = four[3 * u :]
        new[...] = by_x[:, t]
        loops.gru(blocks[t])
        np.tanh(new, out=new)
        np.subtract(s[:u], new, out=h)  # h = new + z(h − new)
        h *= blocks[t][1]
        h += new

    return step, (blocks,)


def _gru_back(past: Past, loops: Loops) -> Any:
    (blocks,), seen = past.saved, past.seen
    u = blocks.shape[2]

    def step(t: int, own: Array, g: Any) -> None:
        h = np.ascontiguousarray(seen[:u, t])
        loops.gru_back(blocks[t], h, g[0], own.reshape(blocks[t].shape))

    return step


FORWARD = {"simple_rnn": _simple, "lstm": _lstm, "gru": _gru}
BACK = {"simple_rnn": _simple_back, "lstm": _lstm_back, "gru": _gru_back}


# -- the elementwise part, in NumPy ---------------------------------------------------------------------


def _lstm_gates(z: Array, c: Array, new: Array) -> None:
    """σ out of tanh for i, f and o in ``z`` = (i, f, g, o); ``new`` becomes f·c + i·g."""
    for part in (z[:2], z[3]):
        part *= 0.5
        part += 0.5
    np.multiply(z[1], c, out=new)
    new += z[0] * z[2]


def _lstm_gates_back(z: Array, c: Array, end: Array, by_h: Array, by_c: Array, own: Array) -> None:
    """The gradients by the gates' arguments into ``own``; ``by_c`` becomes that by the c before."""
    (i, f, new, o), (by_i, by_f, by_new, by_o) = z, own
    np.multiply(end, end, out=by_o)  # by c′: what arrives, and o(1 − tanh²c′) times that by h′
    np.subtract(1.0, by_o, out=by_o)
    by_o *= o
    by_o *= by_h
    by_c += by_o
    np.subtract(1.0, z[:2], out=own[:2])
    own[:2] *= z[:2]
    own[:2] *= by_c
    by_i *= new
    by_f *= c
    np.multiply(new, new, out=by_new)
    np.subtract(1.0, by_new, out=by_new)
    by_new *= i
    by_new *= by_c
    np.subtract(1.0, o, out=by_o)
    by_o *= o
    by_o *= end
    by_o *= by_h
    by_c *= f


def _gru_gates(four: Array) -> None:
    """σ out of tanh for z and r in ``four`` = (b, z, r, a); the last becomes a + r·b."""
    b, _, r, new = four
    four[1:3] *= 0.5
    four[1:3] += 0.5
    new += r * b


def _gru_gates_back(four: Array, h: Array, by_h: Array, own: Array) -> None:
    """The gradients by (b, z, r, a) into ``own``; ``by_h`` becomes what reaches the h before directly."""
    (b, z, r, new), (by_b, by_z, by_r, by_a) = four, own
    np.subtract(1.0, four[1:3], out=own[1:3])
    by_r *= r
    np.multiply(new, new, out=by_a)
    np.subtract(1.0, by_a, out=by_a)
    by_a *= by_z  # 1 − z so far
    by_a *= by_h
    by_z *= z
    by_z *= by_h
    np.subtract(h, new, out=by_b)
    by_z *= by_b
    by_r *= b
    by_r *= by_a
    np.multiply(by_a, r, out=by_b)
    by_h *= z


_PLAIN = Loops(_lstm_gates, _lstm_gates_back, _gru_gates, _gru_gates_back)


def loops(entries: int) -> Loops:
    """The fastest ones for so many entries of all states."""
    return (_compiled() if entries >= _WORTH_COMPILING else None) or _PLAIN


@cache
def _compiled() -> Loops | None:
    found = compiled("recurrent")
    return found and Loops(*found.LOOPS)
