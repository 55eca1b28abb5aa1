"""Recurrent cells over whole sequences, forward and backward through time, in standard calls.

Samples are columns, so that the gates of a step are contiguous blocks of rows: with the column of what a step
sees, s_t = (h_{t−1}; 1; x_t), one matrix product W s_t gives all gates. :func:`run` keeps the s_t side by
side, (units + 1 + features, steps, n), beside what each cell needs again; :func:`back` gives the gradients by
the gates' arguments in the same layout, and :func:`by_weights` is then one product for all steps.

The functions take the namespace: that of plain arrays, or of traced ones, which differentiates them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

Array = Any


class Past(NamedTuple):
    """What :func:`run` keeps for :func:`back`.

    ``seen`` are the columns s_t; ``saved`` are a cell's own arrays, each ``(steps, rows, n)``.
    """

    seen: Array
    saved: tuple[Array, ...]


def sigmoid(xp: Any, x: Array) -> Array:
    """1/(1 + e⁻ˣ) in the form that nothing overflows in."""
    return xp.tanh(x * 0.5) * 0.5 + 0.5


class SimpleCell:
    """h′ = tanh(W s)."""

    states: ClassVar[int] = 1
    gates: ClassVar[int] = 1

    @staticmethod
    def step(xp: Any, w: Sequence[Array], s: Array, states: Sequence[Array]) -> tuple[Any, Any]:
        """``(new states, saved)`` of one step."""
        h = xp.tanh(w[0] @ s)
        return (h,), (h,)

    @staticmethod
    def back(xp: Any, saved: Sequence[Array], g: Sequence[Array]) -> tuple[Array, Sequence[Any]]:
        """The gradient by W s, and what reaches the states before other than through it (None: nothing)."""
        return g[0] * (1.0 - saved[0] * saved[0]), (None,)


class LstmCell:
    """c′ = σ(f)c + σ(i)tanh(g), h′ = σ(o)tanh(c′), with the gates (i, f, g, o) = W s."""

    states: ClassVar[int] = 2
    gates: ClassVar[int] = 4

    @staticmethod
    def step(xp: Any, w: Sequence[Array], s: Array, states: Sequence[Array]) -> tuple[Any, Any]:
        """As :meth:`SimpleCell.step`."""
        z, c, u = w[0] @ s, states[1], states[1].shape[0]
        i, f, o = sigmoid(xp, z[:u, :]), sigmoid(xp, z[u : 2 * u, :]), sigmoid(xp, z[3 * u :, :])
        g = xp.tanh(z[2 * u : 3 * u, :])
        new = f * c + i * g
        t = xp.tanh(new)
        return (o * t, new), (i, f, g, o, c, t)

    @staticmethod
    def back(xp: Any, saved: Sequence[Array], g: Sequence[Array]) -> tuple[Array, Sequence[Any]]:
        """As :meth:`SimpleCell.back`."""
        i, f, new, o, c, t = saved
        by_h, by_c = g
        by_c = by_c + by_h * o * (1.0 - t * t)
        by_i, by_f = by_c * new * i * (1.0 - i), by_c * c * f * (1.0 - f)
        by_new, by_o = by_c * i * (1.0 - new * new), by_h * t * o * (1.0 - o)
        return xp.concat([by_i, by_f, by_new, by_o], axis=0), (None, by_c * f)


class GruCell:
    """h′ = σ(z)h + (1 − σ(z))tanh(a + σ(r)b); b of h, a of x alone, both with a bias (reset_after).

    The rows of its gates are (b, z, r, a): those that see h are side by side, and so are those that see x.
    """

    states: ClassVar[int] = 1
    gates: ClassVar[int] = 3

    @staticmethod
    def step(xp: Any, w: Sequence[Array], s: Array, states: Sequence[Array]) -> tuple[Any, Any]:
        """As :meth:`SimpleCell.step`."""
        of_h, of_both, of_x = w
        h, u = states[0], states[0].shape[0]
        b, zr = of_h @ s[: u + 1, :], sigmoid(xp, of_both @ s)
        z, r = zr[:u, :], zr[u:, :]
        new = xp.tanh(of_x @ s[u:, :] + r * b)
        return (new + z * (h - new),), (h, b, z, r, new)

    @staticmethod
    def back(xp: Any, saved: Sequence[Array], g: Sequence[Array]) -> tuple[Array, Sequence[Any]]:
        """As :meth:`SimpleCell.back`."""
        h, b, z, r, new = saved
        by_a = g[0] * (1.0 - z) * (1.0 - new * new)
        by_z, by_r = g[0] * (h - new) * z * (1.0 - z), by_a * b * r * (1.0 - r)
        return xp.concat([by_a * r, by_z, by_r, by_a], axis=0), (g[0] * z,)


CELLS: dict[str, Any] = {"simple_rnn": SimpleCell, "lstm": LstmCell, "gru": GruCell}


def joined(xp: Any, name: str, kernel: Array, recurrent: Array, bias: Array) -> tuple[Array, ...]:
    """The matrices W that the columns s are multiplied by."""
    if name != "gru":
        return (xp.concat([recurrent, bias[None, :], kernel], axis=0).T,)
    u = recurrent.shape[0]
    both = slice(0, 2 * u)
    of_input, of_state = bias[0, :], bias[1, :]
    of_both = xp.concat([recurrent[:, both], (of_input + of_state)[None, both], kernel[:, both]], axis=0)
    of_h = xp.concat([recurrent[:, 2 * u :], of_state[None, 2 * u :]], axis=0)
    of_x = xp.concat([of_input[None, 2 * u :], kernel[:, 2 * u :]], axis=0)
    return of_h.T, of_both.T, of_x.T


def state_rows(xp: Any, name: str, recurrent: Array) -> Array:
    """The recurrent kernel with its columns in the order of the gates' rows."""
    if name != "gru":
        return recurrent
    u = recurrent.shape[0]
    return xp.concat([recurrent[:, 2 * u :], recurrent[:, : 2 * u]], axis=1)


def run(
    xp: Any, name: str, x: Array, states: Sequence[Array], weights: Sequence[Array], mask: Array | None
) -> tuple[tuple[Array, ...], Past]:
    """``((all h, last states...), past)`` of the cell called ``name``.

    Shapes: x (n, steps, features), states (n, units), mask (n, steps) → all h (n, steps, units).
    """
    cell, (kernel, recurrent, bias) = CELLS[name], weights
    w = joined(xp, name, kernel, recurrent, bias)
    columns, now = xp.permute_dims(x, (2, 1, 0)), tuple(xp.matrix_transpose(s) for s in states)
    one = xp.ones_like(now[0][:1, :])
    seen, kept, hs = [], [], []
    for t in range(x.shape[1]):
        s = xp.concat([now[0], one, columns[:, t, :]], axis=0)
        new, saved = cell.step(xp, w, s, now)
        if mask is not None:
            new = tuple(xp.where(mask[:, t], a, b) for a, b in zip(new, now, strict=True))
        now = new
        seen.append(s)
        kept.append(saved)
        hs.append(xp.matrix_transpose(now[0]))
    past = Past(xp.stack(seen, axis=1), tuple(xp.stack(list(a)) for a in zip(*kept, strict=True)))
    return (xp.stack(hs, axis=1), *(xp.matrix_transpose(s) for s in now)), past


def back(
    xp: Any, name: str, recurrent: Array, mask: Array | None, past: Past, gs: Sequence[Array | None]
) -> tuple[Array, tuple[Array, ...]]:
    """``(by_gates, by_states)``: the gradients by W s_t, (rows, steps, n), and the first states, (n, units).

    ``gs`` are those by what :func:`run` gives, None where there is none.
    """
    cell, units = CELLS[name], recurrent.shape[0]
    rows, wide = state_rows(xp, name, recurrent), cell.gates * units
    by_all, *by_last = gs
    zeros = xp.zeros_like(past.seen[:units, 0, :])
    g = [zeros if by is None else xp.matrix_transpose(by) for by in by_last]
    found = []
    for t in reversed(range(past.seen.shape[1])):
        if by_all is not None:
            g[0] = g[0] + xp.matrix_transpose(by_all[:, t, :])
        by_gates, direct = cell.back(xp, [a[t, ...] for a in past.saved], g)
        if mask is not None:
            by_gates = xp.where(mask[:, t], by_gates, 0.0)
        through = rows @ by_gates[:wide, :]
        before = [through if direct[0] is None else through + direct[0], *direct[1:]]
        if mask is not None:
            before = [xp.where(mask[:, t], a, b) for a, b in zip(before, g, strict=True)]
        g = before
        found.append(by_gates)
    found.reverse()
    return xp.stack(found, axis=1), tuple(xp.matrix_transpose(a) for a in g)


def by_weights(
    xp: Any, name: str, seen: Array, by_gates: Array, units: int, each: bool = False
) -> tuple[Array, Array, Array]:
    """The gradients by kernel, recurrent kernel, bias; with ``each`` those of every sample, (n, *shape)."""

    def product(a: Array, b: Array) -> Array:
        if each:
            return xp.permute_dims(a, (2, 0, 1)) @ xp.permute_dims(b, (2, 1, 0))
        return xp.reshape(a, (a.shape[0], -1)) @ xp.reshape(b, (b.shape[0], -1)).T

    u = units
    if name != "gru":
        g = product(seen, by_gates)
        return g[..., u + 1 :, :], g[..., :u, :], g[..., u, :]
    of_state = product(seen[: u + 1, ...], by_gates[: 3 * u, ...])
    of_input = product(seen[u:, ...], by_gates[u:, ...])
    of_state = xp.concat([of_state[..., u:], of_state[..., :u]], axis=-1)
    bias = xp.stack([of_input[..., 0, :], of_state[..., u, :]], axis=-2)
    return of_input[..., 1:, :], of_state[..., :u, :], bias


def by_input(xp: Any, kernel: Array, by_gates: Array) -> Array:
    """The gradient by x, (n, steps, features)."""
    rows = by_gates[by_gates.shape[0] - kernel.shape[1] :, ...]  # of the GRU's those that see x
    flat = kernel @ xp.reshape(rows, (rows.shape[0], -1))
    return xp.permute_dims(xp.reshape(flat, (kernel.shape[0], *rows.shape[1:])), (2, 1, 0))


def gradients(
    xp: Any,
    name: str,
    kernel: Array,
    recurrent: Array,
    seen: Array,
    by_gates: Array,
    by_states: tuple[Array, ...],
    needs: tuple[bool, bool],
) -> tuple[Any, tuple[Array, ...], tuple[Any, ...]]:
    """The gradients by x, by the states and by the weights; ``needs``: that by x, those by the weights."""
    by_x = by_input(xp, kernel, by_gates) if needs[0] else None
    if not needs[1]:
        return by_x, by_states, (None, None, None)
    return by_x, by_states, by_weights(xp, name, seen, by_gates, recurrent.shape[0])


class Recurrence:
    """What an adapter does for recurrent layers; here in standard calls."""

    xp: Any

    def recurrence(
        self,
        name: str,
        x: Array,
        states: Sequence[Array],
        weights: Sequence[Array],
        mask: Array | None = None,
        sequences: bool = True,
        keep: bool = True,
        together: bool = True,
    ) -> tuple[tuple[Any, ...], Past | None]:
        """``((all h, last states...), past)`` of a recurrent cell: see :func:`nnx.backend.recurrent.run`.

        ``name`` is "simple_rnn", "lstm" or "gru"; ``weights`` are kernel, recurrent kernel, bias. All h may
        be None without ``sequences``, and ``past``, which :meth:`recurrence_back` takes, without ``keep``.
        Without ``together`` it may be in pieces, which only :meth:`recurrence_pullback` takes.
        """
        return run(self.xp, name, x, states, weights, mask)

    def recurrence_back(
        self,
        name: str,
        recurrent_kernel: Array,
        mask: Array | None,
        past: Past,
        gs: Sequence[Array | None],
    ) -> tuple[Array, tuple[Array, ...]]:
        """The gradients by the gates' arguments and by the first states.

        ``gs`` are those by what :meth:`recurrence` gives: see :func:`nnx.backend.recurrent.back`.
        """
        return back(self.xp, name, recurrent_kernel, mask, past, gs)

    def recurrence_pullback(
        self,
        name: str,
        kernel: Array,
        recurrent_kernel: Array,
        mask: Array | None,
        past: Past,
        gs: Sequence[Array | None],
        needs: tuple[bool, bool] = (True, True),
    ) -> tuple[Any, tuple[Array, ...], tuple[Any, ...]]:
        """The gradients by x, by the first states, and by kernel, recurrent kernel and bias.

        ``needs``: whether that by x is asked for, and those by the weights; None where not.
        """
        by_gates, by_states = self.recurrence_back(name, recurrent_kernel, mask, past, gs)
        return gradients(self.xp, name, kernel, recurrent_kernel, past.seen, by_gates, by_states, needs)
