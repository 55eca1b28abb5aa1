"""NumPy on the CPU."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cache, partial
from typing import Any

import numpy as np

from nnx.backend import loops, numpy_recurrent, philox, special
from nnx.backend.numpy_convolution import NumpyConvolution
from nnx.backend.numpy_ending import NumpyEndings
from nnx.backend.numpy_namespace import namespace
from nnx.backend.numpy_normalizing import NumpyNormalizing
from nnx.backend.numpy_pooling import NumpyPooling
from nnx.backend.numpy_programs import FEW, NumpyPrograms, zero
from nnx.backend.recurrent import Past
from nnx.backend.reference import Adapter, Array
from nnx.backend.sums import NumpySums
from nnx.backend.team import TEAM
from nnx.errors import DataError, OptionError

#: From so many entries on loops compiled by Numba (if installed) repay their compilation.
_WORTH_COMPILING_MASKS = 1 << 15
_WORTH_COMPILING_FUNCTIONS = 1 << 14
#: From this many unknowns on, LAPACK's solution by Cholesky repays the import of SciPy (0.2 s) in a training:
#: 600 unknowns take 3 ms instead of 11, but 61 take 15 µs instead of 50.
_WORTH_IMPORTING_SCIPY = 128


#: Bytes up to which a copy costs no more than recording an operation on a tape.
_SMALL = 1 << 14
#: where ``restored`` begins, by the bytes of a number
#: the slopes that are as exact where nothing is to be restored
_EVERYWHERE = frozenset(("sech_squared", "logistic_slope"))
_FEW_DIGITS = {8: 1e-4, 4: 0.025, 2: 0.1}
#: what says that there is nothing: complex numbers, no entries, long doubles
_NOTHING_TO_RESTORE = (TypeError, ValueError, KeyError)


class NumpyAdapter(
    NumpyConvolution, NumpyEndings, NumpyPooling, NumpyNormalizing, NumpyPrograms, NumpySums, Adapter
):
    """NumPy arrays in host memory."""

    name = "numpy"
    reads_are_free = True
    fills_buffers = True
    takes_index_by_protocol = True
    cached_entries = 1 << 17

    def device(self, spec: Any) -> Any:
        if spec not in (None, "cpu"):
            raise OptionError(f"NumPy has one device, 'cpu'; got device={spec!r}.")
        return "cpu"

    def asarray(self, x: Any, dtype: Any = None, device: Any = None) -> Array:
        return np.asarray(x, dtype=dtype)

    def to_numpy(self, x: Array) -> np.ndarray:
        return np.asarray(x)

    def need_entries(self, x: Array, what: str) -> None:
        if type(x) is not np.ndarray and np.ma.is_masked(x):
            raise DataError(
                f"{what} has masked entries, and nnx has no masks. Fill them, for example by .filled(0), or "
                "leave out their samples."
            )

    kinds = frozenset({np.ndarray, np.float64, np.float32, np.complex128, np.complex64, np.bool_, np.int64})

    def own_kind(self, x: Any) -> str:
        kind = type(x)
        if not issubclass(kind, np.ndarray) or kind in (np.ndarray, np.memmap, np.recarray):
            return ""
        if issubclass(kind, np.ma.MaskedArray):
            return (
                "a masked array (np.ma), and nnx has no masks: leave the masked entries out (x.compressed(), "
                "or index with ~x.mask), or fill them (x.filled(0.0)) and give them the weight 0"
            )
        name = "np.matrix" if issubclass(kind, np.matrix) else f"{kind.__module__}.{kind.__qualname__}"
        return f"a {name}, a subclass of np.ndarray with operations of its own: take np.asarray(x)"

    def held(self) -> AbstractContextManager[Any]:
        return TEAM.held()

    def each(self, function: Callable[[Any], Any], blocks: Iterable[Any]) -> Iterator[Any]:
        return TEAM.each(function, blocks)

    def shares_memory(self, y: Array, x: Array) -> bool:
        if not isinstance(y, np.ndarray):
            return False
        if y is x or (y.base is x and y.size):  # the commonest, in short
            return True
        return y.base is not None and np.may_share_memory(y, x)

    def laid_out(self, x: Array, like: Array) -> Array:
        if x.ndim == 0:
            return np.asarray(x)  # NumPy's operators give scalars, which cannot be written into
        if x.ndim == 1 or x.strides == like.strides:
            return x
        out = np.empty_like(like, dtype=x.dtype)
        out[...] = x
        return out

    def copied_if_small(self, x: Array) -> Array:
        return x.copy() if type(x) is np.ndarray and x.nbytes <= _SMALL else x

    def lock(self, x: Any) -> Callable[[], Any] | None:
        if type(x) is not np.ndarray or not x.flags.writeable:
            return None
        if x.base is None:
            x.setflags(write=False)
            return partial(x.setflags, write=True)
        # Of a view lock the view alone: the rest of its base may be written to.
        owner = x.base
        if type(owner) is not np.ndarray or owner.base is not None or not owner.flags.writeable:
            return None
        x.flags.writeable = False

        def release() -> bool:
            others = owner.flags.writeable  # another lock's, perhaps
            owner.flags.writeable = True  # NumPy makes no view of a read-only array writable
            x.flags.writeable = True
            owner.flags.writeable = others
            return True

        return release

    def materialized(self, x: Array) -> Array:
        return x.copy() if x.shape and 0 in x.strides else x

    def broadcast_copy(self, x: Array, shape: tuple[int, ...]) -> Array:
        if math.prod(shape) > _SMALL >> 3:
            return np.broadcast_to(x, shape)
        out = np.empty(shape, x.dtype)  # which takes a quarter of the time
        out[...] = x
        return out

    def tanh(self, x: Array) -> Array:
        quick = _compiled_functions(x)
        return quick.tanh(x) if quick else np.tanh(x)

    def sigmoid(self, x: Array) -> Array:
        quick = _compiled_functions(x)
        return quick.sigmoid(x) if quick else super().sigmoid(x)

    def unit_step(self, x: Array) -> Array:
        if x.size > FEW or type(x) is not np.ndarray or x.dtype.kind != "f":
            return super().unit_step(x)
        return np.heaviside(x, zero(x.dtype))  # one call; a number by number loop, slower where x is large

    def unless_nan(self, x: Array, d: Array) -> Array:
        if not x.size:
            return d
        top = np.maximum.reduce(x, axis=None)  # NaN where an entry is; faster than the choice
        return d if top == top else super().unless_nan(x, d)

    def restored(self, d: Array, x: Array, exact: Callable[..., Array]) -> Array:
        quick = d.size >= _WORTH_COMPILING_FUNCTIONS and _compiled_functions(d)  # no call for small arrays
        if quick and exact.__name__ in quick.RESTORES and x.flags.c_contiguous:
            quick.RESTORES[exact.__name__](d.reshape(-1), x.reshape(-1), quick.FEW_DIGITS)
            return d
        try:
            if d.item(d.argmin()) >= _FEW_DIGITS[d.itemsize]:  # as saturates: a call less in every slope
                return d
        except _NOTHING_TO_RESTORE:
            return d
        least = _FEW_DIGITS[d.itemsize]
        if not d.ndim:
            return exact(self.xp, x) if d < least else d
        few = d.size <= FEW  # then picking costs more than computing all
        if few and exact.__name__ in _EVERYWHERE:
            return exact(np, x)
        small = d < least
        if few:
            np.copyto(d, exact(np, x), where=small)
        else:
            d[small] = exact(self.xp, x[small])
        return d

    def saturates(self, d: Array) -> bool:
        try:
            return not d.item(d.argmin()) >= _FEW_DIGITS[d.itemsize]  # argmin: of a NaN, if there is one
        except _NOTHING_TO_RESTORE:
            return False

    def may_saturate(self, y: Array, d: Callable[..., Array]) -> bool:
        return self.saturates(d(np, y.flat[[y.argmin(), y.argmax()]]))

    def special(self, name: str) -> Callable[..., Array]:
        return special.of_scipy(name)

    def scatter_add(self, n: int, index: Array, values: Array) -> Array:
        width = math.prod(values.shape[1:])
        out = np.zeros(n * width, dtype=values.dtype)
        places = np.asarray(index, np.intp)
        if width != 1:  # entry by entry: NumPy adds whole rows four to six times slower
            places = (places[:, None] * width + np.arange(width)).reshape(-1)
        np.add.at(out, places, values.reshape(-1))
        return out.reshape(n, *values.shape[1:])

    def may_write(self, x: Array) -> bool:
        return x.flags.writeable

    adds_at_places = True

    def add_at(self, x: Array, key: Any, values: Array) -> Array | None:
        if not x.flags.writeable:
            return None
        if not _may_repeat(key):
            x[key] += values  # a twentieth of the time of ufunc.at
            return x
        if 8 * values.size > x.size:
            return None  # NumPy adds at several axes slowly
        np.add.at(x, key, values)
        return x

    def solve_positive(self, a: Array, b: Array) -> Array | None:
        solve = self.solver_of_positive(a)
        return None if solve is None else solve(b)

    def solver_of_positive(self, a: Array) -> Callable[[Array], Array | None] | None:
        lapack = _lapack(a.dtype.char) if a.shape[0] >= _WORTH_IMPORTING_SCIPY else None
        if lapack is not None:
            factor, failed = lapack[0](a, lower=1)
            return partial(_by_factor, lapack[1], factor) if failed == 0 else None
        try:
            factor = np.linalg.cholesky(a)
        except np.linalg.LinAlgError:
            return None
        # a NaN or an infinity in ``a`` has come to the diagonal, where it did not fail
        return partial(_solved, a) if np.isfinite(factor.diagonal()).all() else None

    def keep_mask(
        self, stream: philox.Stream, rate: float, shape: Sequence[int], dtype: Any, device: Any
    ) -> Array:
        return philox.keep_mask(stream, rate, tuple(shape), np.dtype(dtype).type)

    def positive_keep_mask(self, stream: philox.Stream, rate: float, z: Array) -> Array:
        if z.size >= _WORTH_COMPILING_MASKS and z.flags.c_contiguous:
            masks = loops.compiled("masks")
            if masks is not None:
                return masks.positive_keep_mask(stream, rate, z)
        return self.unless_nan(z, philox.keep_mask(stream, rate, z.shape, z.dtype.type, among=z > 0))

    def recurrence(
        self,
        name: str,
        x: Array,
        states: Sequence[Array],
        weights: Sequence[Array],
        mask: Array | None = None,
        sequences: bool = True,
        keep: bool = True,
        together: bool = True,
    ) -> tuple[tuple[Any, ...], Past | None]:
        return numpy_recurrent.run(name, x, states, weights, mask, sequences, keep, together)

    def recurrence_back(
        self,
        name: str,
        recurrent_kernel: Array,
        mask: Array | None,
        past: Past,
        gs: Sequence[Array | None],
    ) -> tuple[Array, tuple[Array, ...]]:
        return numpy_recurrent.back(name, recurrent_kernel, mask, past, gs)

    def recurrence_pullback(
        self,
        name: str,
        kernel: Array,
        recurrent_kernel: Array,
        mask: Array | None,
        past: Past,
        gs: Sequence[Array | None],
        needs: tuple[bool, bool] = (True, True),
    ) -> tuple[Any, tuple[Array, ...], tuple[Any, ...]]:
        return numpy_recurrent.pullback(name, kernel, recurrent_kernel, mask, past, gs, needs)

    def compiles(self, x: Any) -> bool:
        """Whether functions of arrays like x, an array or a description of one, are loops of Numba's."""
        return x.dtype.char == "d" and x.size >= _WORTH_COMPILING_FUNCTIONS and bool(_functions())

    def matmul_into(self, a: Array, b: Array, out: Array) -> Array:
        return np.matmul(a, b, out=out) if out.flags.writeable else a @ b

    def take_rows(self, x: Array, index: Array, out: Array | None = None) -> Array:
        # mode="clip" lets NumPy write into `out` directly; the training loop's indices are valid.
        return x.take(index, axis=0, out=out, mode="clip")


@cache
def _lapack(char: str) -> Any:
    """LAPACK's Cholesky factors, and the solution by them, for a dtype; None without SciPy."""
    try:
        from scipy.linalg import lapack
    except ImportError:
        return None
    known = {"f": (lapack.spotrf, lapack.spotrs), "d": (lapack.dpotrf, lapack.dpotrs)}
    return known.get(char)


def _by_factor(potrs: Any, factor: Array, b: Array) -> Array | None:
    x = potrs(factor, b, lower=1)[0]
    return x if np.isfinite(x).all() else None


def _solved(a: Array, b: Array) -> Array | None:
    try:
        x = np.linalg.solve(a, b)  # NumPy has no solution with triangles
    except np.linalg.LinAlgError:  # a pivot was 0 here that rounding made positive there
        return None
    return x if np.isfinite(x).all() else None


def _may_repeat(key: Any) -> bool:
    """Whether a place can be in the index ``key`` twice: where it has several whole numbers along an axis."""
    parts = [part for part in (key if type(key) is tuple else (key,)) if type(part) not in _SLICING]
    return any(np.size(part) > 1 and np.asarray(part).dtype.kind != "b" for part in parts)


_SLICING = (slice, type(...), type(None), int)


def _compiled_functions(x: Any) -> Any:
    """The module of compiled functions where it computes ``x`` quicker than NumPy; else None."""
    if type(x) is not np.ndarray or x.size < _WORTH_COMPILING_FUNCTIONS:
        return None
    return _functions() if x.dtype.char == "d" and x.flags.c_contiguous else None


def _functions() -> Any:
    return loops.compiled("functions")


def load() -> Adapter:
    """The adapter, for :mod:`nnx.backend.selection`."""
    return NumpyAdapter(namespace)
