"""``fused(reverse=..., several=True)``: functions with several results, and results kept for the pullback."""

from typing import NamedTuple

import numpy as np
import pytest

import nnx
from nnx.autodiff import fused
from nnx.backend import namespace
from nnx.errors import DerivativeError

SIZE, BATCH = 3, 2


def sigmoid(xp, x):
    return 1.0 / (1.0 + xp.exp(-x))


def lstm_cell(x, h, c, kernel, recurrent, bias):
    """One step of an LSTM, Keras' order of gates: (h′, c′), and what its pullback needs again."""
    xp = namespace(x, h, c, kernel, recurrent, bias)
    z = x @ kernel + h @ recurrent + bias
    n = c.shape[1]
    i, f = sigmoid(xp, z[:, :n]), sigmoid(xp, z[:, n : 2 * n])
    new, o = xp.tanh(z[:, 2 * n : 3 * n]), sigmoid(xp, z[:, 3 * n :])
    c_next = f * c + i * new
    t = xp.tanh(c_next)
    return o * t, c_next, i, f, new, o, t


def added(*terms):
    """The sum of the cotangents that are there."""
    there = [t for t in terms if t is not None]
    return sum(there[1:], start=there[0]) if there else None


def times(g, factor):
    return None if g is None else g * factor


def cell_back(xp, gs, needs, ys, x, h, c, kernel, recurrent, bias):
    """The pullback of ``lstm_cell``: the gates come from ``ys``, and their cotangents go through them."""
    g_h, g_c, g_i, g_f, g_new, g_o, g_t = gs
    _, _, i, f, new, o, t = ys
    g_t = added(g_t, times(g_h, o))
    g_o = added(g_o, times(g_h, t))
    g_c = added(g_c, times(g_t, 1.0 - t * t))
    slopes = (i * (1.0 - i), f * (1.0 - f), 1.0 - new * new, o * (1.0 - o))
    gates = added(g_i, times(g_c, new)), added(g_f, times(g_c, c)), added(g_new, times(g_c, i)), g_o
    parts = [xp.zeros_like(s) if g is None else g * s for g, s in zip(gates, slopes, strict=True)]
    g_z = xp.concat(parts, axis=1)
    t2 = xp.matrix_transpose
    g_c = xp.zeros_like(c) if g_c is None else g_c * f
    return g_z @ t2(kernel), g_z @ t2(recurrent), g_c, t2(x) @ g_z, t2(h) @ g_z, xp.sum(g_z, axis=0)


cell = fused(reverse=cell_back, several=True)(lstm_cell)


@pytest.fixture
def arguments(backend):
    draw = np.random.default_rng(0).normal
    shapes = (BATCH, 4), (BATCH, SIZE), (BATCH, SIZE), (4, 4 * SIZE), (SIZE, 4 * SIZE), (4 * SIZE,)
    return tuple(backend.asarray(0.5 * draw(size=shape), dtype="float64") for shape in shapes)


def two_steps(step):
    """A number that depends on h and c after two steps of the cell."""

    def f(x, h, c, kernel, recurrent, bias):
        h, c = step(x, h, c, kernel, recurrent, bias)[:2]
        h, c = step(x, h, c, kernel, recurrent, bias)[:2]
        xp = namespace(h)
        return xp.sum(xp.sin(h)) + xp.sum(c * c)

    return f


def assert_same(found, expected):
    # sums of some hundred terms of size 1 in float64, in another order
    for a, b in zip(nnx.autodiff.flatten(found)[0], nnx.autodiff.flatten(expected)[0], strict=True):
        np.testing.assert_allclose(nnx.to_numpy(a), nnx.to_numpy(b), rtol=1e-11, atol=1e-12)


def along(arguments, seed):
    xp, draw = namespace(*arguments), np.random.default_rng(seed).normal
    return tuple(xp.asarray(draw(size=a.shape), dtype=a.dtype, device=a.device) for a in arguments)


class TestAnLstmCellThatKeepsItsGates:
    def test_its_values_are_those_of_the_plain_body(self, arguments):
        assert_same(cell(*arguments), lstm_cell(*arguments))

    def test_its_gradient_is_that_of_the_plain_body(self, arguments):
        every = tuple(range(6))
        found = nnx.grad(two_steps(cell), argnums=every)(*arguments)
        assert_same(found, nnx.grad(two_steps(lstm_cell), argnums=every)(*arguments))

    def test_its_tangent_is_that_of_the_plain_body(self, arguments):
        v = along(arguments, 1)
        assert_same(nnx.jvp(cell, arguments, v), nnx.jvp(lstm_cell, arguments, v))

    @pytest.mark.parametrize("outer", ["forward", "reverse"])
    @pytest.mark.parametrize("inner", ["forward", "reverse"])
    def test_its_second_derivative_is_that_of_the_plain_body(self, arguments, inner, outer):
        v, u = along(arguments, 1), along(arguments, 2)

        def first(step):
            f = two_steps(step)
            if inner == "reverse":
                return nnx.grad(f, argnums=tuple(range(6)))
            return lambda *xs: nnx.jvp(f, xs, v)[1]

        def second(step):
            if outer == "forward":
                return nnx.jvp(first(step), arguments, u)[1]
            out, pullback = nnx.vjp(first(step), *arguments)
            return pullback(v if inner == "reverse" else namespace(out).ones_like(out))

        assert_same(second(cell), second(lstm_cell))

    def test_every_result_may_be_used(self, arguments):
        def f(step):
            return lambda *xs: sum(namespace(y).sum(y * y * y) for y in step(*xs))

        every = tuple(range(6))
        assert_same(nnx.grad(f(cell), every)(*arguments), nnx.grad(f(lstm_cell), every)(*arguments))
        nnx.check_derivatives(f(cell), *arguments)


def test_a_pullback_that_leaves_out_what_it_kept_is_found_out_by_the_second_derivative(arguments):
    def forgetful(xp, gs, needs, ys, *args):
        return cell_back(xp, [*gs[:2], None, None, None, None, None], needs, ys, *args)

    wrong = fused(reverse=forgetful, several=True)(lstm_cell)
    every = tuple(range(6))
    assert_same(nnx.grad(two_steps(wrong), every)(*arguments), nnx.grad(two_steps(cell), every)(*arguments))
    with pytest.raises(DerivativeError, match="disagrees"):
        nnx.check_derivatives(two_steps(wrong), *arguments)


def recorder(seen):
    def back(xp, gs, needs, ys, a, b):
        seen.append(([g is None for g in gs], list(needs)))
        first, second = (xp.zeros_like(y) if g is None else g for g, y in zip(gs, ys, strict=True))
        return first * b + second, first * a

    return fused(reverse=back, several=True)(lambda a, b: (a * b, a + 0.0))


def test_a_missing_cotangent_is_none_and_needs_says_what_is_differentiated(backend):
    seen = []
    f = recorder(seen)
    a, b = backend.asarray([1.0, 2.0], dtype="float64"), backend.asarray([3.0, 4.0], dtype="float64")
    g = nnx.grad(lambda b: namespace(b).sum(f(a, b)[0]))(b)
    np.testing.assert_array_equal(nnx.to_numpy(g), [1.0, 2.0])
    assert seen == [([False, True], [False, True])]


def test_a_tangent_of_its_own_is_used(backend):
    def forward(xp, tangents, ys, x):
        return 2.0 * x * tangents[0], 7.0 * tangents[0]  # not that of x: it shows which rule was asked

    rule = {"reverse": lambda xp, gs, needs, ys, x: (gs[0],), "forward": forward, "several": True}
    f = fused(**rule)(lambda x: (x * x, x + 0.0))
    x = backend.asarray([1.0, 3.0], dtype="float64")
    tangents = nnx.jvp(f, (x,), (namespace(x).ones_like(x),))[1]
    assert type(tangents) is tuple
    np.testing.assert_array_equal([nnx.to_numpy(t) for t in tangents], [[2.0, 6.0], [7.0, 7.0]])


def test_a_named_tuple_comes_as_a_plain_one_with_and_without_derivatives():
    class Both(NamedTuple):
        a: object
        b: object

    f = fused(reverse=lambda xp, gs, needs, ys, x: (gs[0],), several=True)(lambda x: Both(x + 0.0, x + 0.0))
    assert type(f(np.ones(2))) is tuple
    nnx.grad(lambda x: np.sum(f(x)[0]) if type(f(x)) is tuple else None)(np.ones(2))


def test_misuse_is_explained():
    with pytest.raises(TypeError, match="several=True needs reverse="):
        fused(derivative=lambda xp, x, y: x, several=True)
    single = fused(reverse=lambda xp, gs, needs, ys, x: (gs[0],), several=True)(lambda x: x + 0.0)
    with pytest.raises(TypeError, match="must return a tuple of arrays, got ndarray"):
        single(np.ones(2))


@pytest.mark.parametrize("transform", [nnx.grad, lambda f: lambda x: nnx.jvp(f, (x,), (1.0,))])
def test_an_array_of_the_closure_that_is_differentiated_is_refused(transform):
    def outer(a):
        f = fused(reverse=lambda xp, gs, needs, ys, x: (gs[0],), several=True)(lambda x: (x * a, x + 0.0))
        return transform(lambda x: f(x)[0])(2.0)

    with pytest.raises(DerivativeError, match="of its closure that is being differentiated"):
        nnx.grad(outer)(3.0)
