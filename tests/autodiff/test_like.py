"""``np.array([...], like=x)`` and its kind: traced numbers in nested lists become one array."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx.errors import DerivativeError

X = np.asarray([2.0, 3.0])

#: Each is a function of x that NumPy computes too.
BUILT = {
    "a matrix": lambda x: np.array([[x[0] * x[1], 0.0], [1.0, x[1]]], like=x),
    "tuples": lambda x: np.array(((x[0], 1), (2, x[1] ** 2)), like=x),
    "rows": lambda x: np.array([x, x * x], like=x),
    "three deep": lambda x: np.array([[[x[0]], [x[1]]], [[x[0] * x[1]], [5.0]]], like=x),
    "a number": lambda x: np.array(x[0] * 2.0, like=x),
    "an array": lambda x: np.array(x, like=x) * x,
    "of a generator": lambda x: np.array([t * t for t in x], like=x),
    "ndmin": lambda x: np.array([x[0], 1.0], ndmin=3, like=x),
    "complex": lambda x: np.imag(np.array([x[0], 1j * x[1] ** 2], like=x)),
    "float64 of a name": lambda x: np.array([x[0], 1], dtype="float64", like=x),
    "order": lambda x: np.array([[x[0], 1.0], [x[1], 2.0]], order="F", like=x).T.ravel(),
    "numbers alone": lambda x: np.array([1.0, 2.0], like=x) * x,
    "integers alone": lambda x: np.array([1, 2], like=x) * x,
    "asarray": lambda x: np.asarray([x[1], 1.0, x[0] ** 3], like=x),
    "asarray of an array": lambda x: np.asarray(x, like=x) ** 2,
    "asanyarray": lambda x: np.asanyarray([x[0] * x[1]], like=x),
    "ascontiguousarray": lambda x: np.ascontiguousarray(x[0] ** 2, like=x),
    "asfortranarray": lambda x: np.asfortranarray([[x[0], 1.0], [x[1], 2.0]], like=x),
    "full": lambda x: np.full((2, 3), x[0] * x[1], like=x),
    "full of a list": lambda x: np.full((2, 2), [x[0], 1.0], like=x),
    "full of a number": lambda x: np.full(2, 3.0, like=x) * x,
    "ones": lambda x: np.ones((2, 2), like=x) @ x,
}


@pytest.mark.parametrize("name", BUILT)
def test_it_is_what_numpy_makes_and_has_its_derivatives(name):
    f = BUILT[name]
    plain, (value, _) = f(X), nnx.jvp(f, (X,), (X,))
    assert value.shape == plain.shape
    assert value.dtype == plain.dtype
    np.testing.assert_array_equal(value, plain)
    nnx.check_derivatives(f, X)


def test_the_docs_example():
    j = nnx.jacobian(BUILT["a matrix"])(X)
    np.testing.assert_array_equal(j, [[[3.0, 2.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]]])


def test_what_is_built_is_a_new_array_that_can_be_written_into():
    def f(x, make):
        y = make(x)
        y[...] = y * 10.0
        return np.sum(x) + np.sum(y)

    for make in (
        lambda x: np.array(x, like=x),
        lambda x: np.array([x[0], x[1]], like=x),
        lambda x: np.full(2, x[0], like=x),
        lambda x: np.array([1.0, 2.0], like=x),
    ):
        expected = nnx.grad(lambda x, make: np.sum(x) + np.sum(10.0 * make(x)))(X, make)
        np.testing.assert_allclose(nnx.grad(f)(X, make), expected)


def test_float32_and_other_types():
    x = X.astype(np.float32)
    f = lambda x: np.array([x[0], x[1] * x[0]], dtype=np.float32, like=x)  # noqa: E731
    value, tangent = nnx.jvp(f, (x,), (x,))
    assert value.dtype == tangent.dtype == np.float32
    np.testing.assert_array_equal(tangent, [2.0, 12.0])


@pytest.mark.parametrize(
    ("f", "words"),
    [
        (lambda x: np.array([x[0], x[1]]), r"np\.array\(\[\[a, b\], \[c, d\]\], like=a\)"),
        (lambda x: np.full(2, x[0]), "like="),
        (lambda x: np.fromiter((t for t in x), float), "float"),
        (lambda x: np.frombuffer(x, like=x), "reads memory"),
    ],
)
def test_without_like_the_error_names_it(f, words):
    with pytest.raises(DerivativeError, match=words):
        nnx.grad(lambda x: np.sum(f(x)))(X)
