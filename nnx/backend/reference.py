"""What nnx needs of an array library beyond the standard, written in standard calls only.

:class:`Adapter` is the whole list. A library's own adapter overrides what the library does faster; the rest
works as written here. ``tests/backend/test_adapters.py`` checks that the two agree.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from nnx.backend import error_function, philox, special
from nnx.backend.ending import Endings
from nnx.backend.pooling import Pooling
from nnx.backend.programs import Programs
from nnx.backend.recurrent import Recurrence
from nnx.backend.sums import Sums

Array = Any


class Adapter(Endings, Pooling, Recurrence, Programs, Sums):
    """One array library: its namespace and the few functions that the standard lacks.

    Arrays may have any shape where a method says nothing else, and results have the shape of the argument.

    >>> adapter = nnx.backend.adapter_of(np.ones(1))
    >>> adapter.scatter_add(3, np.asarray([2, 0, 2]), np.asarray([1.0, 10.0, 100.0]))
    array([ 10.,   0., 101.])
    >>> adapter.solve_positive(np.asarray([[2.0, 0.0], [0.0, 4.0]]), np.asarray([1.0, 1.0]))
    array([0.5 , 0.25])
    """

    name = "reference"
    #: The adapter that this one lies over, and whose arrays may be mixed with its own.
    below: Adapter | None = None
    #: Python's operators for its arrays, by name, where Python itself does not find them.
    operator: Any = None
    #: Functions beyond the standard that derivative rules use, where those written in the standard do not do.
    own: Mapping[str, Any] = MappingProxyType({})
    #: True where reading a value on the host (``float(x)``) does not wait for another device.
    reads_are_free = False
    #: True where :meth:`take_rows` and :meth:`matmul_into` write into ``out``.
    fills_buffers = False
    #: True where an index may hold arrays beside slices, which the standard does not have.
    mixes_indices = True
    #: True where an index may be any object that has ``__array__``, a traced array among them.
    takes_index_by_protocol = False
    #: Entries in one block of a computation in blocks, so that temporaries stay in the cache; infinite where
    #: blocks only cost launches.
    cached_entries = math.inf

    def __init__(self, xp: Any) -> None:
        self.xp = xp

    # -- moving ---------------------------------------------------------------------------------

    def device(self, spec: Any) -> Any:
        """The library's device object for what a user wrote (None, a number, a name, a device)."""
        return spec

    def asarray(self, x: Any, dtype: Any = None, device: Any = None) -> Array:
        """``x`` (of this library, of NumPy, a list, a number) as an array on ``device``."""
        return self.xp.asarray(x, dtype=dtype, device=device)

    def to_numpy(self, x: Array) -> np.ndarray:
        """``x`` as a NumPy array: the one place where data are moved back to the host."""
        return np.from_dlpack(x)

    def need_entries(self, x: Array, what: str) -> None:
        """Raises where entries of ``x``, called ``what``, are missing: masked, sparse, without memory."""

    #: The classes of the library's own arrays and scalars: what is none of them may be a subclass.
    kinds: frozenset[type] = frozenset()

    def own_kind(self, x: Any) -> str:
        """Empty if ``x`` computes as the library's own arrays do; else what it is, and what to do instead."""
        return ""

    def sum_is_finite(self, x: Array) -> bool:
        """Whether the sum of ``x`` is finite: then all of ``x`` is. Takes no memory and gives no warning."""
        with self.without_warnings():
            return math.isfinite(self.to_numpy(self.xp.sum(x)))

    def without_warnings(self) -> AbstractContextManager[Any]:
        """A time in which results beyond the largest number are infinite and nothing is said of it."""
        return np.errstate(over="ignore", invalid="ignore")

    def held(self) -> AbstractContextManager[Any]:
        """A time in which kernels share their work among the cores themselves, and BLAS leaves it to them."""
        return nullcontext()

    def each(self, function: Callable[[Any], Any], blocks: Iterable[Any]) -> Iterator[Any]:
        """``function(block)`` for each block, in their order; several at a time where that is quicker."""
        return map(function, blocks)

    def synchronize(self, device: Any = None) -> None:
        """Waits until the device has finished all of its work."""

    def dtype(self, name: Any) -> Any:
        """The library's dtype object for a name such as ``"float32"`` (a dtype passes through)."""
        return getattr(self.xp, name) if isinstance(name, str) else name

    def is_floating(self, dtype: Any) -> bool:
        """Whether a dtype is of real floating-point numbers."""
        return bool(self.xp.isdtype(dtype, "real floating"))

    def shares_memory(self, y: Array, x: Array) -> bool:
        """Whether ``y``, made from ``x`` by moving or choosing entries, is a view of it."""
        return y.ndim > 0

    def laid_out(self, x: Array, like: Array) -> Array:
        """``x`` with the layout in memory of ``like``, where the library has layouts."""
        return x

    def copied_if_small(self, x: Array) -> Array:
        """A copy of ``x`` if it is small, else ``x`` itself."""
        return x

    def lock(self, x: Any) -> Callable[[], Any] | None:
        """Makes ``x`` read-only, or watches it for writes; None where neither is possible.

        The returned function unlocks ``x``; it returns False if ``x`` was written into meanwhile.
        """
        return None

    def materialized(self, x: Array) -> Array:
        """``x``, or a copy if several of its entries share a place in memory, as after broadcasting."""
        return x

    def broadcast_copy(self, x: Array, shape: tuple[int, ...]) -> Array:
        """``x`` broadcast to ``shape``: a copy, or a view where that is faster; not to be written into.

        ``shape``: whole numbers ≥ 0.
        """
        return self.xp.broadcast_to(x, shape)

    # -- slopes of functions that saturate ---------------------------------------------------------

    def restored(self, d: Array, x: Array, exact: Callable[..., Array]) -> Array:
        """``d``, and ``exact(xp, x)`` where d, of x's shape, is small; d may be written into.

        What a difference of rounded numbers near 1 leaves has 12 (in float32: 5) digits down to there.
        Complex numbers stay as they are.
        """
        xp = self.xp
        if xp.isdtype(d.dtype, "complex floating"):
            return d
        return xp.where(d < (1e-4 if d.dtype == xp.float64 else 0.025), exact(xp, x), d)

    def saturates(self, d: Array) -> bool:
        """Whether :meth:`restored` may have something to do; True where to look would wait for the device."""
        return True

    def may_saturate(self, y: Array, d: Callable[..., Array]) -> bool:
        """The same of a slope ``d(xp, y)`` that is smallest at an end of the values y."""
        return True

    # -- what the standard lacks ------------------------------------------------------------------

    def tanh(self, x: Array) -> Array:
        """Tanh x: the standard's, where the library has nothing quicker."""
        return self.xp.tanh(x)

    def sigmoid(self, x: Array) -> Array:
        """1/(1 + e^−x) to a few units in the last place; nothing overflows."""
        xp = self.xp
        t = xp.exp(-xp.abs(x))
        # The numerator is 1 to the right of 0 and e^x to the left. (A choice by `where` is 30 times slower.)
        return xp.maximum(t, xp.astype(x > 0.0, t.dtype)) / (1.0 + t)

    def erf(self, x: Array) -> Array:
        """erf(x) by W. J. Cody's rational approximations (Math. Comp. 23, 1969, 631–637)."""
        return error_function.erf(self.xp, x)

    def erfc(self, x: Array) -> Array:
        """1 − erf(x) by the same approximations, without cancellation to the right."""
        return error_function.erfc(self.xp, x)

    def unless_nan(self, x: Array, d: Array) -> Array:
        """``d``, and NaN where ``x``, of the same shape and data type, is NaN."""
        return self.xp.where(self.xp.isnan(x), x, d)

    def unit_step(self, x: Array) -> Array:
        """1 to the right of 0, 0 elsewhere, NaN of NaN, in the type of ``x``."""
        return self.unless_nan(x, self.xp.astype(x > 0.0, x.dtype))

    def special(self, name: str) -> Callable[..., Array]:
        """SciPy's special function of that name, for arrays of this library.

        Here computed by SciPy on the host, which waits for the device. Raises
        :class:`nnx.errors.BackendNotInstalled` without SciPy, and :class:`nnx.errors.DerivativeError` for a
        name that it does not have.
        """
        return special.on_the_host(name, self.to_numpy, self.asarray)

    def scatter_add(self, n: int, index: Array, values: Array) -> Array:
        """``out`` with ``n`` rows of zeros, where ``out[index[i]] += values[i]`` for every i.

        ``n`` is a whole number ≥ 0. ``index`` has shape (k,) and ``values`` (k, ...). Repeated indices add
        up. Here as a product with a one-hot matrix of k·n entries, which is deterministic.
        """
        xp = self.xp
        rows = xp.arange(n, dtype=index.dtype, device=xp.asarray(index).device)
        hot = xp.astype(rows[:, None] == index[None, :], values.dtype, copy=False)
        flat = xp.reshape(values, (values.shape[0], math.prod(values.shape[1:])))
        return xp.reshape(hot @ flat, (n, *values.shape[1:]))

    def may_write(self, x: Array) -> bool:
        """Whether the library lets entries of ``x`` be set."""
        return True

    #: Whether ``add_at`` can add to an array that is there.
    adds_at_places = False

    def add_at(self, x: Array, key: Any, values: Array) -> Array | None:
        """``x`` with ``values`` added in place at the index ``key`` of arrays, where repeated places add up.

        None where the library has nothing quicker than ``scatter_add`` and a sum.
        """
        return None

    def cholesky(self, a: Array) -> Array | None:
        """The lower triangular L with a = L·Lᵀ; None where ``a`` is not numerically positive definite.

        ``a`` is (n, n) and symmetric; a NaN or an infinity in it gives None as well. Waits for the device.
        """
        try:
            factor = self.xp.linalg.cholesky(a)
        except (ValueError, RuntimeError):  # the standard names no error; every library's is one of these
            return None
        return factor if self._finite(factor) else None

    def solve_positive(self, a: Array, b: Array) -> Array | None:
        """The solution x of a·x = b for a symmetric positive definite ``a`` (n, n); ``b`` is (n,) or (n, k).

        None where ``a`` is not numerically positive definite or x is not finite. Waits for the device.
        """
        if self.cholesky(a) is None:
            return None
        try:
            x = self.xp.linalg.solve(a, b)  # the standard has no solution with triangles
        except (ValueError, RuntimeError):  # a pivot was 0 here that rounding made positive there
            return None
        return x if self._finite(x) else None

    def solver_of_positive(self, a: Array) -> Callable[[Array], Array | None] | None:
        """``b`` → x of :meth:`solve_positive`, for a matrix ``a`` that serves several b.

        None where ``a`` is known not to be positive definite. Waits for the device.
        """
        return partial(self.solve_positive, a)

    def _finite(self, x: Array) -> bool:
        return bool(self.to_numpy(self.xp.all(self.xp.isfinite(x))))

    # -- random numbers: the same on every library ------------------------------------------------

    def uniform(self, stream: philox.Stream, shape: Sequence[int], dtype: Any, device: Any) -> Array:
        """Uniform numbers in [0, 1) from the counter-based ``stream``.

        ``shape``: whole numbers ≥ 0.
        """
        return self.asarray(philox.uniform(stream, tuple(shape)), dtype=dtype, device=device)

    def normal(self, stream: philox.Stream, shape: Sequence[int], dtype: Any, device: Any) -> Array:
        """Standard normal numbers (Box–Muller) from the counter-based ``stream``.

        ``shape``: whole numbers ≥ 0.
        """
        return self.asarray(philox.normal(stream, tuple(shape)), dtype=dtype, device=device)

    def keep_mask(
        self, stream: philox.Stream, rate: float, shape: Sequence[int], dtype: Any, device: Any
    ) -> Array:
        """Inverted-dropout mask: 0 with probability ``rate``, else 1/(1 − rate).

        ``rate`` in [0, 1), kept to 2⁻¹⁶; ``shape``: whole numbers ≥ 0.
        """
        kind = np.float64 if dtype == self.xp.float64 else np.float32
        return self.asarray(philox.keep_mask(stream, rate, tuple(shape), kind), dtype=dtype, device=device)

    def positive_keep_mask(self, stream: philox.Stream, rate: float, z: Array) -> Array:
        """The mask of :meth:`keep_mask` for ``z``, 0 where z ≤ 0 and NaN where z is: relu and dropout in one.

        ``rate`` in [0, 1), kept to 2⁻¹⁶.
        """
        mask = self.keep_mask(stream, rate, z.shape, z.dtype, getattr(z, "device", None))
        return self.unless_nan(z, mask * self.xp.astype(z > 0, z.dtype))

    # -- the training loop's kernels --------------------------------------------------------------

    def matmul_into(self, a: Array, b: Array, out: Array) -> Array:
        """The product a @ b; ``out``, of that shape, may be where the result is (or is ignored)."""
        return a @ b

    def take_rows(self, x: Array, index: Array, out: Array | None = None) -> Array:
        """``x[index]`` along the first axis; ``out`` may be a buffer to reuse (or is ignored)."""
        return self.xp.take(x, index, axis=0)
