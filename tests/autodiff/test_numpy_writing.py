"""NumPy code other than functions: out=, writing in place, methods, other libraries."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx.backend import to_numpy
from nnx.errors import DerivativeError

X = np.asarray([[0.3, -1.2, 2.0], [1.1, 0.4, -0.7]])
INDEX = np.asarray([[0, 2, 1], [1, 1, 0]])


def _into_plain_array(x):
    a = np.zeros((2, 3))
    a += x
    return np.sum(a)


REFUSED = {
    "out of a ufunc": (lambda x: np.sum(np.exp(x, out=np.zeros((2, 3)))), "exp.*out="),
    "a += traced": (_into_plain_array, "add.*a = a \\+ b"),
    "out of a function": (lambda x: np.sum(np.sum(x, axis=0, out=np.zeros(3))), "sum.*out="),
    "out by position": (lambda x: np.sum(np.cumsum(x, 0, None, np.zeros((2, 3)))), "cumsum.*out="),
    "where of a ufunc": (lambda x: np.sum(np.exp(x, where=x > 0)), "exp.*np.where"),
    "reduce of a ufunc": (lambda x: np.arctan2.reduce(x, axis=None), "arctan2.reduce"),
    "at of a plain array": (lambda x: np.add.at(np.zeros(3), [0, 1], x[0, :2]), "add.at"),
    "multiply.at": (lambda x: np.multiply.at(x, 0, 2.0), "multiply.at"),
    "copyto": (lambda x: np.copyto(np.zeros((2, 3)), x), "copyto"),
    "put": (lambda x: np.put(np.zeros(3), [1], x[0, 0]), "put"),
    "fill_diagonal": (lambda x: np.fill_diagonal(np.zeros((3, 3)), x[0]), "cannot intercept"),
    "np.asarray": (lambda x: np.sum(np.asarray(x)), "np.asarray"),
    "np.array": (lambda x: np.sum(np.array([x, x])), "np.array"),
    "np.full": (lambda x: np.sum(np.full((2, 2), x[0, 0])), "cannot intercept"),
    "item": (lambda x: x[0, 0].item(), "item.*stop_gradient"),
    "tolist": (lambda x: x.tolist()[0][0], "tolist"),
    "unknown argument": (lambda x: np.sum(np.pad(x, 1, mode=lambda *_: None)), "pad"),
    "unknown option": (lambda x: np.sum(np.quantile(x, 0.5, method="hazen")), "quantile.*hazen"),
    "foreign ufunc": (lambda x: np.sum(np.frompyfunc(lambda v: v, 1, 1)(x)), "register_ufunc"),
    "weights of a histogram": (lambda x: np.sum(np.histogram(X, 3, weights=x)[0]), "histogram"),
    "index": (lambda x: np.sum(np.choose(x, [X, X])), "choose"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_honoured_says_so(case):
    f, message = REFUSED[case]
    with pytest.raises(DerivativeError, match=f"(?s){message}"):
        nnx.grad(f)(X)


def _written(write):
    def f(x):
        a = np.sin(x)
        write(a, x)
        return np.stack([a, a * x])

    return f


WRITES = {
    "copyto": lambda a, x: np.copyto(a, x * x),
    "copyto where": lambda a, x: np.copyto(a, x * x, where=X > 0),
    "put": lambda a, x: np.put(a, [0, -1, 2], x[0] ** 2),
    "put one": lambda a, x: np.put(a, [1, 4], x[0, 0] * x[1, 1]),
    "putmask": lambda a, x: np.putmask(a, X > 0, x * x),
    "put_along_axis": lambda a, x: np.put_along_axis(a, INDEX[:, :1], x[:, :1] ** 2, 1),
    "put_along_axis flat": lambda a, x: np.put_along_axis(a, np.asarray([1, 3]), x[0, :2] ** 2, None),
    "fill_diagonal": lambda a, x: np.fill_diagonal(a, x[0, :2] ** 2),
    "fill_diagonal number": lambda a, x: np.fill_diagonal(a, 3.0),
    "add.at": lambda a, x: np.add.at(a, ([0, 0, 1], [1, 1, 2]), x[0] ** 2),
    "subtract.at": lambda a, x: np.subtract.at(a, [0, 0], x[1] ** 2),
    "sort": lambda a, x: a.sort(),
    "sort axis": lambda a, x: a.sort(axis=0),
    "partition": lambda a, x: a.partition(1),
    "fill": lambda a, x: a.fill(2.0),
    "put method": lambda a, x: a.put([0, 1], x[0, :2] ** 2),
    "view": lambda a, x: np.copyto(a[0], x[1] ** 2),
    "ravel": lambda a, x: np.copyto(a.ravel()[1:3], x[0, :2] ** 2),
    "transposed": lambda a, x: a.T.__setitem__((0, slice(None)), x[:, 1] ** 2),
}


@pytest.mark.parametrize("case", WRITES)
def test_functions_that_write_into_a_traced_array(case):
    f = _written(WRITES[case])
    np.testing.assert_allclose(nnx.vjp(f, X)[0], f(X), rtol=1e-14)
    nnx.check_derivatives(f, X)


def test_python_on_traced_arrays():
    def f(x):
        assert len(x) == 2
        assert 2.0 in x
        assert 5.0 not in x
        assert x.argmax() == 2
        assert x.argmin(0).tolist() == [0, 0, 1]
        assert x.nonzero()[0].shape == (6,)
        assert bool(x.any())
        assert not bool((x > 0).all())
        assert x.nbytes == X.nbytes
        assert x.strides == X.strides
        assert not hasattr(x, "no_such_attribute")
        total = 0.0
        for row in x:
            for number in row:
                if number > 0:
                    total = total + number**2
        return total

    np.testing.assert_allclose(nnx.grad(f)(X), np.where(X > 0, 2 * X, 0.0))


def test_control_flow_on_comparisons():
    def newton(a):
        x, step = 1.0 + 0.0 * a, 1.0 + 0.0 * a
        while np.max(np.abs(step)) > 1e-12:
            step = (x * x - a) / (2.0 * x)
            x = x - step
        return np.sum(x)

    np.testing.assert_allclose(
        nnx.grad(newton)(np.asarray([2.0, 9.0])), 0.5 / np.sqrt([2.0, 9.0]), rtol=1e-12
    )


def test_a_foreign_ufunc_with_the_name_of_one_of_numpys_is_not_taken_for_it():
    class Square:
        __name__ = "square"
        nin, nout = 1, 1

    from nnx.autodiff.numpy_api.protocol import name_of

    assert name_of(np.square) == "square"
    assert name_of(Square()) != "square"


ANYWHERE = {
    "ufuncs": lambda x: np.tanh(x) * np.maximum(x, np.abs(x) * 0.5) + np.float64(2) * np.add(1.0, x),
    "reductions": lambda x: np.sum(x, 1) + np.mean(x, axis=1) * np.std(x) + np.max(x, 1) + np.var(x, ddof=1),
    "products": lambda x: np.dot(x, x.T) + np.einsum("ij,kj->ik", x, x) + np.outer(x[:, 0], x[:, 1]),
    "shapes": lambda x: np.concatenate([np.ravel(x), np.vstack([x, x])[0, :], np.transpose(x)[1, :]]),
    "choice": lambda x: np.where(x > 0, x, x * x) + np.clip(x, -1.0, 1.0) + np.select([x > 1], [x], 0.0),
    "pad": lambda x: np.pad(x, 1) * np.pad(x, 1, mode="edge") + np.sum(np.diff(x)),
    "diagonals": lambda x: np.diag(x[0, :]) + np.trace(x) + np.diag(np.diagonal(x), 1),
    "statistics": lambda x: np.median(x, axis=1) + np.quantile(x, 0.3, axis=1) + np.average(x, axis=1),
    "calculus": lambda x: np.trapezoid(x) + np.gradient(x, axis=0)[:, 0] * np.convolve(x[0, :], x[1, :])[1:3],
    "stacks": lambda x: np.stack([x[0, 0], x[1, 1]]) + np.linalg.norm(x, axis=1) + np.repeat(x, 2)[:2],
}  # fmt: skip


@pytest.mark.parametrize("case", ANYWHERE)
def test_the_same_code_on_every_library(case, backend):
    f = ANYWHERE[case]
    x = backend.asarray(X, dtype="float64")
    # Where it is being differentiated, NumPy code runs on arrays that NumPy itself could not take.
    value, pullback = nnx.vjp(f, x)
    np.testing.assert_allclose(to_numpy(value), f(X), rtol=1e-12, atol=1e-12)
    expected = nnx.vjp(f, X)[1](np.ones_like(f(X)))[0]
    cotangent = backend.asarray(np.ones_like(f(X)), dtype="float64")
    np.testing.assert_allclose(to_numpy(pullback(cotangent)[0]), expected, rtol=1e-10, atol=1e-10)


def test_methods_are_those_of_the_library(backend):
    x = backend.asarray(X, dtype="float64")
    traced = []
    nnx.grad(lambda x: traced.append(x) or (x * x)[0, 0])(x)
    speaks = hasattr(x, "__array_function__")
    assert hasattr(traced[0], "sum") == speaks
    if not speaks:
        with pytest.raises(AttributeError, match="sum"):
            traced[0].sum()
