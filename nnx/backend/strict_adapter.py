"""array-api-strict: the standard and nothing else, on devices that refuse NumPy arrays as a GPU does."""

from __future__ import annotations

from functools import wraps
from typing import Any

import array_api_strict as xp
import numpy as np

from nnx.backend.reference import Adapter, Array
from nnx.errors import OptionError


class StrictAdapter(Adapter):
    """array-api-strict arrays; device names are ``"CPU_DEVICE"``, ``"device1"``, ``"device2"``."""

    name = "array_api_strict"
    mixes_indices = False

    def device(self, spec: Any) -> Any:
        if isinstance(spec, xp.Device):
            return spec
        try:
            return xp.Device("CPU_DEVICE" if spec is None else spec)
        except ValueError as error:
            raise OptionError(f"array-api-strict knows no device {spec!r}: {error}") from error

    def asarray(self, x: Any, dtype: Any = None, device: Any = None) -> Array:
        if isinstance(x, np.generic):
            x = np.asarray(x)
        if hasattr(x, "__array_namespace__") and type(x).__module__.startswith("array_api_strict"):
            return xp.asarray(x.to_device(device) if device is not None else x, dtype=dtype)
        return xp.asarray(x, dtype=dtype, device=device)

    def to_numpy(self, x: Array) -> np.ndarray:
        return np.asarray(x.to_device(xp.Device("CPU_DEVICE")))

    def shares_memory(self, y: Array, x: Array) -> bool:
        return np.may_share_memory(y._array, x._array)

    def materialized(self, x: Array) -> Array:
        return self.xp.asarray(x, copy=True) if x.shape and 0 in x._array.strides else x


def _let_the_other_operand_answer(name: str) -> None:
    """Makes ``array.<name>(other)`` return NotImplemented for foreign arrays, as Python's data model asks.

    array-api-strict raises TypeError there, so ``array * traced`` would never reach the traced operand.
    """
    original = getattr(xp._array_object.Array, name)

    @wraps(original)
    def method(self: Any, other: Any) -> Any:
        foreign = hasattr(other, "__array_namespace__") and not isinstance(other, xp._array_object.Array)
        return NotImplemented if foreign else original(self, other)

    setattr(xp._array_object.Array, name, method)


def load() -> Adapter:
    """The adapter, for :mod:`nnx.backend.selection`."""
    arithmetic = "add sub mul truediv floordiv mod pow matmul eq ne lt le gt ge"
    for name in f"{arithmetic} and or xor lshift rshift".split():
        _let_the_other_operand_answer(f"__{name}__")
    return StrictAdapter(xp)
