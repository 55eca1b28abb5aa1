"""Comparisons of arrays under differentiation: constants that work where plain truth values do."""

from __future__ import annotations

import operator

import numpy as np
import pytest

import nnx
from nnx.autodiff.array import is_traced
from nnx.backend import namespace, to_numpy

X = np.asarray([0.3, -1.2, 2.1, 0.0])
PLAIN = np.asarray([1.0, 2.0, 3.0, 4.0])


def inside(check, x=X):
    """Runs ``check`` on ``x`` under differentiation in both modes, and under two transforms at once."""

    def cost(x):
        check(x)
        return namespace(x).sum(x)

    nnx.grad(cost)(x)
    nnx.jvp(cost, (x,), (x,))
    nnx.hessian(cost)(x)


@pytest.mark.parametrize("compare", [getattr(operator, n) for n in "eq ne lt le gt ge".split()])
def test_a_comparison_is_a_constant_with_the_values_of_a_plain_one(compare, backend):
    def check(x):
        for left, right in ((x, 0.0), (x, x[0]), (x[0], x), (0.0, x), (x, plain)):
            mask = compare(left, right)
            assert not is_traced(mask)
            expected = compare(*(values(v) for v in (left, right)))
            np.testing.assert_array_equal(to_numpy(mask), expected)

    def values(v):
        return to_numpy(nnx.stop_gradient(v)) if hasattr(v, "dtype") else v

    plain = backend.asarray(PLAIN)
    inside(check, backend.asarray(X))


#: What NumPy code does with ``x > 0``: each must give the same as without differentiation.
USES = {
    "bool": lambda x: bool(x[0] > 0.0),
    "if": lambda x: 1 if x[1] > 0.0 else 2,
    "and": lambda x: x[0] > 0.0 and x[2] > 0.0,
    "index": lambda x: PLAIN[x > 0.0],
    "index of a matrix": lambda x: np.outer(PLAIN, PLAIN)[:, x > 0.0],
    "write": lambda x: written(x > 0.0, 7.0),
    "where": lambda x: np.where(x > 0.0, 1.0, PLAIN),
    "np.any": lambda x: np.any(x > 0.0),
    "np.all": lambda x: np.all(x > 0.0),
    "x.any()": lambda x: (x > 0.0).any(),
    "&": lambda x: (x > 0.0) & (x < 1.0),
    "& plain": lambda x: (x > 0.0) & (PLAIN > 1.0),
    "plain &": lambda x: (PLAIN > 1.0) & (x > 0.0),
    "|": lambda x: (x > 0.0) | (x < -1.0),
    "^": lambda x: (x > 0.0) ^ (x < 1.0),
    "~": lambda x: ~(x > 0.0),
    "sum": lambda x: int(np.sum(x > 0.0)),
    "count": lambda x: np.count_nonzero(x > 0.0),
    "flatnonzero": lambda x: np.flatnonzero(x > 0.0),
    "times plain": lambda x: PLAIN * (x > 0.0),
    "astype": lambda x: (x > 0.0).astype(float) @ PLAIN,
    "tolist": lambda x: (x > 0.0).tolist(),
    "nbytes": lambda x: (x > 0.0).nbytes,
    "flags": lambda x: (x > 0.0).flags.c_contiguous,
    "tobytes": lambda x: (x > 0.0).tobytes(),
    "asarray": lambda x: np.asarray(x > 0.0),
    "list": lambda x: [bool(b) for b in x > 0.0],
    "format": lambda x: f"{x[0] > 0.0}",
    "floor": lambda x: x // 1.0,
    "argmax as an index": lambda x: [5, 6, 7, 8][np.argmax(x > 1.0)],
}


def written(mask, value):
    out = PLAIN.copy()
    out[mask] = value
    return out


@pytest.mark.parametrize("use", USES)
def test_a_comparison_is_used_as_a_plain_one(use):
    expected = USES[use](X)

    def check(x):
        found = USES[use](x)
        assert not is_traced(found)
        np.testing.assert_array_equal(to_numpy(found) if hasattr(found, "dtype") else found, expected)

    inside(check)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(x[x > 0.0] ** 2),
        lambda x: np.sum(x * (x > 0.0)),
        lambda x: np.sum((x > 0.0) * x * (PLAIN > 1.0)),
        lambda x: np.sum(np.where((x > 0.0) & (x < 1.0), x * x, np.sin(x))),
        lambda x: np.sum(x**3, where=x > 0.0),
        lambda x: np.sum(np.select([x > 1.0, x > 0.0], [x, x * x], -x)),
    ],
)
def test_what_is_chosen_by_a_comparison_has_the_right_derivatives(f):
    nnx.check_derivatives(f, X + 0.05)


def test_plain_arrays_are_indexed_and_chosen_by_constants(backend):
    plain = backend.asarray(PLAIN)
    masks = backend.name != "array_api_strict"  # on that device it has no indexing by masks

    def check(x):
        xp, library = namespace(x), namespace(plain)
        assert to_numpy(plain[xp.argmax(x)]) == 3.0
        np.testing.assert_array_equal(to_numpy(library.where(x > 0.0, plain, -plain)), [1.0, -2.0, 3.0, -4.0])
        if masks:
            np.testing.assert_array_equal(to_numpy(plain[x > 0.0]), [1.0, 3.0])

    inside(check, backend.asarray(X))


def test_a_result_beside_the_value_is_a_plain_array():
    (_, (mask,)), _ = nnx.value_and_grad(lambda x: (np.sum(x), [x > 0.0]), has_aux=True)(X)
    assert type(mask) is np.ndarray
    np.testing.assert_array_equal(mask, X > 0.0)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_take_along_axis_takes_every_type_of_integers(dtype, backend):
    index = backend.asarray([2, 0, 2], dtype=dtype)

    def f(x):
        return namespace(x).sum(namespace(x).take_along_axis(x, index, axis=0) ** 2)

    np.testing.assert_allclose(
        to_numpy(nnx.grad(f)(backend.asarray([1.0, 2.0, 3.0], dtype="float64"))), [2.0, 0.0, 12.0]
    )
