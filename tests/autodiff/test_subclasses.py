"""Masked arrays, np.matrix and other subclasses of NumPy's array: refused by name; harmless ones work."""

from __future__ import annotations

import re

import numpy as np
import pytest

import nnx
from nnx.errors import DerivativeError

X = np.asarray([1.0, 2.0, 3.0])
MASKED = np.ma.array([1.0, 2.0, 3.0], mask=[0, 1, 0])


pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # of np.matrix


class Own(np.ndarray):
    pass


def matrix():
    return np.asmatrix([[1.0, 2.0, 3.0], [0.0, 1.0, 4.0], [5.0, 0.0, 2.0]])


KINDS = {
    "masked": (lambda: MASKED, "masked array.*compressed"),
    "matrix": (matrix, r"np\.matrix.*np\.asarray\(x\)"),
    "own": (lambda: X.view(Own), r"Own.*np\.asarray\(x\)"),
}
TRANSFORMS = {
    "grad": lambda x: nnx.grad(np.sum)(x),
    "grad of a dict": lambda x: nnx.grad(lambda p: np.sum(p["a"]))({"a": x}),
    "vjp": lambda x: nnx.vjp(np.sin, x),
    "jvp": lambda x: nnx.jvp(np.sin, (x,), (x,)),
    "jacobian": lambda x: nnx.jacobian(np.sin)(x),
    "hessian": lambda x: nnx.hessian(np.sum)(x),
    "cotangent": lambda x: nnx.vjp(np.sin, np.asarray(x))[1](x),
    "tangent": lambda x: nnx.jvp(np.sin, (np.asarray(x),), (x,)),
}
OPERATIONS = {
    "x * w": lambda x, w: x * w,
    "x + w": lambda x, w: x + w,
    "np.multiply(w, x)": lambda x, w: np.multiply(w, x),
    "x / w": lambda x, w: x / w,
    "np.maximum": lambda x, w: np.maximum(x, w),
    "np.hypot": lambda x, w: np.hypot(w, x),
    "an argument": lambda x, w: x - w * 2.0,
}


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_arguments_of_a_subclass_are_refused_by_name(kind, transform):
    make, words = KINDS[kind]
    with pytest.raises(DerivativeError, match=words):
        TRANSFORMS[transform](make())


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_constants_of_a_subclass_are_refused_by_name(kind, operation):
    make, words = KINDS[kind]
    w = make()
    for transform in (nnx.grad, nnx.hessian):
        with pytest.raises((DerivativeError, TypeError, ValueError)) as caught:
            transform(lambda x: np.sum(OPERATIONS[operation](x, w)))(np.ones(w.shape))
        assert re.search(words, "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])]))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(MASKED * x),
        lambda x: np.ma.sum(x),
        lambda x: np.ma.array(x, mask=[0, 1, 0]).sum(),
        lambda x: np.ma.masked_where(X > 2.0, x).mean(),
        lambda x: np.sum(MASKED @ x),
        lambda x: np.sum(np.stack([x, MASKED])),
        lambda x: x[0] * np.ma.masked,
    ],
)
def test_masked_arrays_inside_are_refused(f):
    with pytest.raises((DerivativeError, ValueError)) as caught:
        nnx.grad(f)(X)
    text = "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
    assert re.search(r"(?i)masked array.*(x\[~mask\]|compressed)", text)


def test_what_the_message_advises_is_right():
    keep = ~MASKED.mask
    np.testing.assert_allclose(nnx.grad(lambda x: np.mean(x[keep] * MASKED.compressed()))(X), [0.5, 0.0, 1.5])


def test_memory_maps_and_record_arrays_of_numbers_work(tmp_path):
    mapped = np.memmap(tmp_path / "numbers", dtype="float64", mode="w+", shape=(3,))
    mapped[:] = X
    for x in (mapped, X.view(np.recarray)):
        np.testing.assert_array_equal(nnx.grad(lambda x: np.sum(x * x))(x), 2.0 * X)
        np.testing.assert_array_equal(nnx.grad(lambda y, x=x: np.sum(x * y))(X), X)
        np.testing.assert_array_equal(nnx.grad(lambda x: np.sum(x[1:] ** 2))(x), [0.0, 4.0, 6.0])
        np.testing.assert_array_equal(nnx.hessian(lambda x: np.sum(x**2))(x), 2.0 * np.eye(3))


def test_records_objects_and_dates_are_refused_with_the_way_round():
    records = np.asarray([(1.0, 2.0)], dtype=[("a", "f8"), ("b", "f8")])
    for x in (records, X.astype(object), np.asarray(["2020-01-01"], dtype="datetime64[D]")):
        with pytest.raises(DerivativeError, match=r"x\['name'\].*astype\(float\)|real floating-point type"):
            nnx.grad(np.sum)(x)
    np.testing.assert_array_equal(nnx.grad(lambda a: np.sum(a * records["b"]))(records["a"]), [2.0])
