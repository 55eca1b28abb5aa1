"""The loops of normalization, compiled and in blocks, compute what their reference does."""

from __future__ import annotations

import numpy as np
import pytest

from nnx.backend import adapter_of, loops, numpy_normalizing, to_numpy
from nnx.backend.normalizing import Normalizing

RNG = np.random.default_rng(0)
#: even and odd numbers of rows, few and many columns, one row longer than a block
SHAPES = [(3000, 7), (4096, 8), (1000, 33), (257, 128), (64, 600), (3, 40_000)]
#: sums of n numbers of about 1 in an order of their own differ by about √n units in the last place
TOLERANCE = {"float64": 1e-12, "float32": 1e-3}


@pytest.fixture(params=["blocks", "compiled"])
def made(request, monkeypatch):
    if request.param == "blocks":
        monkeypatch.setattr(loops, "compiled", lambda name: None)
    else:
        pytest.importorskip("numba")
        monkeypatch.setattr(numpy_normalizing, "_WORTH_COMPILING", 0)
    return request.param


def calls(x, g, c, n):
    """Each kernel with its arguments."""
    vectors = [RNG.normal(size=c).astype(x.dtype) for _ in range(4)]
    inverse = RNG.uniform(0.5, 2.0, n).astype(x.dtype)
    return [
        ("column_moments", (x,)),
        ("column_products", (g, x, vectors[0])),
        ("column_products", (g, x, None)),
        ("scaled_columns", (x, *vectors[:3])),
        ("scaled_columns", (x, None, *vectors[:2])),
        ("mixed_columns", (g, vectors[0], x, *vectors[1:])),
        ("normalized_rows", (x, *vectors[:2], 1e-3)),
        ("normalized_rows", (x, None, None, 1e-3)),
        ("normalized_rows_back", (g, x, vectors[0], x.mean(axis=1), inverse)),
        ("normalized_rows_back", (g, x, None, x.mean(axis=1), inverse)),
    ]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_loops_are_their_reference(shape, dtype, made):
    x, g = (RNG.normal(size=shape).astype(dtype) + 1.0 for _ in range(2))
    adapter, reference = adapter_of(x), Normalizing(adapter_of(x).xp)
    for name, arguments in calls(x, g, shape[1], shape[0]):
        found, wanted = getattr(adapter, name)(*arguments), getattr(reference, name)(*arguments)
        pairs = zip(found, wanted, strict=True) if isinstance(found, tuple) else [(found, wanted)]
        for a, b in pairs:
            assert a.dtype == b.dtype and a.shape == b.shape
            scale = np.sqrt(max(shape)) if a.ndim == 1 else 1.0
            np.testing.assert_allclose(
                a, b, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] * scale, err_msg=name
            )


def test_what_may_not_be_written_into_and_what_is_not_contiguous(made):
    x = np.asfortranarray(RNG.normal(size=(300, 64)))
    g, v = RNG.normal(size=(600, 64))[::2], RNG.normal(size=64)
    for a in (x, g, v):
        a.flags.writeable = False
    adapter, reference = adapter_of(x), Normalizing(adapter_of(x).xp)
    for name, arguments in [("mixed_columns", (g, v, x, v, v, v)), ("scaled_columns", (x, None, v, v))]:
        wanted = getattr(reference, name)(*arguments)
        np.testing.assert_allclose(getattr(adapter, name)(*arguments), wanted, rtol=1e-13, atol=1e-13)


def test_variances_where_the_mean_is_large(made):
    x = (1e4 + RNG.normal(size=(5000, 40)) + np.arange(40.0)).astype("float32")
    mean, variance = adapter_of(x).column_moments(x)
    exact = x.astype("float64")
    np.testing.assert_allclose(mean, exact.mean(axis=0), rtol=1e-6)
    # A block's mean is off by up to a step of the numbers near 1e4, which is 1e-3; where blocks are joined
    # that comes times the deviation of their means. The mean of the squares minus that square is off by 8.
    np.testing.assert_allclose(variance, exact.var(axis=0), rtol=2e-3)


def test_the_number_of_threads_changes_no_bit(made, monkeypatch):
    x, g, v = RNG.normal(size=(5000, 24)), RNG.normal(size=(5000, 24)), RNG.normal(size=24)
    monkeypatch.setattr(numpy_normalizing, "_SHARE", 1 << 14)
    found = []
    for threads in ("1", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        a = adapter_of(x)
        mean, variance = a.column_moments(x)
        sums = a.column_products(g, x, mean)
        y, level, inverse = a.normalized_rows(x, v, v, 1e-3)
        backs = a.normalized_rows_back(g, x, v, level, inverse)
        found.append([mean, variance, *sums, y, *backs, a.mixed_columns(g, v, x, mean, v, v)])
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_other_libraries_have_the_reference(backend):
    x = RNG.normal(size=(300, 64))
    g, v = RNG.normal(size=(300, 64)), RNG.normal(size=64)
    xb, gb, vb = (backend.asarray(a, dtype="float64") for a in (x, g, v))
    adapter, own = adapter_of(xb), adapter_of(x)
    np.testing.assert_allclose(to_numpy(adapter.column_moments(xb)[1]), x.var(axis=0))
    found = adapter.normalized_rows_back(
        gb, xb, vb, adapter.xp.mean(xb, axis=1), adapter.xp.ones_like(xb[:, 0])
    )
    wanted = own.normalized_rows_back(g, x, v, x.mean(axis=1), np.ones(300))
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(to_numpy(a), b, rtol=1e-10, atol=1e-10)
