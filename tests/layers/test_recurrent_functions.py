"""``simple_rnn``, ``lstm`` and ``gru``: values and gradients of PyTorch, derivatives, masks, refusals."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx.backend import namespace, to_numpy
from nnx.errors import ShapeError
from nnx.layers.recurrent import sequences

FUNCTIONS = {
    "simple_rnn": (nnx.layers.simple_rnn, 1),
    "lstm": (nnx.layers.lstm, 4),
    "gru": (nnx.layers.gru, 3),
}
CELLS = {"simple_rnn": sequences.SIMPLE, "lstm": sequences.LSTM, "gru": sequences.GRU}


def arguments(name, n=3, steps=4, features=2, units=3, seed=0):
    draw, wide = np.random.default_rng(seed).normal, FUNCTIONS[name][1] * units
    bias = (2, wide) if name == "gru" else (wide,)
    shapes = (n, steps, features), (features, wide), (units, wide), bias
    states = tuple(draw(size=(n, units)) for _ in range(CELLS[name].states))
    return tuple(0.7 * draw(size=shape) for shape in shapes), states


def calling(name, mask=None, return_sequences=True):
    """The function of x, the weights and the states as positional arguments."""
    function = FUNCTIONS[name][0]

    def call(x, kernel, recurrent, bias, *states):
        start = states if name == "lstm" else states[0]
        return function(x, kernel, recurrent, bias, start, mask, return_sequences=return_sequences)

    return call


def of_torch(name, args, states, gs):
    """PyTorch's outputs and gradients; its gates of the GRU come in the order r, z."""
    torch = pytest.importorskip("torch")
    (x, kernel, recurrent, bias), units = args, states[0].shape[1]
    kind = {"simple_rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[name]
    net = kind(x.shape[2], units, batch_first=True, dtype=torch.float64)
    order = (
        np.r_[units : 2 * units, :units, 2 * units : 3 * units]
        if name == "gru"
        else np.arange(len(kernel[0]))
    )
    biases = (bias[0, order], bias[1, order]) if name == "gru" else (bias, np.zeros_like(bias))
    ours = kernel[:, order].T, recurrent[:, order].T, *biases
    for parameter, w in zip(net.parameters(), ours, strict=True):
        parameter.data = torch.tensor(w)
    inputs = [torch.tensor(a, requires_grad=True) for a in (x, *states)]
    first = [s[None] for s in inputs[1:]]
    y, last = net(inputs[0], tuple(first) if name == "lstm" else first[0])
    outs = [y, *((s[0] for s in last) if name == "lstm" else [last[0]])]
    torch.autograd.backward(outs, [torch.tensor(g) for g in gs])
    back = np.argsort(order)
    k, r, *b = (p.grad.numpy() for p in net.parameters())
    by_bias = np.stack([g[back] for g in b]) if name == "gru" else b[0]
    by_states = [s.grad.numpy() for s in inputs[1:]]
    by_all = (inputs[0].grad.numpy(), k[back].T, r[back].T, by_bias, *by_states)
    return [o.detach().numpy() for o in outs], by_all


def assert_same(found, expected):
    for a, b in zip(found, expected, strict=True):
        # float64, sums of some hundred terms of size 1
        np.testing.assert_allclose(to_numpy(a), b, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("size", [(3, 4, 2, 3), (1, 1, 1, 1), (5, 7, 3, 4)])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_and_gradients_are_pytorchs(backend, name, size):
    args, states = arguments(name, *size)
    mine = [backend.asarray(a, dtype="float64") for a in (*args, *states)]
    ys, pullback = nnx.vjp(calling(name), *mine)
    gs = [np.random.default_rng(k).normal(size=y.shape) for k, y in enumerate(ys)]
    expected, by_all = of_torch(name, args, states, gs)
    assert_same(ys, expected)
    assert_same(calling(name)(*mine), expected)  # what nothing is kept for
    assert_same(pullback(tuple(backend.asarray(g, dtype="float64") for g in gs)), by_all)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_to_second_order(name, masked, return_sequences):
    args, states = arguments(name, n=2)
    mask = np.asarray([[True, False, True, True], [False, True, True, False]]) if masked else None
    nnx.check_derivatives(calling(name, mask, return_sequences), *args, *states)


@pytest.mark.parametrize("inner", ["forward", "reverse"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_second_derivatives_are_those_of_the_plain_body(backend, name, inner):
    args, states = arguments(name)
    xs = [backend.asarray(a, dtype="float64") for a in (*args, *states)]
    v = [backend.asarray(np.random.default_rng(9).normal(size=x.shape), dtype="float64") for x in xs]
    cell = CELLS[name]

    def value(function):
        def f(x, kernel, recurrent, bias, *states):
            ys = function(x, *states, kernel, recurrent, bias, None, sequences=True)[: 1 + cell.states]
            xp = namespace(*ys)
            return sum(xp.sum(xp.sin(y)) for y in ys)

        every = tuple(range(len(xs)))
        return nnx.grad(f, every) if inner == "reverse" else lambda *xs: nnx.jvp(f, xs, v)[1]

    found, expected = (nnx.jvp(value(f), xs, v)[1] for f in (cell.function, cell.function.plain))
    pairs = [(found, expected)] if inner == "forward" else zip(found, expected, strict=True)
    for a, b in pairs:
        np.testing.assert_allclose(to_numpy(a), to_numpy(b), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_step_that_is_left_out_leaves_the_states_as_they_are(backend, name):
    args, states = arguments(name)
    x, *weights = (backend.asarray(a, dtype="float64") for a in args)
    start = [backend.asarray(s, dtype="float64") for s in states]
    mask = np.asarray([[True, False, True, True], [False, False, True, False], [False] * 4])
    y, *last = calling(name, backend.asarray(mask))(x, *weights, *start)
    for i, kept in enumerate(mask):
        short = x[i : i + 1, ...]
        first = [s[i : i + 1, ...] for s in start]
        if kept.any():
            where = backend.asarray(np.flatnonzero(kept))
            alone, *ends = calling(name)(backend.xp.take(short, where, axis=1), *weights, *first)
            places = np.cumsum(kept) - 1
            expected = np.where((places < 0)[:, None], states[0][i], to_numpy(alone)[0][places])
        else:
            ends, expected = first, np.broadcast_to(states[0][i], (4, 3))
        assert_same([y[i, ...]], [expected])
        assert_same([s[i, ...] for s in last], [to_numpy(e)[0] for e in ends])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_left_out_is_zero(name):
    (x, kernel, recurrent, bias), states = arguments(name)
    function, zero = FUNCTIONS[name][0], tuple(np.zeros_like(s) for s in states)
    expected = calling(name, return_sequences=False)(x, kernel, recurrent, 0.0 * bias, *zero)
    assert_same(function(x, kernel, recurrent), expected)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_arrays_that_do_not_fit_are_refused(name):
    (x, *weights), states = arguments(name)
    function = FUNCTIONS[name][0]
    for given, message in [
        ((x[0], *weights), "takes sequences"),
        ((x[:, :0], *weights), "takes sequences"),
        ((x, weights[0][:, 1:], *weights[1:]), "kernel must have shape"),
        ((x, *weights[:2], weights[2][..., 1:]), "bias must have shape"),
        ((x, *weights, tuple(s[1:] for s in states) if name == "lstm" else states[0][1:]), "initial state 0"),
        ((x, *weights, None, np.ones((3, 5), bool)), "mask must have shape"),
    ]:
        with pytest.raises(ShapeError, match=message):
            function(*given)
