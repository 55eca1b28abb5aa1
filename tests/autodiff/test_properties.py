"""Random programs: forward mode agrees with reverse mode, and second derivatives in every order."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import nnx

# Functions that are smooth, and bounded with their derivatives, for any argument: compositions stay tame.
SMOOTH = ("tanh", "sin", "cos", "atan", "asinh")
MOVES = {
    "reversed": lambda x: x[..., ::-1] if x.ndim else x,
    "flat": lambda x: np.reshape(x, (-1,)),
    "rolled": lambda x: np.roll(x, 1),
    "with an axis": lambda x: np.expand_dims(x, 0),
    "transposed": lambda x: np.transpose(x) if x.ndim > 1 else x,
    "first halves": lambda x: x[..., : (x.shape[-1] + 1) // 2] if x.ndim else x,
    "joined": lambda x: np.concatenate([x, np.sin(x)], axis=-1) if x.ndim else x,
    "sorted": lambda x: np.sort(x, axis=-1) if x.ndim else x,
    "running sum": lambda x: np.cumsum(x, axis=-1) * 0.5 if x.ndim else x,
    "filled": lambda x: filled(x),
    "chosen": lambda x: x[..., [0, -1, 0]] if x.ndim and x.shape[-1] else x,
}
PAIRS = {
    "sum": lambda a, b: a + b,
    "difference": lambda a, b: a - 0.5 * b,
    "product": lambda a, b: a * np.tanh(b),
    "quotient": lambda a, b: a / (2.0 + np.cos(b)),
    "power": lambda a, b: (1.5 + np.sin(a)) ** np.tanh(b),
    "choice": lambda a, b: np.where(a > b, np.sin(a), np.cos(b)),
    "hypotenuse": lambda a, b: np.hypot(a, 2.0 + b * b),
    "logaddexp": lambda a, b: np.logaddexp(a, b),
}
REDUCTIONS = ("mean", "sum", "var")

shapes = st.sampled_from([(), (1,), (3,), (2, 3), (1, 3), (2, 1), (2, 1, 3)])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("smooth"), st.sampled_from(SMOOTH)),
        st.tuples(st.just("move"), st.sampled_from(sorted(MOVES))),
        st.tuples(st.just("pair"), st.sampled_from(sorted(PAIRS))),
        st.tuples(st.just("reduce"), st.sampled_from(REDUCTIONS)),
    ),
    min_size=1,
    max_size=7,
)


def filled(x):
    """The same numbers, written one after the other into a new array, the first twice."""
    out = np.zeros_like(x)
    out[...] = x * 0.5
    if out.ndim:
        out[..., :1] = np.sin(x[..., :1])
        view = out[..., 1:]
        view *= 2.0
    return out


def composed(program):
    """The function of two arrays that the drawn steps describe."""

    def f(x, y):
        z = x
        for kind, name in program:
            if kind == "smooth":
                z = getattr(np, {"atan": "arctan", "asinh": "arcsinh"}.get(name, name))(z)
            elif kind == "move":
                z = MOVES[name](z)
            elif kind == "pair":
                other = y if _stretches(np.shape(z), np.shape(y)) else np.mean(y)
                z = PAIRS[name](z, other)
            elif z.ndim:
                z = getattr(np, name)(z, axis=-1)
        return z

    return f


def _stretches(a, b):
    try:
        np.broadcast_shapes(a, b)
    except ValueError:
        return False
    return True


@settings(max_examples=150, deadline=None)
@given(steps, shapes, shapes, st.integers(0, 2**32 - 1))
def test_forward_mode_is_the_transpose_of_reverse_mode(program, shape_x, shape_y, seed):
    f, random = composed(program), np.random.default_rng(seed)
    x, y, v, w = (np.asarray(random.standard_normal(s)) for s in (shape_x, shape_y, shape_x, shape_y))
    value, tangent = nnx.jvp(f, (x, y), (v, w))
    plain, pullback = nnx.vjp(f, x, y)
    np.testing.assert_array_equal(np.asarray(value), np.asarray(f(x, y)))
    np.testing.assert_array_equal(np.asarray(plain), np.asarray(value))
    c = random.standard_normal(np.shape(value))
    gx, gy = pullback(c)
    assert np.shape(gx) == shape_x
    assert np.shape(gy) == shape_y
    size = np.sum(np.abs(c * tangent)) + 1.0
    # both are sums of the same products in another order: a few hundred roundings
    assert abs(np.sum(c * tangent) - np.sum(gx * v) - np.sum(gy * w)) <= 1e-12 * size


@settings(max_examples=60, deadline=None)
@given(steps, shapes, shapes, st.integers(0, 2**32 - 1))
def test_second_derivatives_are_symmetric_and_the_same_in_every_mode(program, shape_x, shape_y, seed):
    inner, random = composed(program), np.random.default_rng(seed)
    x, y, v, w = (np.asarray(random.standard_normal(s)) for s in (shape_x, shape_y, shape_x, shape_x))

    def f(x):
        return np.sum(np.sin(inner(x, y)))

    def along(u):
        return nnx.jvp(nnx.grad(f), (x,), (u,))[1]

    forward_over_reverse = np.sum(w * along(v))
    reverse_over_reverse = np.sum(v * nnx.grad(lambda x: np.sum(w * nnx.grad(f)(x)))(x))
    reverse_over_forward = np.sum(w * nnx.grad(lambda x: nnx.jvp(f, (x,), (v,))[1])(x))
    symmetric = np.sum(v * along(w))
    size = abs(forward_over_reverse) + 1.0
    for other in (reverse_over_reverse, reverse_over_forward, symmetric):
        assert abs(forward_over_reverse - other) <= 1e-10 * size
