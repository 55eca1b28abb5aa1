"""Recurrent functions of whole sequences: each one fused function, with a pass back through time.

The first derivative is the pass back that :mod:`nnx.backend.recurrent` writes out. Derivatives of it are
those of the plain body, step by step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from nnx.autodiff import fused, jvp, vjp
from nnx.autodiff.array import is_traced
from nnx.backend import adapter_of, device_of, namespace, recurrent
from nnx.errors import ShapeError
from nnx.layers.per_sample import Gradients

Array = Any


class Cell(NamedTuple):
    """A cell that has a fused function: its name, the numbers of its states and gates, and the function."""

    name: str
    states: int
    gates: int
    function: Callable[..., tuple[Array, ...]]


def _split(args: Sequence[Any]) -> tuple[Any, Sequence[Any], Sequence[Any], Any]:
    """X, states, weights and mask out of the arguments of a fused function."""
    x, *states, kernel, recurrent_kernel, bias, mask = args
    return x, states, (kernel, recurrent_kernel, bias), mask


def _plain(name: str, args: Sequence[Any], sequences: bool, keep: bool = True) -> tuple[Array, ...]:
    """The cell's results: all h (with ``sequences``), the last states, and with ``keep`` what it keeps."""
    x, states, weights, mask = _split(args)
    results: tuple[Any, ...]
    past: recurrent.Past | None
    if is_traced(tuple(args)):
        results, past = recurrent.run(namespace(*args[:-1]), name, x, states, weights, mask)
    else:
        results, past = adapter_of(*args).recurrence(name, x, states, weights, mask, sequences, keep, False)
    kept = (past.seen, *past.saved) if keep and past is not None else ()
    return (*results[0 if sequences else 1 :], *kept)


def _fused(name: str, states: int, gates: int) -> Cell:
    """The cell called ``name`` with its fused function ``(x, *states, *weights, mask, sequences=)``."""

    def results(sequences: bool) -> int:
        return states + sequences

    def reverse(xp: Any, gs: Any, needs: Any, ys: Any, *args: Any, sequences: bool) -> tuple[Any, ...]:
        n = results(sequences)
        # Of cotangents that alone are mapped over the library cannot read what that of the arguments kept.
        if is_traced((*gs, *args)) or xp.adapter is not adapter_of(*args):
            return traced_reverse(gs[:n], needs, args, sequences)
        _, _, (kernel, recurrent_kernel, _), mask = _split(args)
        past = recurrent.Past(ys[n], tuple(ys[n + 1 :]))
        own = gs[:n] if sequences else (None, *gs[:n])
        asked = needs[0] is not False, any(need is not False for need in needs[states + 1 : states + 4])
        by_x, by_states, by_weights = xp.adapter.recurrence_pullback(
            name, kernel, recurrent_kernel, mask, past, own, asked
        )
        return (by_x, *by_states, *by_weights, None)

    def traced_reverse(gs: Any, needs: Any, args: Any, sequences: bool) -> tuple[Any, ...]:
        # A derivative of the pullback. It goes through the arguments alone, nothing that was kept is read:
        # so kept results need no cotangents and no tangents.
        there = [k for k, g in enumerate(gs) if g is not None]
        own = [i for i, need in enumerate(needs) if need is not False]

        def body(*some: Any) -> list[Any]:
            ys = _plain(name, _replaced(args, own, some), sequences)
            return [ys[k] for k in there]

        found = dict(zip(own, vjp(body, *(args[i] for i in own))[1]([gs[k] for k in there]), strict=True))
        return tuple(found.get(i) for i in range(len(args)))

    def forward(xp: Any, tangents: Any, ys: Any, *args: Any, sequences: bool) -> tuple[Any, ...]:
        n, own = results(sequences), [i for i, t in enumerate(tangents) if t is not None]

        def body(*some: Any) -> tuple[Any, ...]:
            return _plain(name, _replaced(args, own, some), sequences)[:n]

        moved = jvp(body, tuple(args[i] for i in own), tuple(tangents[i] for i in own))[1]
        return (*moved, *(xp.zeros_like(y) for y in ys[n:]))

    def plain(*args: Any, sequences: bool) -> tuple[Array, ...]:
        return _plain(name, args, sequences)

    plain.__name__ = name
    return Cell(name, states, gates, fused(reverse=reverse, forward=forward, several=True)(plain))


def _replaced(args: Sequence[Any], places: Sequence[int], by: Sequence[Any]) -> list[Any]:
    new = list(args)
    for i, x in zip(places, by, strict=True):
        new[i] = x
    return new


SIMPLE, LSTM, GRU = _fused("simple_rnn", 1, 1), _fused("lstm", 2, 4), _fused("gru", 1, 3)


def over(
    cell: Cell,
    x: Array,
    states: Sequence[Array],
    weights: Sequence[Array],
    mask: Array | None = None,
    sequences: bool = False,
) -> tuple[Array, ...]:
    """``(all h or the last h, last states...)`` of a cell over sequences ``x``."""
    args = (x, *states, *weights, mask)
    if is_traced(args):
        found = cell.function(*args, sequences=sequences)[: cell.states + sequences]
    else:
        found = _plain(cell.name, args, sequences, keep=False)
    return found if sequences else (found[0], *found)


def each_sample(
    cell: Cell, x: Array, states: Sequence[Array], weights: Sequence[Array], mask: Array | None = None
) -> tuple[tuple[Array, ...], Callable[[Sequence[Array | None]], tuple[Any, Any, Gradients]]]:
    """``(results, back)``: all h and the last states, and the pullback sample by sample.

    ``back`` of the gradients by the results (None where there is none) gives that by x, those by the states,
    and for a slice of the samples each one's by kernel, recurrent kernel and bias.
    """
    adapter, (kernel, recurrent_kernel, _) = adapter_of(x), weights
    xp, units = namespace(x), recurrent_kernel.shape[0]
    results, past = adapter.recurrence(cell.name, x, states, weights, mask)

    assert past is not None  # it was asked for

    def back(gs: Sequence[Array | None]) -> tuple[Any, Any, Gradients]:
        by_gates, by_states = adapter.recurrence_back(cell.name, recurrent_kernel, mask, past, gs)

        def gradients(part: slice) -> dict[str, Array]:
            seen, gates = past.seen[..., part], by_gates[..., part]
            names = ("kernel", "recurrent_kernel", "bias")
            found = recurrent.by_weights(xp, cell.name, seen, gates, units, each=True)
            return dict(zip(names, found, strict=True))

        return recurrent.by_input(xp, kernel, by_gates), by_states, gradients

    return results, back


# -- the functions ------------------------------------------------------------------------------------


def simple_rnn(
    x: Array,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array | None = None,
    initial_state: Array | None = None,
    mask: Array | None = None,
    *,
    return_sequences: bool = False,
) -> tuple[Array, Array]:
    """``(y, h)`` of the plain recurrence h_t = tanh(x_t·K + h_{t−1}·R + b) over sequences.

    y is the last h, with ``return_sequences`` all of them, (n, steps, units). A step at which ``mask``,
    (n, steps) of bools, is False leaves the state as it is. Shapes: x (n, steps, features), kernel K
    (features, units), recurrent kernel R (units, units), bias (units,), initial state (n, units), zeros if it
    is not given. Raises :class:`nnx.errors.ShapeError` for arrays that do not fit.
    Source: J. L. Elman, Cognitive Science 14 (1990) 179; Keras' ``SimpleRNN``.

    >>> one = np.ones((1, 1))
    >>> nnx.layers.simple_rnn(np.zeros((1, 2, 1)), one, one, initial_state=one)[0].round(3)
    array([[0.642]])
    """
    states = None if initial_state is None else (initial_state,)
    return _call(SIMPLE, x, (kernel, recurrent_kernel, bias), states, mask, return_sequences)


def lstm(
    x: Array,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array | None = None,
    initial_state: Sequence[Array] | None = None,
    mask: Array | None = None,
    *,
    return_sequences: bool = False,
) -> tuple[Array, Array, Array]:
    """``(y, h, c)`` of the LSTM c_t = f∘c_{t−1} + i∘g, h_t = o∘tanh(c_t) over sequences.

    The gates are i, f, o = σ(·) and g = tanh(·) of the four blocks (i, f, g, o) of x_t·K + h_{t−1}·R + b. y
    is the last h, with ``return_sequences`` all of them, (n, steps, units). A step at which ``mask``,
    (n, steps) of bools, is False leaves the states as they are. Shapes: x (n, steps, features), kernel K
    (features, 4·units), recurrent kernel R (units, 4·units), bias (4·units,), initial state (h, c) of
    (n, units) each, zeros if it is not given.
    Raises :class:`nnx.errors.ShapeError` for arrays that do not fit.
    Source: F. A. Gers, J. Schmidhuber, F. Cummins, Neural Computation 12 (2000) 2451; Keras' ``LSTM``.

    >>> y, h, c = nnx.layers.lstm(np.ones((1, 3, 1)), np.ones((1, 4)), np.zeros((1, 4)))
    >>> y.round(3), c.round(3)
    (array([[0.622]]), array([[1.261]]))
    """
    return _call(LSTM, x, (kernel, recurrent_kernel, bias), initial_state, mask, return_sequences)


def gru(
    x: Array,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array | None = None,
    initial_state: Array | None = None,
    mask: Array | None = None,
    *,
    return_sequences: bool = False,
) -> tuple[Array, Array]:
    """``(y, h)`` of the GRU h_t = z∘h_{t−1} + (1 − z)∘tanh(a + r∘b) over sequences.

    With the three blocks (z, r, a) of x_t·K + b₀ and (z, r, b) of h_{t−1}·R + b₁, the gates z and r are σ of
    the sum of the two blocks: the reset gate r acts after the product (Keras' ``reset_after=True``). y is the
    last h, with ``return_sequences`` all of them, (n, steps, units). A step at which ``mask``, (n, steps) of
    bools, is False leaves the state as it is. Shapes: x (n, steps, features), kernel K (features, 3·units),
    recurrent kernel R (units, 3·units), bias (b₀, b₁) (2, 3·units), initial state (n, units), zeros if it is
    not given. Raises :class:`nnx.errors.ShapeError` for arrays that do not fit.
    Source: K. Cho et al., EMNLP 2014, 1724; Keras' ``GRU``.

    >>> nnx.layers.gru(np.ones((1, 2, 1)), np.ones((1, 3)), np.zeros((1, 3)))[0].round(3)
    array([[0.355]])
    """
    states = None if initial_state is None else (initial_state,)
    return _call(GRU, x, (kernel, recurrent_kernel, bias), states, mask, return_sequences)


def _call(cell: Cell, x: Any, weights: Any, states: Any, mask: Any, sequences: bool) -> Any:
    """``over`` with what was left out, after a look at the shapes."""
    kernel, recurrent_kernel, bias = weights
    units = recurrent_kernel.shape[0]
    wide = cell.gates * units
    if x.ndim != 3 or not x.shape[1]:
        raise ShapeError(f"{cell.name} takes sequences (n, steps, features), got shape {tuple(x.shape)}.")
    if states is None:
        states = (zeros(x, x.shape[0], units),) * cell.states
    if bias is None:
        bias = zeros(x, *bias_shape(cell.name, wide))
    checks = {
        "kernel": (kernel, (x.shape[2], wide)),
        "recurrent_kernel": (recurrent_kernel, (units, wide)),
        "bias": (bias, bias_shape(cell.name, wide)),
        "mask": (mask, x.shape[:2]),
        **{f"initial state {k}": (s, (x.shape[0], units)) for k, s in enumerate(states)},
    }
    for name, (given, shape) in checks.items():
        if given is not None and tuple(given.shape) != tuple(shape):
            raise ShapeError(
                f"{cell.name} of x {tuple(x.shape)} with {units} units: {name} must have shape "
                f"{tuple(shape)}, got {tuple(given.shape)}."
            )
    if len(states) != cell.states:
        raise ShapeError(f"{cell.name} has {cell.states} states, got {len(states)}.")
    return over(cell, x, states, (kernel, recurrent_kernel, bias), mask, sequences)


def bias_shape(name: str, wide: int) -> tuple[int, ...]:
    """The shape of the bias for that many columns of the kernel."""
    return (2, wide) if name == "gru" else (wide,)


def zeros(x: Array, *shape: int) -> Array:
    """Zeros of that shape beside ``x``."""
    xp = namespace(x)
    return xp.zeros(shape, dtype=x.dtype, device=device_of(x))
