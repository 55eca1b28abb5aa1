"""PyTorch tensors (without PyTorch's autograd: nnx differentiates them itself)."""

from __future__ import annotations

from typing import Any

import array_api_compat.torch as xp
import numpy as np
import torch

from nnx.backend.reference import Adapter, Array
from nnx.errors import NoUsableDevice, OptionError


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
        if isinstance(x, np.ndarray) and not (x.flags.writeable and all(s >= 0 for s in x.strides)):
            x = x.copy()  # torch.asarray warns of read-only and refuses reversed arrays
        if isinstance(x, np.generic):
            x = np.asarray(x)
        return torch.asarray(x, dtype=dtype, device=device)

    def to_numpy(self, x: Array) -> np.ndarray:
        return x.detach().cpu().numpy()

    def shares_memory(self, y: Array, x: Array) -> bool:
        return y.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()

    def synchronize(self, device: Any = None) -> None:
        if device is not None and torch.device(device).type == "cuda":
            torch.cuda.synchronize(device)

    def erf(self, x: Array) -> Array:
        return torch.erf(x)

    def scatter_add(self, n: int, index: Array, values: Array) -> Array:
        out = torch.zeros((n, *values.shape[1:]), dtype=values.dtype, device=values.device)
        return out.index_add(0, index, values)

    def take_rows(self, x: Array, index: Array, out: Array | None = None) -> Array:
        return torch.index_select(x, 0, index)


def load() -> Adapter:
    """The adapter, for :mod:`nnx.backend.selection`."""
    return TorchAdapter(xp)
