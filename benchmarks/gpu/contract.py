"""Section: what nnx relies on in CuPy, and where CuPy is not NumPy, each said once and tried out.

The tests run these checks on the double of CuPy in ``tests/cupy_double``, which stands in for it on machines
without a GPU: so what the double claims is what a GPU confirms here. ``docs/backends.md`` has the table.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import syncs
from checks import Check, Found, Skip
from machine import Machine

Array = Any


def checks(machine: Machine) -> Iterator[Check]:
    """In order of worth."""
    for what in (
        conversions, foreign_operands, indices, repeated_indices, failed_factorizations, batches,
        nan_and_bounds, results, promotion, layouts, entries_of_the_host, kernels, numpys_functions, devices,
    ):  # fmt: skip
        yield Check(str(what.__doc__).partition("\n")[0].rstrip("."), partial(with_cupy, what))
    for name, (call, waits) in calls().items():
        yield Check(
            f"{name} {'waits' if waits else 'does not wait'}", partial(waiting, call=call, waits=waits)
        )


def with_cupy(what: Callable[[Any, Any], None], machine: Machine) -> Found:
    """``what(cupy, backend)``; left out on other libraries."""
    if machine.backend.name != "cupy":
        raise Skip("only on CuPy")
    import cupy

    what(cupy, machine.backend)
    return Found("")


def refuses(kinds: Any, call: Callable[..., Any], *args: Any) -> None:
    """Raises AssertionError where ``call(*args)`` raises none of ``kinds``."""
    try:
        call(*args)
    except kinds:
        return
    raise AssertionError(
        f"{getattr(call, '__name__', call)} of {[type(a).__name__ for a in args]} is allowed"
    )


def same(found: Array, wanted: Any, dtype: str | None = None) -> None:
    """Raises AssertionError where an array of CuPy is not what it should be."""
    import cupy

    if not isinstance(found, cupy.ndarray):
        raise AssertionError(f"{type(found)} instead of an array")
    np.testing.assert_array_equal(found.get(), np.asarray(wanted))
    if dtype is not None and found.dtype != np.dtype(dtype):
        raise AssertionError(f"{found.dtype} instead of {dtype}")


def conversions(cp: Any, b: Any) -> None:
    """Arrays become NumPy's by get alone, are no Python index, have no hash and no namespace."""
    x = cp.asarray([1, 2, 3])
    for call in (np.asarray, np.from_dlpack, hash, operator.index):
        refuses((TypeError, BufferError), call, x)
    refuses(TypeError, operator.index, x[0])
    assert not hasattr(x, "__array_namespace__") and not hasattr(cp, "__array_namespace_info__")


def foreign_operands(cp: Any, b: Any) -> None:
    """NumPy's arrays and lists are no operands, and cannot be written into an array."""
    x, host = cp.asarray([1.0, 2.0]), np.ones(2)
    for other in (host, [1.0, 2.0]):
        refuses(TypeError, operator.add, x, other)
        refuses(TypeError, operator.mul, other, x)
        refuses(TypeError, cp.maximum, x, other)
    refuses((TypeError, ValueError), x.__setitem__, slice(None), host)


def indices(cp: Any, b: Any) -> None:
    """Whole numbers out of range wrap around where they are in an array, and raise where they are not."""
    x, index = cp.asarray([10, 11, 12]), cp.asarray([1, 3, -4])
    same(x[index], [11, 10, 12])
    same(cp.take(x, index), [11, 10, 12])
    same(b.adapter.take_rows(x, index), [11, 10, 12])
    refuses(IndexError, x.__getitem__, 3)
    y = cp.zeros(3)
    y[cp.asarray([4])] = 1.0
    same(y, [0.0, 1.0, 0.0])


def repeated_indices(cp: Any, b: Any) -> None:
    """With add.at repeated indices add up, those out of range wrap; it has no complex numbers, nnx has."""
    out = cp.zeros(3)
    cp.add.at(out, cp.asarray([0, 0, 5]), cp.asarray([1.0, 2.0, 4.0]))
    same(out, [3.0, 0.0, 4.0])
    cp.add.at(out, cp.zeros(0, dtype="int64"), cp.zeros(0))
    same(out, [3.0, 0.0, 4.0])
    z = cp.asarray([1j, 2.0, complex(math.inf, 1.0)])
    refuses(TypeError, cp.add.at, cp.zeros(3, dtype="complex128"), cp.asarray([0, 0, 1]), z)
    same(b.adapter.scatter_add(2, cp.asarray([0, 0, 1]), z), [2.0 + 1j, complex(math.inf, 1.0)])


def failed_factorizations(cp: Any, b: Any) -> None:
    """A factorization that fails raises only inside errstate; the adapter says None, for NaN as well."""
    from cupyx import errstate

    bad = cp.asarray([[1.0, 2.0], [2.0, 1.0]])
    cp.linalg.cholesky(bad)
    cp.linalg.solve(cp.zeros((2, 2)), cp.ones(2))
    with errstate(linalg="raise"):
        refuses(np.linalg.LinAlgError, cp.linalg.cholesky, bad)
    cp.linalg.cholesky(bad)  # as before
    for a in (bad, bad * math.nan):
        assert b.adapter.cholesky(a) is None
        assert b.adapter.solve_positive(a, cp.ones(2)) is None


def batches(cp: Any, b: Any) -> None:
    """Solve does not broadcast the batches of its arguments."""
    a = cp.broadcast_to(cp.eye(2), (3, 2, 2)).copy()
    same(cp.linalg.solve(a, cp.ones((3, 2, 1))), np.ones((3, 2, 1)))
    refuses((ValueError, IndexError, np.linalg.LinAlgError), cp.linalg.solve, a, cp.ones((1, 2, 1)))


def nan_and_bounds(cp: Any, b: Any) -> None:
    """CuPy's sign of NaN is 0, nnx's is NaN; its clip is NumPy's."""
    x = cp.asarray([-2.0, -0.0, 0.5, math.nan, math.inf])
    same(cp.sign(x), [-1.0, 0.0, 1.0, 0.0, 1.0])
    same(b.xp.sign(x), [-1.0, 0.0, 1.0, math.nan, 1.0])
    same(b.xp.clip(x, 0.0, 1.0), [0.0, 0.0, 0.5, math.nan, 1.0])
    same(b.xp.clip(x, max=cp.asarray(1.0)), [-2.0, 0.0, 0.5, math.nan, 1.0])
    same(b.xp.clip(cp.asarray([-3, 7], dtype="int8"), -500, 5), [-3, 5], "int8")
    same(b.xp.sign(cp.asarray([0j, -2j])), [0j, -1j])


def results(cp: Any, b: Any) -> None:
    """Reductions and entries are arrays without axes, never numbers."""
    x = cp.asarray([1.0, 2.0])
    for y in (cp.sum(x), x.sum(), x[0], cp.max(x), cp.linalg.norm(x), x @ x):
        assert isinstance(y, cp.ndarray) and y.shape == ()
    y = x / 0.0  # and no warning
    same(y, [math.inf, math.inf])


def promotion(cp: Any, b: Any) -> None:
    """Python's numbers take the array's type; NumPy's numbers and arrays without axes have their own."""
    x = cp.ones(2, dtype="float32")
    same(x * 2.0 + 1, [3.0, 3.0], "float32")
    same(x * np.float64(2.0), [2.0, 2.0], "float64")
    same(x * cp.asarray(2.0), [2.0, 2.0], "float64")
    same(cp.arange(2) / 2, [0.0, 0.5], "float64")


def layouts(cp: Any, b: Any) -> None:
    """Slices and entries are views; a broadcast array has strides of 0, and materialized copies it."""
    x = cp.zeros((2, 3))
    assert b.adapter.shares_memory(x[:, 1:], x) and not b.adapter.shares_memory(x.copy(), x)
    first = x[0, 0]
    x[:, 1:][...] = 1.0
    same(x[0], [0.0, 1.0, 1.0])
    x[0, 0] = 1.0
    same(first, 1.0)
    assert first.base is x[1].base is x and x.base is None
    same(x, [[1.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
    wide = cp.broadcast_to(x[0], (4, 3))
    assert 0 in wide.strides and 0 not in b.adapter.materialized(wide).strides


def entries_of_the_host(cp: Any, b: Any) -> None:
    """Every layout and byte order of NumPy is taken, small types too; extended precision is refused."""
    x = np.arange(6.0).reshape(2, 3)
    for host in (
        x,
        x.T,
        x[::-1],
        x[:, ::2],
        x.astype(">f4"),
        x.astype("float16"),
        np.broadcast_to(x[0], (2, 3)),
    ):
        same(b.asarray(host, dtype="float64"), host, "float64")
    same(b.asarray(x.astype(">f4")), x, "float32")
    same(b.asarray([1, 2], dtype="float32"), [1.0, 2.0], "float32")
    if np.dtype(np.longdouble) != np.float64:
        refuses((TypeError, ValueError), b.asarray, x.astype(np.longdouble))


def kernels(cp: Any, b: Any) -> None:
    """A kernel's letter is the type of its arrays, also for Python's numbers; it may write where it reads."""
    text = "T v = m ? (T)(x * a) : x; y = v; z = x"
    kernel = cp.ElementwiseKernel("T x, bool m, T a", "T y, T z", text, "nnx_contract")
    mask = cp.asarray([True, False])
    for dtype in ("float32", "float64"):
        x, z = cp.asarray([3.0, 5.0], dtype=dtype), cp.zeros(2, dtype=dtype)
        kernel(x, mask, 0.1, x, z)
        product = np.asarray(3.0, dtype) * np.asarray(0.1, dtype)
        same(x, np.asarray([product, 5.0], dtype), dtype)
        same(z, x.get(), dtype)  # y is x, and has been written
    refuses(TypeError, kernel, x, mask, 0.1, cp.zeros(2, dtype="float32"), z)


def numpys_functions(cp: Any, b: Any) -> None:
    """NumPy's functions of CuPy's arrays are CuPy's."""
    x = cp.asarray([0.0, 1.0])
    same(np.square(x), [0.0, 1.0])
    same(np.sum(x), 1.0)
    same(np.concatenate([x, x]), [0.0, 1.0] * 2)


def devices(cp: Any, b: Any) -> None:
    """The current device computes, and is the only one that nnx takes."""
    from nnx.errors import NoUsableDevice

    here = cp.cuda.Device()
    assert b.adapter.device(None) == here == b.adapter.device(here.id) == cp.ones(2).device
    for number in range(cp.cuda.runtime.getDeviceCount() + 1):
        if number != here.id:
            refuses(NoUsableDevice, b.adapter.device, number)


def calls() -> dict[str, tuple[Callable[[Any, Any, Any], Any], bool]]:
    """By name: ``call(cupy, backend, x)`` for a vector x of float64, and whether the host waits in it."""
    from nnx.backend import Stream

    def special(b: Any, name: str) -> Any:
        return b.adapter.special(name)

    def drawn(name: str, *rate: float) -> Callable[[Any, Any, Any], Any]:
        return lambda cp, b, x: getattr(b.adapter, name)(Stream(1), *rate, (9,), b.xp.float32, b.device)

    def updated(cp: Any, b: Any, x: Any) -> None:
        b.adapter.map_inplace(_halve, (x,), (x,), (0.5,))

    waits = {
        "float": lambda cp, b, x: float(x[0]),
        "bool": lambda cp, b, x: bool(x[0] > 0.0),
        "asnumpy": lambda cp, b, x: b.adapter.to_numpy(x),
        "reading through a mask": lambda cp, b, x: x[x > 1.0],
        "writing through a mask": lambda cp, b, x: x.__setitem__(x > 1.0, 0.0),
        "nonzero": lambda cp, b, x: cp.nonzero(x),
        "unique": lambda cp, b, x: cp.unique(x),
        "repeat by an array": lambda cp, b, x: cp.repeat(x, cp.asarray([1, 2, 1])),
        "full of an array without axes": lambda cp, b, x: cp.full((2,), x[0]),
        "array-api-compat's sign": lambda cp, b, x: _compat().sign(x),
        "array-api-compat's clip": lambda cp, b, x: _compat().clip(x, 0.0, 1.0),
        "cholesky of the adapter": lambda cp, b, x: b.adapter.cholesky(cp.eye(2)),
        "solve_positive of the adapter": lambda cp, b, x: b.adapter.solve_positive(cp.eye(2), cp.ones(2)),
        "sum_is_finite of the adapter": lambda cp, b, x: b.adapter.sum_is_finite(x),
    }
    free = {
        "arithmetic": lambda cp, b, x: x * x + 2.0,
        "a sum": lambda cp, b, x: cp.sum(x),
        "a slice": lambda cp, b, x: x[1:],
        "an index of whole numbers": lambda cp, b, x: x[cp.asarray([2, 0])],
        "take": lambda cp, b, x: b.xp.take(x, cp.asarray([2, 0]), axis=0),
        "take_along_axis": lambda cp, b, x: b.xp.take_along_axis(x, cp.asarray([2, 0]), axis=0),
        "where": lambda cp, b, x: b.xp.where(x > 1.0, x, 0.0),
        "writing an array without axes": lambda cp, b, x: x.__setitem__(..., x[0]),
        "sort": lambda cp, b, x: b.xp.sort(x),
        "argmax": lambda cp, b, x: b.xp.argmax(x),
        "cumulative_sum": lambda cp, b, x: b.xp.cumulative_sum(x),
        "concat": lambda cp, b, x: b.xp.concat([x, x]),
        "stack": lambda cp, b, x: b.xp.stack([x, x]),
        "matmul": lambda cp, b, x: x @ x,
        "sign": lambda cp, b, x: b.xp.sign(x),
        "clip": lambda cp, b, x: b.xp.clip(x, 0.0, 1.0),
        "zeros_like, full_like": lambda cp, b, x: (b.xp.zeros_like(x), b.xp.full_like(x, 2.0)),
        "solve": lambda cp, b, x: cp.linalg.solve(cp.eye(3), x),
        "erf of the adapter": lambda cp, b, x: b.adapter.erf(x),
        "special functions": lambda cp, b, x: special(b, "gammaln")(x),
        "scatter_add of the adapter": lambda cp, b, x: b.adapter.scatter_add(2, cp.asarray([0, 1, 1]), x),
        "uniform of the adapter": drawn("uniform"),
        "normal of the adapter": drawn("normal"),
        "keep_mask of the adapter": drawn("keep_mask", 0.5),
        "map_inplace of the adapter": updated,
    }
    return {k: (v, True) for k, v in waits.items()} | {k: (v, False) for k, v in free.items()}


def _compat() -> Any:
    import array_api_compat.cupy

    return array_api_compat.cupy


def _halve(xp: Any, x: Any, factor: float) -> Any:
    return (x * factor,)


def waiting(machine: Machine, call: Callable[[Any, Any, Any], Any], waits: bool) -> Found:
    if machine.backend.name != "cupy":
        raise Skip("only on CuPy")
    import cupy

    b = machine.backend
    x = cupy.asarray([0.5, 1.5, 2.5])
    call(cupy, b, x.copy())  # compiled before it counts
    with syncs.counted(machine) as places:
        call(cupy, b, x.copy())
    if bool(places.total()) is not waits:
        raise AssertionError(f"{places.total()} waits: {dict(places)}")
    return Found(f"{places.total()} reads")
