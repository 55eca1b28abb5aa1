"""``nnx.vmap``: beside a loop over the samples on every function of the standard, and in every nesting."""

from __future__ import annotations

import itertools
import warnings
from dataclasses import dataclass

import numpy as np
import pytest
from autodiff.derivative_cases import CASES
from walks import walk

import nnx
from nnx.autodiff import flatten
from nnx.autodiff.batching.rules import BATCHING
from nnx.autodiff.space import RULES
from nnx.backend import namespace, to_numpy
from nnx.errors import AxisError, DerivativeError, LoopWarning, ShapeError

N = 3
X = np.arange(12.0).reshape(4, 3) / 7.0 + 0.1
W = np.asarray([1.0, 2.0, -1.0])
# The same operations in another order of summation: a few units in the last place of numbers up to 1e3.
CLOSE = {"rtol": 1e-10, "atol": 1e-11}

pytestmark = pytest.mark.filterwarnings("error::nnx.errors.LoopWarning", "ignore::RuntimeWarning")


def leaves(tree):
    return flatten(tree)[0]


def agrees(found, rows):
    """Each result is the stack of those of the samples."""
    rows = [leaves(row) for row in rows]
    for k, part in enumerate(leaves(found)):
        np.testing.assert_allclose(to_numpy(part), np.stack([to_numpy(row[k]) for row in rows]), **CLOSE)


def like_a_loop(f, *args, in_axes=None):
    axes = in_axes or (0,) * len(args)
    n = next(a.shape[0] for a, axis in zip(args, axes, strict=True) if axis == 0)
    rows = [[a if axis is None else a[i, ...] for a, axis in zip(args, axes, strict=True)] for i in range(n)]
    agrees(nnx.vmap(f, in_axes=axes)(*args), [f(*row) for row in rows])


# -- the whole standard ----------------------------------------------------------------------------------


def samples(case, backend=None):
    """N arrays for each of the case's inputs: its own numbers in other orders, or (matrices) close to them."""
    random = np.random.default_rng(0)
    out = []
    for a in case.arrays():
        near = [a + 0.01 * random.normal(size=a.shape) for _ in range(N)]
        moved = [random.permutation(a.reshape(-1)).reshape(a.shape) for _ in range(N)]
        x = np.stack(near if "linalg" in case.name else moved)
        out.append(x if backend is None else backend.asarray(x, dtype="float64"))
    return out


def mappings(n):
    """All ways to map over some of n arguments: the first is to map over all."""
    return [axes for axes in itertools.product((0, None), repeat=n) if axes != (None,) * n]


def function_of(case):
    return lambda *a: case.function(namespace(*a), *a)


def number_of(case):
    """A number made of all real and imaginary parts of the results."""

    def number(*a):
        total = 0.0
        for k, y in enumerate(leaves(function_of(case)(*a))):
            xp = namespace(y)
            if xp.isdtype(y.dtype, "complex floating"):
                y = xp.real(y) + 2.0 * xp.imag(y)
            if xp.isdtype(y.dtype, "real floating"):
                total = total + xp.sum(xp.sin(y * (k + 1.0)))
        return total

    return number


FIRST = {case.name: case for case in reversed(CASES)}.values()


@walk("case", CASES)
def test_a_function_of_the_standard_is_its_loop(case):
    full = samples(case)
    for axes in mappings(len(full)):
        args = [x if axis == 0 else x[0] for x, axis in zip(full, axes, strict=True)]
        like_a_loop(function_of(case), *args, in_axes=axes)


@walk("case", FIRST)
def test_in_every_library(case, backend):
    full = samples(case, backend)
    if len(full) == 1:
        like_a_loop(function_of(case), *full)
    else:
        like_a_loop(function_of(case), full[0][0, ...], *full[1:], in_axes=(None, *(0,) * (len(full) - 1)))


@walk("case", FIRST)
def test_derivatives_of_samples_and_of_a_map(case):
    full, number = samples(case), number_of(case)
    argnums = tuple(range(len(full)))
    for axes in mappings(len(full))[:2]:
        args = [x if axis == 0 else x[0] for x, axis in zip(full, axes, strict=True)]
        like_a_loop(nnx.grad(number, argnums=argnums), *args, in_axes=axes)
        rows = [[a if axis is None else a[i] for a, axis in zip(args, axes, strict=True)] for i in range(N)]
        found = nnx.grad(lambda *a, axes=axes: np.sum(nnx.vmap(number, axes)(*a)), argnums=argnums)(*args)
        each = [nnx.grad(number, argnums=argnums)(*row) for row in rows]
        for k, (g, axis) in enumerate(zip(found, axes, strict=True)):
            parts = np.stack([row[k] for row in each])
            np.testing.assert_allclose(g, np.sum(parts, axis=0) if axis is None else parts, **CLOSE)


# -- axes and containers ---------------------------------------------------------------------------------


@dataclass
class Point:
    x: object
    y: object


def test_nested_containers_of_axes():
    tree = {"a": X, "b": [W, Point(X.T, 2.0)]}
    axes = ({"a": -2, "b": [None, Point(1, None)]},)
    found = nnx.vmap(lambda t: (t["a"] + t["b"][0] * t["b"][1].x, t["b"][1].y), axes, out_axes=(-1, None))(
        tree
    )
    np.testing.assert_allclose(found[0], (X + W * X).T, **CLOSE)
    assert found[1] == 2.0
    one_for_a_part = nnx.vmap(lambda t, k: t["a"] * t["b"][0] + k, ({"a": 1, "b": None}, 0))(
        {"a": X, "b": [2.0]}, W
    )
    np.testing.assert_allclose(one_for_a_part, 2.0 * X.T + W[:, None], **CLOSE)


def test_arguments_by_name_and_results_that_all_share():
    found = nnx.vmap(lambda x, *, y: (x * y, W, 3.0, None), in_axes=1, out_axes=(1, 0, 0, 0))(X, y=W)
    np.testing.assert_allclose(found[0], X * W, **CLOSE)
    np.testing.assert_array_equal(found[1], np.stack([W] * 3))
    np.testing.assert_array_equal(found[2], [3.0] * 3)
    assert found[3] is None
    found[1][0] = 5.0  # the caller's own
    assert W[0] == 1.0


def test_a_result_never_aliases_an_argument():
    own = X.copy()
    found = nnx.vmap(lambda x: x)(own)
    found[:] = 0.0
    np.testing.assert_array_equal(own, X)


# ruff: noqa: E501 (a table reads best with a row in a line)
WRONG = {
    "lengths": (lambda: nnx.vmap(lambda a, b: a)(X, W), ShapeError, r"differ in length: 4 .argument 0 of shape .4, 3., axis 0.*3 .argument 1"),
    "a number": (lambda: nnx.vmap(lambda a, b: a)(X, 2.0), ShapeError, "argument 1 is a float.*None"),
    "no axis": (lambda: nnx.vmap(lambda a: a, in_axes=2)(X), AxisError, r"argument 0 has shape \(4, 3\), and no axis 2"),
    "nothing": (lambda: nnx.vmap(lambda a: a, in_axes=None)(X), DerivativeError, "nothing is mapped over"),
    "too few": (lambda: nnx.vmap(lambda a, b: a, in_axes=(0,))(X, X), ShapeError, "1 entries.*2 arguments"),
    "a string": (lambda: nnx.vmap(lambda a: a, in_axes="x")(X), ShapeError, "in_axes is an int, None or a tuple"),
    "structure": (lambda: nnx.vmap(lambda a: a["x"], in_axes=({"y": 0},))({"x": X}), ShapeError, "'y' for dict of 'x'"),
    "out structure": (lambda: nnx.vmap(lambda a: a, out_axes=(0, 0))(X), ShapeError, "out_axes.*for an array"),
    "out axis": (lambda: nnx.vmap(lambda a: a, out_axes=3)(X), AxisError, "out_axes=3 .* 2 dimensions"),
    "out None": (lambda: nnx.vmap(lambda a: a, out_axes=None)(X), ShapeError, "differs from sample to sample"),
    "a function": (lambda: nnx.vmap(3.0), DerivativeError, "pass the function itself"),
    "a string out": (lambda: nnx.vmap(lambda a: "s")(X), DerivativeError, "got str"),
    "index": (lambda: nnx.vmap(lambda a, i: a[i])(X, np.asarray([0, 1, 2, 3])), IndexError, "out of bounds"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_errors_say_which_argument(what):
    call, error, words = WRONG[what]
    with pytest.raises(error, match=words):
        call()


# -- plain code ------------------------------------------------------------------------------------------


def filled(x):
    out = np.zeros_like(x)
    row = out[:2]
    row[0] = x[1]
    out[2] += x[0] * 2.0
    row *= 3.0
    return out


PLAIN = {
    "writing through a view": filled,
    "methods": lambda x: (x.sum(), x.mean(axis=0), (x > 0.5).any(), x.argmax(), x.reshape(3, 1).T, x.copy().round(1)),
    "NumPy's calls": lambda x: (
        np.where(x > 0.5, x, 0.0), np.argsort(-x), np.sort(x), np.median(x), np.percentile(x, 30.0),
        np.einsum("i,j->ij", x, x), np.cumsum(x), np.linalg.norm(x), np.round(x, 1), np.isclose(x, 0.5),
        np.interp(x, [0.0, 1.0, 2.0], [0.0, 3.0, 1.0]), np.convolve(x, W), np.polyval(x, 2.0),
        np.searchsorted(W[:1], x), np.nan_to_num(x), np.linalg.solve(np.outer(x, x) + np.eye(3), W),
    ),
    "a mask that differs": lambda x: (lambda y: (y.__setitem__(y > 0.5, 0.0), y)[1])(x * 2.0),
    "lists": lambda x: np.stack([x[0], x[1]]) + np.concatenate([x[:1], x[2:]]),
    "Python's functions": lambda x: [len(x), x.shape[0], *list(x), max(1, 2)],
    "activations": lambda x: nnx.activations.gelu(x) + nnx.activations.softmax(x[None, :])[0],
    "value_and_grad": nnx.value_and_grad(lambda x: np.prod(x) * np.max(x)),
    "vjp": lambda x: nnx.vjp(lambda y: y * y[0], x)[1](W)[0],
    "jvp": lambda x: nnx.jvp(lambda y: y * y[0], (x,), (W,)),
    "jacobian": nnx.jacobian(lambda x: np.sin(x) * x[0]),
    "hessian": nnx.hessian(lambda x: np.sum(np.sin(x) * np.max(x) * x[0])),
    "hvp": lambda x: nnx.hvp(lambda y: np.prod(y), x, W),
    "a derivative by what all share": lambda x: nnx.grad(lambda w: np.sum(np.tanh(w * x)) + np.sum(w**2))(W),
    "a map in a map": lambda x: nnx.vmap(lambda a, b: a * b + x.sum() + b @ x, in_axes=(0, None))(x, W),
    "a gradient in a map in a gradient": lambda x: nnx.grad(
        lambda y: np.sum(nnx.vmap(nnx.grad(lambda a, b: np.sin(a * np.sum(b))), (0, None))(y, y))
    )(x),
    "checkpoint": nnx.grad(lambda x: nnx.checkpoint(lambda y: np.sum(np.sin(y) * y))(x)),
    "stop_gradient": nnx.grad(lambda x: np.sum(x * nnx.stop_gradient(x))),
}  # fmt: skip


@pytest.mark.parametrize("what", PLAIN)
def test_plain_code_is_its_loop(what):
    like_a_loop(PLAIN[what], X)


def test_indices_that_differ_from_sample_to_sample():
    i, pairs = np.asarray([0, 2, -1, 1]), np.asarray([[0, 2], [1, 1], [2, 0], [1, -2]])
    like_a_loop(lambda x, i: (x[i], x[i, None], x[:2][i // 2]), X, i)
    like_a_loop(lambda x, i: x[i] * np.take(x, i), X, pairs)
    like_a_loop(lambda x, i: np.outer(x, x)[i, 1:], X, pairs)
    like_a_loop(lambda x, i: np.outer(x, x)[:, i], X, pairs)
    like_a_loop(nnx.grad(lambda x, i: np.sum(x[i] ** 2)), X, pairs)

    def one_hot(i, x):
        out = np.zeros_like(x)
        out[i] = 1.0
        return out

    like_a_loop(one_hot, i, X)


# -- functions with a derivative of their own ------------------------------------------------------------


@nnx.custom_derivative(forward=lambda xp, d, y, a: d[0] * xp.cos(a) * 5.0)  # five times the true one
def sine(a):
    return np.sin(a)


def _weighted(xp, g, needs, y, a, b):
    return g * b * 3.0 if needs[0] else None, g * a * 7.0 if needs[1] else None


@nnx.custom_derivative(reverse=_weighted)
def foreign(a, b):
    return np.asarray([float(p) * float(q) for p, q in zip(a, b, strict=True)])


def _steps(a):
    z = a * 0.0 + 1.0
    for _ in range(60):
        z = z - (z * z * z - a) / (3.0 * z * z)
    return z


cube_root = nnx.implicit(root=lambda z, a: z * z * z - a)(_steps)


def test_a_derivative_of_ones_own_stays_that():
    like_a_loop(nnx.grad(lambda x: np.sum(sine(x) * x)), X)
    found = nnx.grad(lambda x: np.sum(nnx.vmap(lambda r: sine(r) * r[0])(x)))(X)
    np.testing.assert_allclose(found, nnx.grad(lambda x: np.sum(sine(x) * x[:, :1]))(X), **CLOSE)


def test_foreign_code_and_its_derivative():
    with pytest.warns(LoopWarning, match="foreign has no rule"):
        like_a_loop(nnx.grad(lambda x: np.sum(foreign(x, W) * x)), X)
    with pytest.warns(LoopWarning, match="foreign has no rule"):
        found = nnx.grad(lambda w: np.sum(nnx.vmap(foreign, (None, 0))(w, X)))(W)
    np.testing.assert_allclose(found, 3.0 * np.sum(X, axis=0), **CLOSE)


def test_implicit():
    like_a_loop(nnx.grad(lambda x: np.sum(cube_root(x) * x)), X)
    like_a_loop(nnx.hessian(lambda x: np.sum(cube_root(x) * x)), X)
    found = nnx.grad(lambda x: np.sum(nnx.vmap(cube_root)(x)))(X)
    np.testing.assert_allclose(found, X ** (-2.0 / 3.0) / 3.0, rtol=1e-9)  # the solver's own error


# -- what has no rule ------------------------------------------------------------------------------------


def absolute(x):
    return x if x[0] > 0.5 else -x


def accumulated(x):
    total = np.zeros(3)
    total += x
    return total


LOOPS = {
    "if": (absolute, "absolute cannot run on all samples at once: `x.0. > 0.5`"),
    "out=": (accumulated, "accumulated cannot run"),
    "float": (lambda x: x * float(x[0]), r"`float\(x\[0\]\)`"),
    "np.unique": (lambda x: np.unique(x), "np.unique has no rule"),
    "a random parameter": (lambda x: 0.0 * np.random.default_rng(0).normal(x), "cannot run"),
}


@pytest.mark.parametrize("what", LOOPS)
def test_what_has_no_rule_is_looped_over_and_says_so_once(what):
    f, words = LOOPS[what]
    mapped = nnx.vmap(f)
    with pytest.warns(LoopWarning, match=words) as seen:
        found = mapped(X)
        again = mapped(X)
    assert len(seen) == 1
    assert seen[0].filename == __file__
    np.testing.assert_array_equal(found, again)
    np.testing.assert_array_equal(found, np.stack([f(x) for x in X]))


def test_samples_with_results_of_different_shapes_are_an_error():
    with pytest.warns(LoopWarning), pytest.raises(ShapeError, match="different shapes"):
        nnx.vmap(lambda x: x[x > 0.5])(X)


def test_a_batched_array_does_not_outlive_its_map():
    kept = []
    nnx.vmap(lambda x: kept.append(x) or x)(X)
    with pytest.raises(DerivativeError, match="after the transform had returned"):
        kept[0] + kept[0]


def test_per_sample_grad_is_a_map_without_a_loop():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = nnx.per_sample_grad(lambda w, x: np.sin(w @ x))(W, X)
    np.testing.assert_allclose(found, np.cos(X @ W)[:, None] * X, **CLOSE)


def test_every_rule_knows_batched_arrays():
    assert set(RULES) <= set(BATCHING)


def _chosen_and_written(x):
    """Reads of parts of x, and writes by an index, a slice, an array and a mask."""
    r = np.zeros_like(x)
    r[0], r[1:3], r[[3, 4]] = x[2] ** 3, x[:2] * x[1:3], np.sin(x[[0, 3]]) * x[4]
    r[r > 2.0] = x[0] ** 2 * x[1]
    return np.sum(r[::2] * r[::-2]) + np.sum(x[[1, 1, 2]] ** 3) + np.sum(np.where(x > 0.8, x, 0.0) ** 4)


@pytest.mark.parametrize("axis", [0, None])
def test_second_derivatives_of_what_is_chosen_and_written(axis):
    xs = np.linspace(0.3, 1.9, 10).reshape(2, 5)
    one_by_one = [nnx.hessian(_chosen_and_written)(x) for x in xs]
    for x, h in zip(xs, one_by_one, strict=True):
        columns = [nnx.hvp(_chosen_and_written, x, e) for e in np.eye(5)]
        np.testing.assert_allclose(h, columns, **CLOSE)
    if axis is None:
        found = nnx.vmap(lambda e: nnx.hvp(_chosen_and_written, xs[0], e))(np.eye(5))
        np.testing.assert_allclose(found, one_by_one[0], **CLOSE)
    else:
        np.testing.assert_allclose(nnx.vmap(nnx.hessian(_chosen_and_written))(xs), one_by_one, **CLOSE)


# -- many unit arrays at once ----------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 8, 700])  # one by one, all in one call, in several calls
def test_jacobians_and_hessians_by_maps_are_those_by_rows(n):
    x = np.linspace(0.5, 1.5, n)
    found = nnx.jacobian(lambda x: np.cumsum(np.sin(x)) / np.sum(x))(x)
    lower, total = np.tril(np.ones((n, n))), np.sum(x)
    expected = lower * np.cos(x) / total - np.cumsum(np.sin(x))[:, None] / total**2
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)
    found = nnx.hessian(lambda x: np.sum(x**3) * x[0])(x)
    e = np.eye(n)[0]
    expected = np.diag(6.0 * x * x[0]) + 3.0 * (np.outer(e, x**2) + np.outer(x**2, e))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
