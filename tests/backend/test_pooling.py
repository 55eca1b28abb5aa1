"""Pooling's kernels give what the reference in standard calls gives, choice among equal maxima included."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from nnx.backend import loops, numpy_pooling, threads
from nnx.backend.numpy_adapter import load
from nnx.backend.pooling import Pooling
from nnx.layers.windows import windows_of

NUMPY = load()
REFERENCE = Pooling()
REFERENCE.xp = NUMPY.xp
CASES = [
    ((7,), 3, 2),
    ((6,), 2, 2),
    ((6, 4), 2, 2),
    ((7, 5), 2, 2),
    ((6, 9), 3, 2),
    ((5, 6), 3, 1),
    ((6, 6), 2, 3),
    ((4, 1), 1, 1),
    ((5, 4, 6), 2, 2),
    ((4, 5, 6), 3, 2),
]


@pytest.fixture(params=["blocks", "compiled"])
def made(request, monkeypatch):
    """Every block and every loop, however small the arrays, and two threads."""
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(numpy_pooling, "_WORTH_A_THREAD", 1)
    if request.param == "compiled":
        pytest.importorskip("numba")
        monkeypatch.setattr(numpy_pooling, "_WORTH_COMPILING", 0)
    else:
        monkeypatch.setattr(loops, "compiled", lambda name: None)
        monkeypatch.setattr(numpy_pooling, "_BLOCK", 100)
    return request.param


def same(name, *given, exact=True):
    found, wanted = getattr(NUMPY, name)(*given), getattr(REFERENCE, name)(*given)
    assert found.dtype == wanted.dtype
    if exact:
        np.testing.assert_array_equal(found, wanted)
    else:  # sums of at most 27 numbers in another order
        eps = np.finfo(found.dtype).eps
        np.testing.assert_allclose(found, wanted, rtol=30 * eps, atol=30 * eps)
    return found


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("lengths", "size", "stride"), CASES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_kernels_are_the_reference(lengths, size, stride, padding, dtype, made):
    axes = len(lengths)
    windows = windows_of("test", lengths, (size,) * axes, (stride,) * axes, padding)
    random = np.random.default_rng(0)
    x = random.integers(0, 4, (3, *lengths, 5)).astype(dtype)  # many equal maxima
    x[0, :2] = -np.inf
    y = same("max_pool", x, windows)
    g = random.integers(-50, 50, y.shape).astype(dtype)  # so that sums are exact
    same("from_maxima", g, x, y, windows)
    x[1, 0], x[1, -1, ..., 0] = np.nan, np.nan
    x.flags.writeable = False
    y = same("max_pool", x, windows)
    same("from_maxima", g, x, y, windows)
    g[0, 0], g[2, 0] = np.inf, np.nan
    same("from_maxima", g, x, y, windows)
    same("mean_pool", np.nan_to_num(x, neginf=2.5), windows, exact=False)
    same("from_means", random.normal(size=y.shape).astype(dtype), windows, exact=False)


def test_arrays_of_any_layout_and_no_samples(made):
    windows = windows_of("test", (6, 4), (2, 2), (2, 2), "valid")
    x = np.random.default_rng(0).normal(size=(3, 4, 6, 5)).transpose(0, 2, 1, 3)
    y = same("max_pool", x, windows)
    same("from_maxima", np.broadcast_to(2.0, y.shape), x, y, windows)
    same("from_means", np.broadcast_to(np.arange(5.0), y.shape), windows)
    assert NUMPY.max_pool(x[:0], windows).shape == (0, 3, 2, 5)
    assert NUMPY.from_means(y[:0], windows).shape == (0, 6, 4, 5)


def test_work_is_spread_over_threads_and_its_errors_arrive(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    seen, meeting = [], threading.Barrier(3, timeout=20)

    def work(a, b):
        meeting.wait()  # three at a time, or the barrier breaks
        seen.append((a, b))

    threads.spread(work, 8, most=9)
    assert sorted(seen) == [(0, 2), (2, 5), (5, 8)]
    seen.clear()
    threads.spread(lambda a, b: seen.append((a, b)), 8, most=1)
    assert seen == [(0, 8)]

    def fail(a, b):
        if a:
            raise ValueError("a part failed")

    with pytest.raises(ValueError, match="a part failed"):
        threads.spread(fail, 8, most=9)
