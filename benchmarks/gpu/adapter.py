"""Section: every function of the backend's adapter beside NumPy's, CuPy's own kernels first.

The tolerances: what is integer arithmetic (Philox, masks, gathers) must agree bit for bit; logarithm, cosine
and erf of CUDA's library differ by a few units in the last place; factorizations by the condition.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from checks import Check, Found, Skip, against_numpy
from machine import Machine

FLOATS = ("float32", "float64")
SHAPES = ((), (0,), (1,), (5,), (3, 4, 5), (257, 1023))
#: Small words, large words, and one for each place of the address.
STREAMS = ((0, 0, 0, 0), (2**64 - 1,) * 4, (1234567890123456789, 2, 3, 2**40 + 7), (1, 0, 2**63, 0))


def checks(machine: Machine) -> Iterator[Check]:
    """In order of worth."""
    yield from random_numbers(machine)
    yield from (against_numpy(f"erf, {t}", lambda b, t=t: erf(b, t), 8 * eps(t)) for t in FLOATS)
    for t in FLOATS:
        yield against_numpy(f"scatter_add, {t}", lambda b, t=t: scatter_add(b, t), 0.0, 1e3 * eps(t))
        yield against_numpy(
            f"scatter_add of whole numbers, {t}", lambda b, t=t: scatter_add(b, t, whole=True)
        )
        yield against_numpy(f"cholesky, {t}", lambda b, t=t: cholesky(b, t), 0.0, 1e3 * eps(t))
        yield against_numpy(f"solve_positive, {t}", lambda b, t=t: solve(b, t), 0.0, 1e5 * eps(t))
    yield against_numpy("cholesky and solve_positive give None without positive definiteness", not_positive)
    yield against_numpy("map_inplace", map_inplace, 1e-14, 1e-15)
    yield against_numpy("map_inplace reads all before it writes, and sees changing scalars", in_place)
    for t in ("float16", *FLOATS):
        yield against_numpy(
            f"map_inplace of every operation, with NaN and infinities, {t}",
            lambda b, t=t: every_operation(b, t),
            4 * eps(t),
            eps(t),
        )
    yield against_numpy("take_rows by a permutation", shuffled)
    yield against_numpy("matmul_into", matmul_into, 1e-13, 1e-13)
    yield against_numpy("there and back, every type and layout", moving)
    yield against_numpy("small types and foreign byte orders", foreign)
    yield against_numpy("broadcast_copy, materialized, sum_is_finite, shares_memory", little_ones)
    yield against_numpy("sliding windows and their derivative", windows, 1e-13, 1e-13)
    yield Check("results stay on the device", stay)


def eps(dtype: str) -> float:
    """The unit of rounding, doubled."""
    return float(np.finfo(dtype).eps)


def owned(b: Any, x: Any) -> Any:
    """An array that may be written to."""
    return b.xp.asarray(b.asarray(x), copy=True)


def random_numbers(machine: Machine) -> Iterator[Check]:
    """Philox' streams: uniform numbers and masks bit for bit, normal ones to the rounding of log and cos."""

    def draw(b: Any, dtype: str, name: str, shapes: Any = SHAPES, streams: Any = STREAMS) -> Any:
        from nnx.backend import Stream

        kind, rate = b.adapter.dtype(dtype), (0.3,) if name == "keep_mask" else ()
        draws = {(s, shape): (Stream(*s), *rate, shape, kind, b.device) for s in streams for shape in shapes}
        return {key: getattr(b.adapter, name)(*arguments) for key, arguments in draws.items()}

    for dtype in FLOATS:
        for name in ("uniform", "keep_mask"):
            yield against_numpy(f"{name}, {dtype}", lambda b, d=dtype, n=name: draw(b, d, n))
        # the radius is at most √(2·53·ln 2) = 8.6; of it and of cos a few units in the last place
        yield against_numpy(f"normal, {dtype}", lambda b, d=dtype: draw(b, d, "normal"), 0.0, 32 * eps(dtype))
        yield against_numpy(f"positive_keep_mask, {dtype}", lambda b, d=dtype: positive_mask(b, d))
    many = (machine.sized(3_000_001, 30_001),)
    for name in ("uniform", "keep_mask"):
        long = f"{name} of {many[0]} numbers"
        yield against_numpy(long, lambda b, n=name: draw(b, "float32", n, [many], STREAMS[2:3]))
    yield against_numpy("keep_mask at rates from 0 to 0.999999", rates)


def positive_mask(b: Any, dtype: str) -> Any:
    from nnx.backend import Stream

    z = b.asarray(np.linspace(-1.0, 1.0, 600).reshape(20, 30), dtype=dtype)
    return b.adapter.positive_keep_mask(Stream(3, 2, 1), 0.3, z)


def rates(b: Any) -> Any:
    from nnx.backend import Stream

    kind = b.adapter.dtype("float32")
    wanted = (0.0, 1e-6, 0.2, 0.5, 0.999, 0.999999)
    return {r: b.adapter.keep_mask(Stream(5), r, (1001,), kind, b.device) for r in wanted}


def erf(b: Any, dtype: str) -> Any:
    ends = [0.0, 1e-30, 1e-8, 0.46875, 0.46876, 3.999, 4.001, 5.9, 10.0, 26.0, 1e4, math.inf, math.nan]
    x = np.concatenate([ends, np.negative(ends), np.linspace(-6.0, 6.0, 9973)]).astype(dtype)
    return b.adapter.erf(b.asarray(x))


def scatter_add(b: Any, dtype: str, whole: bool = False) -> Any:
    """Atomic additions come in any order: sums of whole numbers agree, others to rounding."""
    random, results = np.random.default_rng(0), {}
    for tail in ((), (3,), (2, 3)):
        values = random.standard_normal((500, *tail))
        values = np.round(8 * values) if whole else values
        index = random.integers(0, 7, 500)
        results[tail] = b.adapter.scatter_add(9, b.asarray(index), b.asarray(values, dtype=dtype))
    none = np.zeros((0, 3))
    results["none"] = b.adapter.scatter_add(2, b.asarray(none[:, 0].astype("int64")), b.asarray(none))
    return results


def positive(n: int, dtype: str) -> np.ndarray:
    """Symmetric and positive definite, with the condition 100."""
    q = np.linalg.qr(np.random.default_rng(n).standard_normal((n, n)))[0]
    a = (q * np.geomspace(1.0, 0.01, n)) @ q.T
    return (0.5 * (a + a.T)).astype(dtype)


def cholesky(b: Any, dtype: str) -> Any:
    return {n: b.adapter.cholesky(b.asarray(positive(n, dtype))) for n in (1, 5, 200)}


def solve(b: Any, dtype: str) -> Any:
    results = {}
    for n, tail in ((1, ()), (10, (3,)), (200, ()), (200, (3,))):
        right = np.cos(np.arange(n * math.prod(tail))).reshape(n, *tail).astype(dtype)
        results[n, tail] = b.adapter.solve_positive(b.asarray(positive(n, dtype)), b.asarray(right))
    return results


def not_positive(b: Any) -> Any:
    bad = {
        "indefinite": np.diag([1.0, -1.0, 2.0]),
        "zero": np.zeros((3, 3)),
        "singular": np.ones((3, 3)),
        "nan": np.full((3, 3), np.nan),
        "nan at last": np.diag([1.0, 1.0, np.nan]),
        "large": np.diag(np.linspace(1.0, -1e-3, 200)),
    }
    ways = {name: (b.adapter.cholesky(b.asarray(a)),) for name, a in bad.items()}
    solved = {f"solve {n}": b.adapter.solve_positive(b.asarray(a), b.asarray(a[0])) for n, a in bad.items()}
    return ways | solved


def momentum(xp: Any, w: Any, m: Any, g: Any, rate: float) -> Any:
    m = 0.9 * m + g
    return xp.where(g > 2.5, w - rate * xp.sqrt(xp.abs(m)), xp.maximum(w, 0.25)), m


def swap(xp: Any, a: Any, b: Any) -> Any:
    return b, a


def scale(xp: Any, w: Any, rate: float) -> Any:
    return (w * rate,)


def operations(xp: Any, x: Any, y: Any, mask: Any, a: Any) -> Any:
    """Every operation that a step may have: the entries of x and y are any, a is a number."""
    low, other = (x < y) & ~mask, (x >= y) | xp.logical_not(x <= a)
    first = xp.where(low, xp.maximum(x, y) - a, xp.minimum(y, 0.1) / x)
    second = xp.where(xp.where(mask, low, other), xp.sqrt(xp.abs(x)) + 1.0, -xp.sign(y) * math.inf)
    third = xp.exp(xp.minimum(x, 1.0)) + xp.abs(y) ** a + xp.minimum(x * x, 9.0) ** 2.0
    fourth = xp.where((x > y) | (x == y), xp.sign(y), math.nan) + xp.where(
        x != x, -math.inf, xp.where(mask, x, 0.0)
    )
    either, both = xp.logical_or(x > 0.0, mask), xp.logical_and(y < 1.0, mask)
    return first, second, third, fourth, xp.where(either, x * a, y) + xp.where(both, x, 0.0)


def every_operation(b: Any, dtype: str) -> Any:
    if not hasattr(b.xp, dtype):
        raise Skip(f"{b.adapter.name} has no {dtype}")
    values = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 2.0, -3.0, math.inf, -math.inf, math.nan]
    x, y = (b.asarray(v.ravel(), dtype=dtype) for v in np.meshgrid(values, values))
    mask = b.asarray(np.arange(len(values) ** 2) % 3 == 0)
    results = tuple(b.xp.zeros_like(x) for _ in range(5))
    with np.errstate(all="ignore"):
        b.adapter.map_inplace(operations, (x, y, mask), results, (0.7,))
    return results


def map_inplace(b: Any) -> Any:
    results = {}
    for n in (1, 100, 70_001):
        w, m, g = (np.linspace(*ends, n) for ends in ((0, 1), (-1, 1), (2, 3)))
        own = owned(b, w), owned(b, m)
        b.adapter.map_inplace(momentum, (*own, b.asarray(g)), own, (0.1,))
        results[n] = own
    return results


def in_place(b: Any) -> Any:
    a, c = (owned(b, np.full(1000, value)) for value in (1.0, 2.0))
    b.adapter.map_inplace(swap, (a, c), (a, c))
    for rate in (2.0, 3.0):
        b.adapter.map_inplace(scale, (a,), (a,), (rate,))
    return a, c


def shuffled(b: Any) -> Any:
    """What ``fit`` does with each batch."""
    from nnx.backend import Stream, philox

    order = philox.generator(Stream(1, philox.SHUFFLE)).permutation(1000)
    results = {}
    for shape in ((1000,), (1000, 7), (1000, 2, 3)):
        x = np.arange(math.prod(shape), dtype="float32").reshape(shape)
        results[shape] = b.adapter.take_rows(b.asarray(x), b.asarray(order))
        out = owned(b, x[:32])
        results[shape, "a buffer offered"] = b.adapter.take_rows(b.asarray(x), b.asarray(order[:32]), out)
    return results


def matmul_into(b: Any) -> Any:
    x, y = np.sin(np.arange(60.0)).reshape(5, 12), np.cos(np.arange(84.0)).reshape(12, 7)
    return b.adapter.matmul_into(b.asarray(x), b.asarray(y), owned(b, np.zeros((5, 7))))


def moving(b: Any) -> Any:
    x = np.arange(24).reshape(4, 6) % 2
    layouts = {"C": x, "F": x.T, "reversed": x[::-1], "strided": x[:, ::2], "0-d": x[0, 0], "empty": x[:0]}
    types = ("float32", "float64", "int64", "int32", "uint8", "bool")
    given = {(k, t): b.asarray(a.astype(t)) for k, a in layouts.items() for t in types}
    return given, b.asarray([1, 2], dtype="float32"), b.asarray(2.5, dtype="float64")


def foreign(b: Any) -> Any:
    x = np.arange(6).reshape(2, 3)
    return {t: b.asarray(x.astype(t), dtype="float32") for t in (">f4", ">i2", "float16", "int8")}


def little_ones(b: Any) -> Any:
    xp, adapter = b.xp, b.adapter
    row = b.asarray(np.arange(6.0))
    wide = xp.broadcast_to(row, (4, 6))
    limits = [adapter.sum_is_finite(b.asarray([1.0, x])) for x in (1.0, math.inf, math.nan)]
    alone = bool(adapter.shares_memory(xp.asarray(row, copy=True), row)) and b.name == "cupy"
    return adapter.broadcast_copy(row, (4, 6)), adapter.materialized(wide), limits, alone


def windows(b: Any) -> Any:
    import nnx

    x = b.asarray(np.sin(np.arange(40.0)).reshape(5, 8))

    def energy(x: Any) -> Any:
        return np.sum(np.lib.stride_tricks.sliding_window_view(x, (2, 3)) ** 2 * 0.5)

    return nnx.value_and_grad(energy)(x)


def stay(machine: Machine) -> Found:
    """Where the results of the adapter lie."""
    from nnx.backend import Stream, device_of

    b = machine.backend
    x, kind = b.asarray(np.ones((3, 3))), b.adapter.dtype("float32")
    results = {
        "asarray": x,
        "erf": b.adapter.erf(x),
        "scatter_add": b.adapter.scatter_add(3, b.asarray([0, 1, 1]), x),
        "uniform": b.adapter.uniform(Stream(0), (3,), kind, b.device),
        "normal": b.adapter.normal(Stream(0), (3,), kind, b.device),
        "keep_mask": b.adapter.keep_mask(Stream(0), 0.5, (3,), kind, b.device),
    }
    wrong = {name: str(device_of(y)) for name, y in results.items() if device_of(y) != b.device}
    if wrong:
        raise AssertionError(f"not on {b.device}: {wrong}")
    return Found(f"all of {len(results)} on {b.device}")
