"""CuPy: NumPy's functions on an NVIDIA GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import array_api_compat.cupy as xp
import cupy
import numpy as np

from nnx.backend import philox
from nnx.backend.reference import Adapter, Array
from nnx.errors import IncompleteLibraries, NoUsableDevice, OptionError


class CupyAdapter(Adapter):
    """CuPy arrays; a device is a number or a ``cupy.cuda.Device``."""

    name = "cupy"

    def __init__(self, namespace: Any) -> None:
        super().__init__(namespace)
        self._fused: dict[Any, Callable[..., Any]] = {}

    def device(self, spec: Any) -> Any:
        if isinstance(spec, cupy.cuda.Device):
            return spec
        if not isinstance(spec, int | None):
            raise OptionError(f"A CuPy device is a number (0, 1, ...), got {spec!r}.")
        count = cupy.cuda.runtime.getDeviceCount()
        if not 0 <= (spec or 0) < count:
            raise NoUsableDevice(f"GPU {spec} was asked for, but CuPy sees {count} (numbered from 0).")
        return cupy.cuda.Device(spec or 0)

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

        return getattr(native, name, None) or super().special(name)

    def scatter_add(self, n: int, index: Array, values: Array) -> Array:
        with values.device:
            out = cupy.zeros((n, *values.shape[1:]), dtype=values.dtype)
            cupy.add.at(out, index, values)
        return out

    adds_at_places = True

    def add_at(self, x: Array, key: Any, values: Array) -> Array | None:
        with x.device:
            cupy.add.at(x, key, values)
        return x

    def cholesky(self, a: Array) -> Array | None:
        from cupyx import errstate

        try:
            with a.device, errstate(linalg="raise"):  # else a failed factorization goes unnoticed
                factor = cupy.linalg.cholesky(a)
        except np.linalg.LinAlgError:
            return None
        return factor if self._finite(factor) else None

    def solve_positive(self, a: Array, b: Array) -> Array | None:
        from cupyx.scipy.linalg import solve_triangular

        factor = self.cholesky(a)
        if factor is None:
            return None
        with a.device:
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

    def map_inplace(
        self,
        function: Callable[..., tuple[Array, ...]],
        read: tuple[Array, ...],
        write: tuple[Array, ...],
        scalars: tuple[float, ...] = (),
    ) -> None:
        if function not in self._fused:
            self._fused[function] = cupy.fuse(kernel_name="nnx_update")(partial(function, cupy))
        for target, value in zip(write, self._fused[function](*read, *scalars), strict=True):
            target[...] = value


def _address(stream: philox.Stream) -> tuple[np.uint64, ...]:
    return tuple(np.uint64(part % 2**64) for part in (stream.seed, stream.purpose, stream.index, stream.step))


# NumPy steps the counter before it draws, so block b of a stream has the low counter word b + 1.
_PHILOX = """
__device__ unsigned long long philox_word(unsigned long long k0, unsigned long long k1,
        unsigned long long index, unsigned long long step, unsigned long long word) {
    unsigned long long c0 = word / 4 + 1, c1 = index, c2 = step, c3 = 0;
    for (int round = 0; round < 10; ++round) {
        unsigned long long lo0 = 0xD2E7470EE14C6C93ULL * c0, hi0 = __umul64hi(0xD2E7470EE14C6C93ULL, c0);
        unsigned long long lo1 = 0xCA5A826395121157ULL * c2, hi1 = __umul64hi(0xCA5A826395121157ULL, c2);
        c0 = hi1 ^ c1 ^ k0;  c1 = lo1;  c2 = hi0 ^ c3 ^ k1;  c3 = lo0;
        k0 += 0x9E3779B97F4A7C15ULL;  k1 += 0xBB67AE8584CAA73BULL;
    }
    unsigned long long part = word % 4;
    return part == 0 ? c0 : part == 1 ? c1 : part == 2 ? c2 : c3;
}
"""
_KEY = "uint64 seed, uint64 purpose, uint64 index, uint64 step"
_philox_uniform = cupy.ElementwiseKernel(
    _KEY,
    "T out",
    "out = (T)(philox_word(seed, purpose, index, step, i) >> 11) * 1.1102230246251565e-16",
    "nnx_philox_uniform",
    preamble=_PHILOX,
)
_philox_keep = cupy.ElementwiseKernel(
    _KEY + ", int64 threshold, float64 scale",
    "T out",
    """unsigned long long word = philox_word(seed, purpose, index, step, i / 4);
    out = (long long)((word >> (16 * (i % 4))) & 0xFFFF) >= threshold ? (T)scale : (T)0""",
    "nnx_philox_keep",
    preamble=_PHILOX,
)


def load() -> Adapter:
    """The adapter, after one tiny computation has shown that GPU and CUDA libraries are there."""
    try:
        cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise NoUsableDevice(
            f"CuPy {cupy.__version__} is installed, but it found no GPU that it can use: {error}. "
            "Use backend='numpy' here, or check the NVIDIA driver with `nvidia-smi`."
        ) from error
    try:
        cupy.asnumpy(cupy.ones((2, 2)) @ cupy.ones((2, 2)) + 1.0)
    except (ImportError, RuntimeError, OSError, cupy.cuda.compiler.CompileException) as error:
        raise IncompleteLibraries(
            f"CuPy {cupy.__version__} sees a GPU, but a CUDA library is missing or broken: {error}. "
            "Install them next to CuPy: pip install 'cupy-cuda13x[ctk]' (or cupy-cuda12x[ctk])."
        ) from error
    return CupyAdapter(xp)
