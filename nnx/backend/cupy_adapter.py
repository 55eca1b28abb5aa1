"""CuPy: NumPy's functions on an NVIDIA GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import cupy
import numpy as np

from nnx.backend import cupy_kernels, philox
from nnx.backend.cupy_graphs import capture
from nnx.backend.cupy_namespace import namespace
from nnx.backend.numpy_programs import UFUNCS, entrywise_call
from nnx.backend.recording import LOGICAL, Recording, record
from nnx.backend.reference import Adapter, Array
from nnx.errors import IncompleteLibraries, NoUsableDevice, OptionError


class CupyAdapter(Adapter):
    """CuPy arrays; a device is a number or a ``cupy.cuda.Device``."""

    name = "cupy"

    def device(self, spec: Any) -> Any:
        if not isinstance(spec, int | cupy.cuda.Device | None):
            raise OptionError(f"A CuPy device is a number (0, 1, ...) or a cupy.cuda.Device, got {spec!r}.")
        current, count = cupy.cuda.Device(), cupy.cuda.runtime.getDeviceCount()
        number = current.id if spec is None else int(getattr(spec, "id", spec))
        if not 0 <= number < count:
            raise NoUsableDevice(f"GPU {number} was asked for, but CuPy sees {count} (numbered from 0).")
        if number != current.id:
            raise NoUsableDevice(
                f"GPU {number} was asked for, but CuPy computes on its current device {current.id}, wherever "
                f"arrays lie. Call cupy.cuda.Device({number}).use() first, or start Python with "
                f"CUDA_VISIBLE_DEVICES={number} in the environment and use device 0."
            )
        return current

    def asarray(self, x: Any, dtype: Any = None, device: Any = None) -> Array:
        with cupy.cuda.Device(device):  # None is the current one
            return cupy.asarray(x, dtype=dtype)

    def to_numpy(self, x: Array) -> np.ndarray:
        return cupy.asnumpy(x)

    def synchronize(self, device: Any = None) -> None:
        cupy.cuda.Device(device).synchronize()

    def shares_memory(self, y: Array, x: Array) -> bool:
        return cupy.may_share_memory(y, x)

    def materialized(self, x: Array) -> Array:
        return x.copy() if x.shape and 0 in x.strides else x

    def erf(self, x: Array) -> Array:
        from cupyx.scipy.special import erf

        return erf(x)

    def erfc(self, x: Array) -> Array:
        from cupyx.scipy.special import erfc

        return erfc(x)

    def special(self, name: str) -> Callable[..., Array]:
        import cupyx.scipy.special as native

        if name == "zeta":
            return lambda x, q=1.0: native.zeta(x, q)  # CuPy's has no default
        return getattr(native, name, None) or super().special(name)

    def scatter_add(self, n: int, index: Array, values: Array) -> Array:
        with values.device:
            out = cupy.zeros((n, *values.shape[1:]), dtype=values.dtype)
            pairs = [(out, values)]
            if out.dtype.kind == "c":  # the GPU adds real numbers in one go; the parts are views
                pairs = [(out.real, values.real), (out.imag, values.imag)]
            for total, part in pairs:
                cupy.add.at(total, index, part)
        return out

    adds_at_places = True

    def add_at(self, x: Array, key: Any, values: Array) -> Array | None:
        with x.device:
            cupy.add.at(x, key, values)
        return x

    def cholesky(self, a: Array) -> Array | None:
        from cupyx import errstate

        try:
            # without errstate a failed factorization goes unnoticed: its result is finite and wrong
            with a.device, _complete_libraries(), errstate(linalg="raise"):
                factor = cupy.linalg.cholesky(a)
        except np.linalg.LinAlgError:
            return None
        return factor if self._finite(factor) else None

    def solve_positive(self, a: Array, b: Array) -> Array | None:
        factor = self.cholesky(a)
        if factor is None:
            return None
        with a.device, _complete_libraries():
            from cupyx.scipy.linalg import solve_triangular

            half = solve_triangular(factor, b, lower=True)
            x = solve_triangular(factor, half, lower=True, trans=1)
        return x if self._finite(x) else None

    def uniform(self, stream: philox.Stream, shape: Sequence[int], dtype: Any, device: Any) -> Array:
        with cupy.cuda.Device(device):
            out = cupy.empty(tuple(shape), dtype=cupy.float64)
            _philox_uniform(*_address(stream), out)
            return out.astype(dtype, copy=False)

    def normal(self, stream: philox.Stream, shape: Sequence[int], dtype: Any, device: Any) -> Array:
        n = int(np.prod(shape, dtype=np.int64))
        pairs = (n + 1) // 2
        u = self.uniform(stream, (2, pairs), cupy.float64, device)
        with u.device:
            radius, angle = cupy.sqrt(-2.0 * cupy.log1p(-u[0])), 2.0 * np.pi * u[1]
            both = cupy.concatenate([radius * cupy.cos(angle), radius * cupy.sin(angle)])
            return both[:n].reshape(tuple(shape)).astype(dtype, copy=False)

    def keep_mask(
        self, stream: philox.Stream, rate: float, shape: Sequence[int], dtype: Any, device: Any
    ) -> Array:
        with cupy.cuda.Device(device):
            out = cupy.empty(tuple(shape), dtype=dtype)
            _philox_keep(*_address(stream), round(rate * 65536), 1.0 / (1.0 - rate), out)
        return out

    def mapping(
        self,
        function: Callable[..., tuple[Array, ...]],
        read: tuple[Array, ...],
        write: tuple[Array, ...],
        scalars: int,
    ) -> Callable[[tuple[float, ...]], None]:
        recording, bools = record(function, len(read), scalars), _bools(read, write)
        kernel = _update(recording, bools) if recording is not None and bools is not None else None
        if kernel is None:
            return super().mapping(function, read, write, scalars)
        # as Python's numbers, which take the type of the vectors: NumPy's have one of their own
        return lambda given: kernel(*read, *map(float, given), *write)

    #: a joined kernel is a launch less for each call, but has to be compiled
    worth_joining = 1 << 16

    def entrywise(self, function: Any, args: Any, kwargs: Any, kinds: Any) -> tuple[str, list[Any]] | None:
        numpys = getattr(np, _names().get(function, ""), None) if callable(function) else None
        if numpys is np.where:
            return ("where", list(args)) if len(args) == 3 and not kwargs else None
        return entrywise_call(function, args, kwargs, numpys or UFUNCS.get(function))

    def joined(
        self, recording: Any, given: Any, shape: tuple[int, ...], dtype: Any, asked: Any, exact: bool
    ) -> Any:
        text = cupy_kernels.update(recording, [b for _, b in given], keep_bools=True)
        if text is None or np.dtype(dtype).char not in "fd":
            return None
        # products and sums are rounded one by one, as in the calls
        kernel = cupy.ElementwiseKernel(**text._asdict(), options=("--fmad=false",))
        logical = [recording.steps[i - recording.inputs][0] in LOGICAL for i in recording.outputs]
        types = [cupy.bool_ if b else dtype for b in logical]

        def call(*arrays: Array) -> Any:
            results = [cupy.empty(shape, t) for t in types]
            kernel(*arrays, *results)
            return results[0] if len(results) == 1 else tuple(results)

        return call

    def captured(
        self, function: Callable[..., Sequence[Any]], arrays: Sequence[Array]
    ) -> Callable[..., Sequence[Any]]:
        try:
            return capture(function, arrays)
        except (RuntimeError, NotImplementedError):  # CUDA's own errors are the former
            return function


@cache
def _names() -> dict[Any, str]:
    """CuPy's entry-by-entry functions, and the names that NumPy has for them."""
    return {getattr(cupy, name): name for name in cupy_kernels.CALLS if hasattr(cupy, name)}


def _bools(read: Sequence[Array], write: Sequence[Array]) -> tuple[bool, ...] | None:
    """Which of the vectors ``read`` are of bools; None unless all others have one type of real numbers."""
    bools = tuple(x.dtype.kind == "b" for x in read)
    types = {x.dtype for x, b in zip(read, bools, strict=True) if not b} | {x.dtype for x in write}
    return bools if len(types) == 1 and types.pop().kind == "f" else None


@cache
def _update(recording: Recording, bools: tuple[bool, ...]) -> Any:
    """The kernel of a recorded function, which CuPy compiles for each type; None where there is none."""
    text = cupy_kernels.update(recording, bools)
    return None if text is None else cupy.ElementwiseKernel(**text._asdict())


def _address(stream: philox.Stream) -> tuple[np.uint64, ...]:
    return tuple(np.uint64(part % 2**64) for part in (stream.seed, stream.purpose, stream.index, stream.step))


_philox_uniform = cupy.ElementwiseKernel(**cupy_kernels.UNIFORM._asdict())
_philox_keep = cupy.ElementwiseKernel(**cupy_kernels.KEEP._asdict())


@contextmanager
def _complete_libraries(errors: tuple[type[Exception], ...] = (ImportError, OSError)) -> Iterator[None]:
    """CuPy loads each CUDA library when it is first used: ``errors`` say that one is missing or broken."""
    try:
        yield
    except errors as error:
        raise IncompleteLibraries(
            f"CuPy {cupy.__version__} sees a GPU, but a CUDA library is missing or broken: {error}. "
            "Install them next to CuPy: pip install 'cupy-cuda13x[ctk]' (or cupy-cuda12x[ctk])."
        ) from error


def load() -> Adapter:
    """The adapter, after one tiny computation has shown that GPU and CUDA libraries are there."""
    try:
        cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise NoUsableDevice(
            f"CuPy {cupy.__version__} is installed, but it found no GPU that it can use: {error}. "
            "Use backend='numpy' here, or check the NVIDIA driver with `nvidia-smi`."
        ) from error
    with _complete_libraries((ImportError, OSError, RuntimeError, cupy.cuda.compiler.CompileException)):
        cupy.asnumpy(cupy.ones((2, 2)) @ cupy.ones((2, 2)) + 1.0)
    return CupyAdapter(namespace)
