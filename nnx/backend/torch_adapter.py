"""PyTorch tensors (without PyTorch's autograd: nnx differentiates them itself)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import array_api_compat.torch as xp
import numpy as np
import torch

from nnx.backend.reference import Adapter, Array
from nnx.errors import DtypeError, NoUsableDevice, OptionError


class TorchAdapter(Adapter):
    """Tensors on the CPU or on a CUDA device."""

    name = "torch"

    def device(self, spec: Any) -> Any:
        try:
            device = torch.device("cuda", spec) if isinstance(spec, int) else torch.device(spec or "cpu")
        except RuntimeError as error:
            raise OptionError(f"PyTorch knows no device {spec!r}: {error}") from error
        # device_count() is 0 where PyTorch was built without CUDA or finds no driver.
        if device.type == "cuda" and (device.index or 0) >= (count := torch.cuda.device_count()):
            raise NoUsableDevice(
                f"Device {spec!r} was asked for, but PyTorch {torch.__version__} sees {count} CUDA devices. "
                "Use device='cpu', or install a PyTorch built for CUDA and check the driver."
            )
        return device

    def asarray(self, x: Any, dtype: Any = None, device: Any = None) -> Array:
        if isinstance(x, np.generic):
            x = np.asarray(x)
        if isinstance(x, np.ndarray):
            x = _for_torch(x)
        if isinstance(x, torch.Tensor) and x.requires_grad:
            x = x.detach()  # PyTorch's own autograd must not record what nnx computes
        return torch.asarray(x, dtype=dtype, device=device)

    def to_numpy(self, x: Array) -> np.ndarray:
        x = x.detach().cpu().resolve_conj().resolve_neg()
        # float32 holds every value of the types that NumPy lacks
        return (x.float() if x.dtype in _UNKNOWN_TO_NUMPY else x).numpy()

    def need_entries(self, x: Array, what: str) -> None:
        if x.layout is not torch.strided:
            raise DtypeError(f"{what} is sparse ({x.layout}); nnx takes dense arrays: use .to_dense().")
        if x.is_meta:
            raise DtypeError(
                f"{what} is on PyTorch's device 'meta', where arrays have a shape and no entries. "
                "Make it on 'cpu' or on a GPU."
            )

    def shares_memory(self, y: Array, x: Array) -> bool:
        return y.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()

    def lock(self, x: Any) -> Callable[[], Any] | None:
        if not isinstance(x, torch.Tensor) or x.is_inference():
            return None
        version = x._version  # counts the writes into the tensor and all of its views
        return lambda: x._version == version

    def materialized(self, x: Array) -> Array:
        return x.clone(memory_format=torch.contiguous_format) if 0 in x.stride() else x

    def synchronize(self, device: Any = None) -> None:
        if device is not None and torch.device(device).type == "cuda":
            torch.cuda.synchronize(device)

    def erf(self, x: Array) -> Array:
        return torch.erf(x)

    def erfc(self, x: Array) -> Array:
        return torch.special.erfc(x)

    def special(self, name: str) -> Callable[..., Array]:
        native = _SPECIAL.get(name)
        if native is None:
            return super().special(name)

        def call(*args: Any) -> Any:
            like = next(a for a in args if isinstance(a, torch.Tensor))
            return native(*(a if isinstance(a, torch.Tensor) else like.new_tensor(a) for a in args))

        return call

    def scatter_add(self, n: int, index: Array, values: Array) -> Array:
        out = torch.zeros((n, *values.shape[1:]), dtype=values.dtype, device=values.device)
        return out.index_add(0, index, values)

    def cholesky(self, a: Array) -> Array | None:
        factor, failed = torch.linalg.cholesky_ex(a)
        return factor if _all(failed == 0, torch.isfinite(factor)) else None

    def solve_positive(self, a: Array, b: Array) -> Array | None:
        factor, failed = torch.linalg.cholesky_ex(a)
        x = torch.cholesky_solve(b if b.ndim == 2 else b[:, None], factor).reshape(b.shape)
        return x if _all(failed == 0, torch.isfinite(x)) else None

    def take_rows(self, x: Array, index: Array, out: Array | None = None) -> Array:
        return torch.index_select(x, 0, index)


def _for_torch(x: np.ndarray) -> np.ndarray:
    """``x``, or a copy where PyTorch refuses it: read-only, reversed, foreign byte order, long doubles."""
    if x.dtype.kind in "fc" and x.dtype.itemsize > (16 if x.dtype.kind == "c" else 8):
        return x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)
    if not x.dtype.isnative:
        return x.astype(x.dtype.newbyteorder("="))
    return x if x.flags.writeable and all(s >= 0 for s in x.strides) else x.copy()


_UNKNOWN_TO_NUMPY = {torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2}


def _all(*conditions: Array) -> bool:
    """Whether all entries of all conditions are true, with one transfer to the host."""
    return bool(torch.stack([c.all() for c in conditions]).all())


def _ndtr(x: Array) -> Array:
    return 0.5 * torch.special.erfc(x * -math.sqrt(0.5))  # PyTorch's own is 0 in the left tail


def _zeta(x: Array, q: Any = 1.0) -> Array:
    return torch.special.zeta(x, q)


def _polygamma(n: Array, x: Array) -> Array:
    # PyTorch's own is less precise for n = 1, and takes only a scalar n.
    higher = (-1.0) ** (n + 1.0) * torch.exp(torch.special.gammaln(n + 1.0)) * torch.special.zeta(n + 1.0, x)
    return torch.where(n == 0, torch.special.psi(x), higher)


_SAME_NAME = (
    "entr erf erfc erfcx erfinv exp2 expit expm1 gammainc gammaincc gammaln i0 i0e i1 i1e log1p log_ndtr "
    "logit ndtri psi xlog1py xlogy"
)
#: SciPy's name → PyTorch's function. Not its bessel_j0 ... bessel_y1: they have single precision.
_SPECIAL = {name: getattr(torch.special, name) for name in _SAME_NAME.split()} | {
    "k0": torch.special.modified_bessel_k0, "k0e": torch.special.scaled_modified_bessel_k0,
    "k1": torch.special.modified_bessel_k1, "k1e": torch.special.scaled_modified_bessel_k1,
    "ndtr": _ndtr, "polygamma": _polygamma, "zeta": _zeta,
}  # fmt: skip


def load() -> Adapter:
    """The adapter, for :mod:`nnx.backend.selection`."""
    return TorchAdapter(xp)
