"""The shorter ways to NumPy's functions do what array-api-compat's do."""

from __future__ import annotations

import inspect

import array_api_compat.numpy as compat
import numpy as np
import pytest

from nnx.backend import make_backend

xp = make_backend("numpy").xp
ARRAYS = {
    "matrix": np.arange(1.0, 13.0, dtype=np.float32).reshape(3, 4),
    "transposed": np.arange(12.0).reshape(3, 4).T,
    "every other": np.arange(24).reshape(4, 6)[:, ::2],
    "int8": np.arange(100, 124, dtype=np.int8).reshape(2, 3, 4),
    "bool": np.asarray([[True, False], [True, True]]),
    "float16": np.full((3, 2000), 9.0, dtype=np.float16),
    "empty": np.ones((0, 3)),
    "0-d": np.asarray(3.0),
    "number": np.float32(2.0),
    "nan": np.asarray([[1.0, np.nan], [0.0, 2.0]]),
    "masked": np.ma.masked_array([[1.0, 2.0], [3.0, 4.0]], [[True, False], [False, False]]),
}
OF_AN_ARRAY = [
    ("sum", {}), ("sum", {"axis": 0}), ("sum", {"dtype": np.float64}), ("prod", {}),
    ("sum", {"axis": -1, "keepdims": True}), ("prod", {"axis": 0}), ("sum", {"axis": 0, "initial": 5}),
    ("min", {"axis": -1}), ("mean", {}), ("mean", {"axis": 0}), ("mean", {"axis": -1, "keepdims": True}),
    ("mean", {"axis": (0, 1)}), ("mean", {"keepdims": True}), ("matrix_transpose", {}),
    ("max", {}), ("max", {"axis": 0, "keepdims": True}), ("max", {"initial": 7, "where": True}),
    ("argmax", {}), ("argmax", {"axis": 0}), ("argmax", {"axis": -1, "keepdims": True}),
    ("zeros_like", {}), ("zeros_like", {"dtype": np.int64}), ("zeros_like", {"device": "cpu"}),
]  # fmt: skip


def same(found, expected):
    assert type(found) is type(expected)
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert found.strides == expected.strides
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("x", ARRAYS.values(), ids=ARRAYS)
@pytest.mark.parametrize(("name", "options"), OF_AN_ARRAY, ids=str)
def test_of_an_array(name, options, x):
    try:
        expected = getattr(compat, name)(x, **options)
    except Exception as error:
        with pytest.raises(type(error)):
            getattr(xp, name)(x, **options)
    else:
        same(getattr(xp, name)(x, **options), expected)


@pytest.mark.parametrize("x", ARRAYS.values(), ids=ARRAYS)
@pytest.mark.parametrize("options", [{}, {"copy": True}, {"copy": False}], ids=str)
def test_reshape_copies_only_where_it_must(x, options):
    try:
        expected = compat.reshape(x, (-1,), **options)
    except ValueError:
        with pytest.raises(ValueError, match="copy"):
            xp.reshape(x, (-1,), **options)
    else:
        found = xp.reshape(x, (-1,), **options)
        same(found, expected)
        assert np.may_share_memory(found, x) == np.may_share_memory(expected, x)


@pytest.mark.parametrize("name", ["zeros", "ones", "full", "empty"])
@pytest.mark.parametrize("options", [{}, {"dtype": np.float32}, {"device": "cpu"}], ids=str)
@pytest.mark.parametrize("shape", [3, (2, 0), ()], ids=str)
def test_creation_and_its_keywords(name, options, shape):
    given = {"shape": shape} | ({"fill_value": 2.5} if name == "full" else {}) | options
    found, expected = getattr(xp, name)(**given), getattr(compat, name)(**given)
    if name == "empty":
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    else:
        same(found, expected)


@pytest.mark.parametrize("name", ["zeros", "ones", "empty", "zeros_like"])
def test_a_device_that_there_is_not_is_refused(name):
    with pytest.raises(ValueError, match="gpu"):
        getattr(xp, name)(np.ones(2) if name == "zeros_like" else 2, device="gpu")


_N = 9000  #: beyond the length from which argsort has a way of its own
_DISTINCT = np.random.default_rng(0).permutation(_N) - 4000.5
LONG = {
    "distinct": _DISTINCT,
    "float32": _DISTINCT.astype(np.float32),
    "float16, many equal": _DISTINCT.astype(np.float16),
    "half equal": np.maximum(_DISTINCT, 0.0),
    "all equal": np.zeros(_N),
    "zeros of both signs": np.copysign(0.0, _DISTINCT),
    "nan and infinities": np.where(_DISTINCT > 3.0, np.nan, np.where(_DISTINCT < -3.0, -np.inf, _DISTINCT)),
    "all nan": np.full(_N, np.nan),
    "second axis": np.round(_DISTINCT[:_N] * [[0.01], [1.0]]),
    "first axis": np.round(_DISTINCT[:, None] * [0.01, 1.0]),
    "every other": np.repeat(_DISTINCT, 2)[::2],
    "whole numbers": np.arange(_N) % 7,
}


@pytest.mark.parametrize("x", LONG.values(), ids=LONG)
@pytest.mark.parametrize("descending", [False, True])
def test_long_arrays_are_sorted_as_they_stand(x, descending):
    axis = 0 if len(x) == _N else 1
    found = xp.argsort(x, axis=axis, descending=descending)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, compat.argsort(x, axis=axis, descending=descending))


def test_numpys_own_positions_of_arguments():
    x = ARRAYS["matrix"]
    for found, expected in (
        (xp.sum(x, 0), [15, 18, 21, 24]),
        (xp.max(x, 0), [9, 10, 11, 12]),
        (xp.argmax(x, 0), [2, 2, 2, 2]),
        (xp.full((2,), 3.0), [3, 3]),
    ):
        assert found.tolist() == expected


@pytest.mark.parametrize("name", ["zeros", "ones", "full", "empty", "sum", "prod", "max", "min", "argsort"])
def test_names_documentation_and_signature_are_kept(name):
    found, expected = getattr(xp, name), getattr(compat, name)
    assert (found.__name__, found.__doc__) == (expected.__name__, expected.__doc__)
    assert inspect.signature(found) == inspect.signature(expected)


def test_all_other_names_are_array_api_compats():
    assert {n for n in dir(compat) if not n.startswith("_")} <= set(dir(xp))
    assert xp.linalg is compat.linalg
    assert xp.__array_api_version__ == compat.__array_api_version__
    with pytest.raises(AttributeError):
        xp.no_such_function  # noqa: B018
