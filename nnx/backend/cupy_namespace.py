"""The standard's namespace over CuPy: array-api-compat's, without its waits and on the device asked for.

array-api-compat writes NaN and bounds through masks (``sign``, ``clip``), and CuPy counts the True entries of
a mask on the host: each call would wait for the GPU. It takes ``device=`` of the functions that create arrays
without heeding it, and of ``fftfreq`` refuses it; and CuPy's ``solve`` does not broadcast stacks.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from types import ModuleType
from typing import Any

import array_api_compat.cupy as compat
import cupy

Array = Any


def _sign(x: Array, /) -> Array:
    if compat.isdtype(x.dtype, "complex floating"):
        size = cupy.abs(x)
        return cupy.where(size == 0.0, cupy.zeros_like(x), x / size)
    if compat.isdtype(x.dtype, "real floating"):
        return cupy.where(cupy.isnan(x), x, cupy.sign(x))  # CuPy's sign of NaN is 0
    return cupy.sign(x)


def _clip(x: Array, /, min: Any = None, max: Any = None) -> Array:
    if compat.isdtype(x.dtype, "integral"):  # a bound that the data type cannot hold bounds nothing
        limits = cupy.iinfo(x.dtype)
        min = None if type(min) is int and min <= limits.min else min
        max = None if type(max) is int and max >= limits.max else max
    y = x if min is None else cupy.maximum(x, min)  # NaN where one of the two is
    y = y if max is None else cupy.minimum(y, max)
    return x.copy() if y is x else y.astype(x.dtype, copy=False)


def _created(name: str, module: Any = compat) -> Callable[..., Array]:
    function = getattr(module, name)

    def create(*args: Any, device: Any = None, **others: Any) -> Array:
        if device is None:
            return function(*args, **others)
        with cupy.cuda.Device(device):
            return function(*args, **others)

    return update_wrapper(create, function)


def _solve(a: Array, b: Array, /) -> Array:
    if b.ndim > 1:  # CuPy does not broadcast stacks
        stack = cupy.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        a, b = (cupy.broadcast_to(x, (*stack, *x.shape[-2:])) for x in (a, b))
    return compat.linalg.solve(a, b)


def _replaced(name: str, module: Any, **own: Any) -> Any:
    """The names of array-api-compat's ``module``, some of them replaced by our ``own``."""
    new = ModuleType(f"nnx.backend.cupy_namespace.{name}", module.__doc__)
    public = {key: value for key, value in vars(module).items() if not key.startswith("_")}
    new.__dict__.update(public | own)
    return new


namespace: Any = _replaced(
    "namespace",
    compat,
    __array_api_version__=compat.__array_api_version__,
    __array_namespace_info__=compat.__array_namespace_info__,
    linalg=_replaced("linalg", compat.linalg, solve=_solve),
    fft=_replaced(
        "fft", compat.fft, **{name: _created(name, compat.fft) for name in ("fftfreq", "rfftfreq")}
    ),
    sign=_sign,
    clip=_clip,
    **{
        name: _created(name)
        for name in (
            "arange empty empty_like eye full full_like linspace ones ones_like zeros zeros_like"
        ).split()
    },
)
