"""Functions and transforms of them under jit: the bits that they have without."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st
from jit.test_programs import same_bits

import nnx

pytestmark = pytest.mark.usefixtures("sizes")

RANDOM = np.random.default_rng(0)
X, A, B = RANDOM.normal(size=5), RANDOM.normal(size=(4, 4)) + 4.0 * np.eye(4), RANDOM.normal(size=(6, 4))


def rosenbrock(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def running(x):
    r = np.zeros_like(x)
    for i in range(len(x)):
        r[i] = x[i] ** 2 + (r[i - 1] if i else 0.0)
    return r


def in_place(x):
    y = x * 2.0
    z = y[1:]
    z += 1.0
    y[0] = z[1]
    z *= x[1:]
    return y, z


def masked(x):
    y = x.copy()
    y[y < 0.0] = 0.0
    return y


def into_the_argument(x):
    x[0] = 5.0
    x += 1.0
    return x


def twice_the_same(x):
    return np.sin(x) + np.sin(x), np.sin(x), np.sin(x)


def written_between(x):
    b = np.zeros(5)
    y = x + b
    b[0] = 5.0
    return y, x + b


def overwritten_view(x):
    y = np.sin(x)
    old = y.copy()
    y[:] = 0.0
    return old, y, np.sin(x)


FUNCTIONS = {
    "rosenbrock": (rosenbrock, X),
    "gradient": (nnx.grad(rosenbrock), X),
    "value_and_grad": (nnx.value_and_grad(rosenbrock), X),
    "hessian": (nnx.hessian(rosenbrock), X),
    "hessian of tanh": (nnx.hessian(lambda x: np.sum(np.tanh(3.0 * x) ** 2)), X),
    "third": (nnx.grad(nnx.grad(nnx.grad(lambda s: np.sin(s) * s))), np.asarray(0.7)),
    "jacobian": (nnx.jacobian(lambda x: np.sin(x) * x[0]), X),
    "jvp of grad": (lambda x, v: nnx.jvp(nnx.grad(rosenbrock), (x,), (v,))[1], X, X[::-1]),
    "vjp": (lambda x: nnx.vjp(np.sin, x)[1](x), X),
    "vmap": (nnx.vmap(lambda r: np.sum(np.sin(r) * r)), B),
    "vmap of grad": (nnx.vmap(nnx.grad(lambda r: np.sum(np.sin(r) * r))), B),
    "per_sample_grad": (nnx.per_sample_grad(lambda w, r: np.sum(np.sin(r) * w)), X[:4], B),
    "grad at a Python number": (lambda x: nnx.grad(lambda s: np.sum(x * s * s))(2.0), X),
    "grad of a plain array": (lambda x: nnx.grad(lambda s: np.sum(x * s * s))(np.arange(5.0)), X),
    "jit in jit": (lambda x: nnx.jit(rosenbrock)(x) * 2.0, X),
    "jit that reads an array of a jit": (lambda x: nnx.jit(lambda y: y + x)(np.ones(5)), X),
    "grad of jit": (nnx.grad(nnx.jit(rosenbrock)), X),
    "solve": (np.linalg.solve, A, X[:4]),
    "grad of solve": (nnx.grad(lambda a, b: np.sum(np.linalg.solve(a, b) ** 2)), A, X[:4]),
    "eigh": (lambda a: np.linalg.eigh(a + a.T), A),
    "grad of eigvalsh": (nnx.grad(lambda a: np.sum(np.linalg.eigvalsh(a + a.T) ** 3)), A),
    "svd, det": (lambda a: (np.linalg.svd(a), np.linalg.det(a), np.linalg.slogdet(a)), A),
    "grad of pinv": (nnx.grad(lambda b: np.sum(np.linalg.pinv(b))), B),
    "norm": (nnx.grad(np.linalg.norm), X),
    "loop that writes": (running, X),
    "its gradient": (nnx.grad(lambda x: np.sum(running(x))), X),
    "views in place": (in_place, X),
    "their gradient": (nnx.grad(lambda x: np.sum(in_place(x)[0] ** 2)), X),
    "into the argument": (into_the_argument, X),
    "mask": (masked, X),
    "its gradient ": (nnx.grad(lambda x: np.sum(masked(x) ** 2)), X),
    "twice the same": (twice_the_same, X),
    "written between": (written_between, X),
    "overwritten": (overwritten_view, X),
    "special": (lambda x: (scipy.special.expit(x), scipy.special.erf(x)), X),
    "grad of gammaln": (nnx.grad(lambda x: np.sum(scipy.special.gammaln(x * x))), X),
    "sorting": (lambda x: (np.sort(x), np.argsort(x), x.max(), np.median(x), np.std(x)), X),
    "joining": (lambda x: np.concatenate([x, x[::-1], np.ones(2)]), X),
    "einsum": (lambda a, b: np.einsum("ij,kj->ki", a, b), A, B),
    "grad of einsum": (nnx.grad(lambda a, b: np.sum(np.einsum("ij,kj->ki", a, b) ** 2)), A, B),
    "mask that takes all": (lambda x: np.sum(x[x > -100.0]), X),
    "no argument used": (lambda x: np.arange(3), X),
    "out": (lambda x: np.add(x, 1.0, out=np.empty_like(x)), X),
    "fft": (lambda x: np.fft.rfft(x), X),
    "saturated": (nnx.grad(lambda x: np.sum(np.tanh(30.0 * x))), X),
    "truth": (lambda x: np.allclose(x, x), X),
    "0-d": (lambda s: s * 2.0 + np.sin(s), np.asarray(2.0)),
    "NumPy's scalar": (lambda s: s * 2.0 + np.sin(s), np.float64(2.0)),
    "empty": (lambda x: (x[:0], np.sum(x[:0])), X),
    "methods": (lambda x: x.sum() + x.dot(x) + x.reshape(1, 5).T.sum(axis=0)[0] + x.clip(0.0, 1.0)[2], X),
    "split": (lambda x: np.split(x, 5), X),
    "rows": (lambda a: [row.sum() for row in a], A),
    "containers": (lambda x: {"a": (x, [x + 1.0, None]), "b": nnx.grad(rosenbrock)(x)}, X),
    "float32": (nnx.grad(lambda x: np.sum(np.exp(x * np.float32(2.0)))), X.astype("float32")),
    "complex": (lambda x: np.abs(np.exp(1j * x)) + np.real(np.fft.fft(x)), X),
    "-0.0 and 0.0": (lambda x: (x * 0.0, x * -0.0, x + 0.0, x + -0.0), -X),
}


def copied(args, factor=1.0):
    return [
        np.asarray(a * factor, dtype=a.dtype)[()] if a.ndim == 0 else a * a.dtype.type(factor) for a in args
    ]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_bits_are_those_without_jit(name: str) -> None:
    function, *args = FUNCTIONS[name]
    jitted = nnx.jit(function)
    for factor in (1.0, 1.0, 1.125):  # recorded, replayed, replayed with other numbers
        same_bits(jitted(*copied(args, factor)), function(*copied(args, factor)))


def test_what_is_written_into_the_argument_is_there() -> None:
    jitted, x, y = nnx.jit(into_the_argument), X.copy(), X.copy()
    for _ in range(2):
        assert jitted(x) is x
        into_the_argument(y)
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("start", [0, 2, 4])
def test_arguments_that_share_memory(start: int) -> None:
    def function(x, y):
        before = np.sin(y)
        x += 1.0
        return before, np.sin(y)

    jitted = nnx.jit(function)
    jitted(np.ones(4), np.ones(4))  # recorded with two arrays
    one, other = np.arange(8.0), np.arange(8.0)
    same_bits(jitted(one[:4], one[start : start + 4]), function(other[:4], other[start : start + 4]))
    np.testing.assert_array_equal(one, other)


def test_a_scalar_and_an_array_of_no_axes_are_two_programs() -> None:
    def function(x):
        x += 1.0
        return x

    jitted = nnx.jit(function)
    assert jitted(np.asarray(1.0)) == 2.0
    assert jitted(np.float64(1.0)) == 2.0
    assert jitted(np.asarray(1.0)) == 2.0


def test_results_are_the_callers_own() -> None:
    jitted = nnx.jit(lambda x: (np.sin(x), np.arange(3.0), np.zeros(2)))
    first = jitted(X)
    for result in first:
        result += 1.0
    same_bits(jitted(X), (np.sin(X), np.arange(3.0), np.zeros(2)))


STEPS = {
    "add": lambda a, b: a + b,
    "multiply": lambda a, b: a * b,
    "sin": lambda a, b: np.sin(a),
    "where": lambda a, b: np.where(a > b, a, -b),
    "row": lambda a, b: a[0] * np.ones_like(b),
    "turn": lambda a, b: a.T[::-1].T + b,
    "sum": lambda a, b: np.sum(a, axis=0, keepdims=True) + b,
    "matmul": lambda a, b: a @ b.T @ a / 9.0,
    "max": lambda a, b: np.maximum(a, np.max(b)),
    "roll": lambda a, b: np.roll(a, 1, axis=0) - b,
    "take": lambda a, b: a[np.asarray([2, 0, 1])] + b,
    "write a row": lambda a, b: (a.__setitem__(1, b[0]), a)[1],
    "write in place": lambda a, b: (a.__imul__(b), a)[1],
    "write into a view": lambda a, b: (a[1:, ::2].__iadd__(b[1:, ::2]), a)[1],
    "copy": lambda a, b: a.copy(),
    "reshape": lambda a, b: a.reshape(4, 3).T.copy().reshape(3, 4) + b,
}


@given(st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 3), st.integers(0, 3)), max_size=12))
@settings(max_examples=150)
def test_random_programs(steps: list[tuple[str, int, int]]) -> None:
    def function(x, y):
        held = [x * 1.0, y * 1.0, x + y, np.sin(x)]
        for name, i, j in steps:
            held[(i + j) % 4] = STEPS[name](held[i], held[j])
        return held

    x, y = RANDOM.normal(size=(3, 4)), RANDOM.normal(size=(3, 4))
    jitted = nnx.jit(function)
    with np.errstate(all="ignore"):
        for a, b in ((x, y), (x, y), (y, x)):
            same_bits(jitted(a, b), function(a, b))


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "relu", "erf"])
@pytest.mark.parametrize("call", ["function", "body"])
def test_activations_with_a_kernel_of_the_library_in_nested_transforms(name: str, call: str) -> None:
    """Arrays of a transform inside take the way of the standard's calls, and are no arrays of the program."""
    function = getattr(nnx.activations, name)
    function = function.plain if call == "body" else function

    def second(x):
        return nnx.grad(lambda w: np.sum(nnx.grad(lambda v: np.sum(function(v) * v))(w) ** 2))(x)

    x = np.linspace(-1.1, 1.2, 6)
    for transform in (nnx.grad(lambda w: np.sum(function(w) * w)), second):
        same_bits(nnx.jit(transform)(x), transform(x))


def test_a_namespace_asked_for_outside_serves_a_transform_inside() -> None:
    def slope(x):
        xp = nnx.backend.namespace(x)
        return nnx.grad(lambda w: xp.sum(xp.sin(w) * xp.concat([w[1:], w[:1]])))(x)

    same_bits(nnx.jit(slope)(np.arange(4.0)), slope(np.arange(4.0)))


def test_reshape_with_an_order() -> None:
    x = np.arange(6.0)
    for order in ("C", "F"):
        same_bits(
            nnx.jit(lambda x, order=order: np.reshape(x, (2, 3), order))(x), np.reshape(x, (2, 3), order)
        )


def test_errstate_around_a_part_is_around_that_part_alone() -> None:
    def function(x):
        with np.errstate(divide="ignore"):
            quiet = 1.0 / x
        return quiet, np.log(x)

    def silent(x):
        with np.errstate(divide="ignore"):
            y = 1.0 / x
            return np.where(np.isfinite(y), y, 0.0)

    jitted, x = nnx.jit(function), np.asarray([0.0, 2.0])
    for _ in range(3):
        with pytest.warns(RuntimeWarning, match="log") as found:
            jitted(x)
        assert len(found) == 1
    same_bits(nnx.jit(silent)(x), silent(x))
    again = nnx.jit(silent)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [again(x)[1] for _ in range(3)] == [0.5] * 3
