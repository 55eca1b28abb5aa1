"""Short ways through the tape give what the long ones do: shared nodes, products added up late."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx.backend import namespace, to_numpy

X = np.asarray([0.3, -1.2, 2.1, 0.9])


# -- x + c has the cotangent of x itself -------------------------------------------------------------------

SHIFTED = {
    "a constant on either side": (lambda xp, x: 2.0 + (x + 1.0) - 0.5, lambda x: np.eye(4)),
    "taken from a constant": (lambda xp, x: (3.0 - x) + 1.0, lambda x: -np.eye(4)),
    "used before and after": (
        lambda xp, x: xp.sin(x + 1.0) * x,
        lambda x: np.diag(np.sin(x + 1) + x * np.cos(x + 1)),
    ),
    "the result": (lambda xp, x: xp.exp(x) + 1.0, lambda x: np.diag(np.exp(x))),
    "an array": (lambda xp, x: xp.sin(x) + xp.ones_like(x), lambda x: np.diag(np.cos(x))),
    "of rows": (lambda xp, x: xp.sin(xp.reshape(x + 2.0, (2, 2)) + x[:2]), None),
}


@pytest.mark.parametrize("name", SHIFTED)
def test_jacobians_of_shifted_arrays_in_both_modes(backend, name):
    f, expected = SHIFTED[name]
    x = backend.asarray(X, dtype="float64")

    def g(x):
        return f(namespace(x), x)

    found = to_numpy(nnx.jacobian(g)(x))
    columns = [to_numpy(nnx.jvp(g, (x,), (backend.asarray(e, dtype="float64"),))[1]) for e in np.eye(4)]
    np.testing.assert_allclose(found, np.stack(columns, axis=-1), rtol=1e-14)  # each a few roundings
    if expected is not None:
        np.testing.assert_allclose(found, expected(X), rtol=1e-14)


def test_a_shift_that_broadcasts_or_changes_the_type_is_undone():
    x, c = np.asarray([1.0, 2.0], dtype=np.float32), np.ones((3, 2))
    g = nnx.grad(lambda x: np.sum((x + c) ** 2))(x)
    assert g.dtype == np.float32
    np.testing.assert_array_equal(g, np.asarray([12.0, 18.0], dtype=np.float32))
    (h,) = nnx.vjp(lambda x: x - c, x)[1](c)
    assert h.dtype == np.float32
    np.testing.assert_array_equal(h, np.asarray([3.0, 3.0], dtype=np.float32))


def test_two_results_that_share_a_node_add_their_cotangents():
    (y, z), pullback = nnx.vjp(lambda x: (x, x + 1.0), X)
    np.testing.assert_array_equal(z, y + 1.0)
    (g,) = pullback((2.0 * X, X))
    np.testing.assert_array_equal(g, 2.0 * X + X)


# -- the cotangents u vᵀ of a matrix ------------------------------------------------------------------------

N, STEPS = 50, 70  # a matrix large enough that they are kept, more steps than are kept


def _from_the_left(xp, w, x, times):
    h = x[0, :]
    for i in range(x.shape[0]):
        h = xp.tanh(times(h, w) + x[i, :])
    return xp.sum(h * h)


def _from_the_right(xp, w, x, times):
    h, s = x[0, :], 0.0
    for i in range(x.shape[0]):
        h = xp.sin(times(w, h) + x[i, :])
        s = s + xp.sum(h)
    return s


def _and_otherwise(xp, w, x, times):
    s = xp.sum(w * w) + xp.sum(xp.sin(w[3, :]))
    for i in range(8):
        s = s + xp.sum(times(w, x[i, :]) * w[i, :]) + xp.sum(times(x[i, :], w) ** 2)
    return s + xp.sum(xp.cos(w @ w))


def _as_matrices(a, b):
    """a @ b with one-column and one-row matrices for vectors, whose cotangents come one by one."""
    return (a @ b[:, None])[:, 0] if b.ndim == 1 else (a[None, :] @ b)[0, :]


RNG = np.random.default_rng(3)
W, STATES = RNG.normal(size=(N, N)) / 8.0, RNG.normal(size=(STEPS, N))
VECTORS = (_from_the_left, _from_the_right, _and_otherwise)


@pytest.mark.parametrize("f", VECTORS)
def test_products_of_a_matrix_with_vectors(backend, f):
    w, x = (backend.asarray(a, dtype="float64") for a in (W, STATES))

    def gradient(times):
        return nnx.grad(lambda w, x: f(namespace(w), w, x, times), argnums=(0, 1))(w, x)

    for found, expected in zip(gradient(lambda a, b: a @ b), gradient(_as_matrices), strict=True):
        size = np.max(np.abs(to_numpy(expected)))
        # sums of 70 products in another order, each of a size up to ``size``
        np.testing.assert_allclose(to_numpy(found), to_numpy(expected), rtol=1e-11, atol=1e-13 * size)


@pytest.mark.parametrize("f", VECTORS)
def test_second_derivatives_of_such_products(f):
    v = RNG.normal(size=W.shape)

    def product(times):
        return nnx.hvp(lambda w: f(np, w, STATES[:10], times), W, v)

    expected = product(_as_matrices)
    size = np.max(np.abs(expected))
    np.testing.assert_allclose(product(lambda a, b: a @ b), expected, rtol=1e-11, atol=1e-13 * size)


def test_such_products_of_arrays_that_are_mapped_over():
    def gradient(x, times):
        return nnx.grad(lambda w: _from_the_left(np, w, x, times))(W)

    both = np.stack([STATES[:9], STATES[9:18]])
    found = nnx.vmap(lambda x: gradient(x, lambda a, b: a @ b))(both)
    expected = np.stack([gradient(x, _as_matrices) for x in both])
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)  # as above, the largest entry is 1
