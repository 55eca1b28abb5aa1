"""Rules made into kernels give what the rule itself gives."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest

from nnx.backend import kernels, loops
from nnx.backend.recording import record
from nnx.optimizers import FirstOrder, PerArray, registry


def chosen(xp, w, g, s, rate):
    """Every kind of operation, and a result that overwrites what is read later."""
    big = xp.abs(g) > 0.5
    step = xp.where(big, xp.sign(g), -g / (xp.sqrt(s) + 1.0))
    moved = w - rate * xp.minimum(xp.maximum(step, -0.75), 0.75)
    return moved, s + w * w, 2.0 - moved


def arrays(n, dtype):
    random = np.random.default_rng(0)
    return [
        random.standard_normal(n).astype(dtype),
        random.standard_normal(n).astype(dtype),
        random.random(n).astype(dtype),
    ]


def run(make, n, dtype):
    w, g, s = arrays(n, dtype)
    extra = np.empty_like(w)
    recording = record(chosen, 3, 1)
    targets = (0, 2, None)
    kernel = make(recording, targets, (w, g, s))
    kernel((w, g, s), (w, s, extra), (0.1,))
    return w, s, extra


def needed(name):
    if name == "compiled" and loops.compiled("entries") is None:
        pytest.skip("Numba is not there, or left out")


MAKERS = {
    "blockwise": lambda recording, targets, read: kernels.blockwise(recording, targets, read[0].dtype),
    "at once": lambda recording, targets, read: kernels.at_once(recording, targets, read[0].dtype),
    "compiled": lambda recording, targets, read: kernels.compiled(
        recording, targets, tuple(x.dtype == bool for x in read)
    ),
}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, kernels.BLOCK, 2 * kernels.BLOCK + 7])
def test_a_kernel_is_the_function(name, dtype, n):
    needed(name)
    expected = chosen(np, *arrays(n, dtype), 0.1)
    for got, want in zip(run(MAKERS[name], n, dtype), expected, strict=True):
        assert got.dtype == want.dtype
        # one rounding more or less where a compiler fuses multiplication and addition
        np.testing.assert_allclose(got, want, rtol=4 * np.finfo(dtype).eps, atol=np.finfo(dtype).eps)


@pytest.mark.parametrize("name", MAKERS)
def test_nan_and_infinity_pass_through(name):
    needed(name)

    def clipped(xp, w):
        return (xp.maximum(xp.minimum(w, 1.0), -1.0) / xp.abs(w),)

    w = np.asarray([np.nan, np.inf, -np.inf, 0.0, 3.0])
    with np.errstate(all="ignore"):
        expected = clipped(np, w)[0]
        MAKERS[name](record(clipped, 1, 0), (0,), (w,))((w,), (w,), ())
    np.testing.assert_allclose(w, expected, rtol=1e-15)


def test_without_numba_there_are_blocks(monkeypatch):
    def move(xp, w, g):
        return (w - 0.5 * g,)

    monkeypatch.setitem(sys.modules, "nnx.backend.compiled_entries", None)
    loops.compiled.cache_clear()
    assert kernels.compiled(record(move, 2, 0), (0,), (False, False)) is None
    loops.compiled.cache_clear()


def test_what_cannot_be_recorded_is_left_alone():
    assert record(lambda xp, w: (xp.cumulative_sum(w),), 1, 0) is None
    assert record(lambda xp, w: (w if w > 0 else -w,), 1, 0) is None
    assert record(lambda xp, a, b: (b, a), 2, 0) is None
    assert record(lambda xp, w: (w * np.ones(3),), 1, 0) is None


def test_the_rule_of_every_optimizer_is_recorded():
    for entry in [e for e in registry if issubclass(e.target, FirstOrder)]:
        if issubclass(entry.target, PerArray):
            continue  # a rule of whole arrays is no kernel
        optimizer = entry.create()
        names = optimizer.rule.__code__.co_varnames[1 : optimizer.rule.__code__.co_argcount]
        vectors = 2 + len(optimizer.slots()) + optimizer.watches
        recording = record(optimizer.rule, vectors, len(names) - vectors)
        assert recording is not None, entry.name


def masked(xp, w, g, mask, power):
    """Vectors of bools, read and combined, and a power."""
    turned = (g * w < 0.0) & mask
    return xp.where(turned | ~mask, xp.abs(w) ** power, g), w - g


@pytest.mark.parametrize("name", MAKERS)
def test_vectors_of_bools_and_powers(name):
    needed(name)
    w, g, s = arrays(kernels.BLOCK + 5, "float64")
    mask, out = s > 0.5, np.empty_like(w)
    expected = masked(np, w, g, mask, 0.3)
    MAKERS[name](record(masked, 3, 1), (None, 0), (w, g, mask))((w, g, mask), (out, w), (0.3,))
    np.testing.assert_allclose(out, expected[0], rtol=4e-16)  # two powers may differ in the last bit
    np.testing.assert_array_equal(w, expected[1])


def test_threads_have_buffers_of_their_own():
    n, results = 8 * kernels.BLOCK, {}
    expected = chosen(np, *arrays(n, "float64"), 0.1)[0]

    def work(k):
        for _ in range(5):
            results[k] = run(MAKERS["blockwise"], n, "float64")[0]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for got in results.values():
        np.testing.assert_allclose(got, expected, rtol=1e-15)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("n", [5, 2 * kernels.BLOCK + 5])
def test_conditions_may_be_any_values_and_constants_infinite(name, n):
    needed(name)
    if name == "at once":
        n = min(n, kernels.BLOCK)

    def chosen_twice(xp, w, g, mask):
        low = w < g
        twice = xp.where(xp.where(mask, w > g, w < 0.0), w, g)
        return twice, xp.where(w, g, -np.inf), xp.where(low, w, np.nan), low

    w, g, s = arrays(n, "float64")
    w[::3] = 0.0
    mask, out = s > 0.5, tuple(np.empty_like(w) for _ in range(4))
    MAKERS[name](record(chosen_twice, 3, 0), (None,) * 4, (w, g, mask))((w, g, mask), out, ())
    for got, want in zip(out, chosen_twice(np, w, g, mask), strict=True):
        np.testing.assert_array_equal(got, want)
