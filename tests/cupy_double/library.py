"""The modules of the double: the names that CuPy 14.2 has, with its parameters, over NumPy's functions.

``surface.json`` holds the names and parameters of CuPy 14.2's main namespace, ``linalg``, ``fft`` and of
``cupyx.scipy.special``, as far as NumPy has them too. What is not in it, the double has not either. A test
compares it with CuPy where its wheel is installed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from types import ModuleType
from typing import Any

import numpy as np
import on_the_cpu

from cupy_double import linalg
from cupy_double.array import ndarray, operand, silently, ufunc, waiting, wrapped
from cupy_double.device import CUDARuntimeError, Device, Machine, MemoryPool, Stream
from cupy_double.surface import stored
from nnx.backend.cupy_kernels import Kernel

SURFACE = stored()
#: Functions whose result's shape depends on values: the host waits for it.
_WAITING = set("nonzero argwhere flatnonzero unique extract compress trim_zeros bincount histogram".split())
#: Functions that look at no entries: they take what is no array as well.
_PLAIN = set(
    "result_type can_cast promote_types broadcast_shapes issubdtype isdtype isscalar ndim shape".split()
)


def function(name: str, parameters: Any, of: Callable[..., Any]) -> Callable[..., Any]:
    """NumPy's function with CuPy's parameters, for the double's arrays alone."""
    free = parameters == "?" or any(p.startswith("**") for p in parameters)

    def call(*args: Any, **options: Any) -> Any:
        if not free and (unknown := set(options) - set(parameters)):
            raise TypeError(f"{name}() got an unexpected keyword argument {sorted(unknown)[0]!r}")
        if name in _WAITING:
            waiting()
        if name not in _PLAIN:
            args = tuple(_argument(a) for a in args)
            options = {key: _argument(a) for key, a in options.items()}
        return wrapped(silently(of, *args, **options))

    call.__name__ = call.__qualname__ = name
    return call


def _argument(x: Any) -> Any:
    if isinstance(x, ndarray):
        return operand(x)
    if isinstance(x, list | tuple):
        return type(x)(map(_argument, x)) if not hasattr(x, "_fields") else x
    if isinstance(x, np.ndarray):
        raise TypeError(f"Unsupported type {type(x)}")
    return x


def _created(obj: Any, dtype: Any = None, copy: Any = True, order: Any = "K", **_: Any) -> ndarray:
    """``cupy.array``: of the host's or of the device's entries, in the machine's byte order."""
    if isinstance(obj, ndarray) and obj.device.id != Machine.current:
        obj, copy = ndarray(obj._a.copy()), False
    if isinstance(obj, ndarray) and not copy and (dtype is None or obj.dtype == dtype):
        return obj
    host = _host(obj)
    found = np.array(host, dtype=dtype, order=order)
    if (
        found.dtype.kind not in "biufc"
        or found.dtype.itemsize > 16
        or found.dtype == np.longdouble != np.float64
    ):
        raise ValueError(f"Unsupported dtype {found.dtype}")
    return ndarray(found.astype(found.dtype.newbyteorder("="), copy=False))


def _host(obj: Any) -> Any:
    if isinstance(obj, ndarray):
        return operand(obj)
    return [_host(part) for part in obj] if isinstance(obj, list | tuple) else obj


def _asarray(a: Any, dtype: Any = None, order: str | None = None, **_: Any) -> ndarray:
    return _created(a, dtype, None, order or "K")


def _asnumpy(a: Any, **_: Any) -> np.ndarray:
    return a.get() if isinstance(a, ndarray) else np.asarray(a)


def _take(a: ndarray, indices: Any, axis: Any = None, out: Any = None) -> ndarray:
    size = a.size if axis is None else a.shape[axis]
    index = operand(indices) if isinstance(indices, ndarray) else np.asarray(indices)
    if not size and index.size:
        raise IndexError("cannot do a non-empty take from an empty axes.")
    return wrapped(np.take(operand(a), index % max(size, 1), axis=axis))


def _take_along_axis(a: ndarray, indices: ndarray, axis: Any) -> ndarray:
    return wrapped(np.take_along_axis(operand(a), operand(indices) % a.shape[axis], axis=axis))


def _full(shape: Any, fill_value: Any, dtype: Any = None, order: str = "C") -> ndarray:
    value = fill_value.get() if isinstance(fill_value, ndarray) else fill_value
    return ndarray(np.full(shape, value, dtype))


def _full_like(a: ndarray, fill_value: Any, dtype: Any = None, shape: Any = None, **_: Any) -> ndarray:
    return _full(a.shape if shape is None else shape, fill_value, dtype or a.dtype)


def _repeat(a: Any, repeats: Any, axis: Any = None) -> ndarray:
    return wrapped(np.repeat(operand(a), repeats.get() if isinstance(repeats, ndarray) else repeats, axis))


def _sign(x: np.ndarray, **_: Any) -> Any:
    return np.where(np.isnan(x), 0, np.sign(x)).astype(x.dtype)  # of NaN it is 0


def _where(condition: Any, x: Any = None, y: Any = None) -> Any:
    if x is None:
        waiting()
        return wrapped(np.nonzero(operand(condition)))
    return wrapped(np.where(operand(condition), operand(x), operand(y)))


# -- kernels --------------------------------------------------------------------------------------------


class ElementwiseKernel:
    """``cupy.ElementwiseKernel``: the text, computed on the host."""

    def __init__(
        self, in_params: str, out_params: str, operation: str, name: str = "kernel", reduce_dims: bool = True,
        preamble: str = "", no_return: bool = False, return_tuple: bool = False,
        options: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        self._text = Kernel(in_params, out_params, operation, name, preamble)

    def __call__(self, *args: Any) -> Any:
        shape = args[-1].shape  # to which arrays of other shapes are spread, as by CuPy

        def spread(a: Any) -> Any:
            other = isinstance(a, np.ndarray) and a.shape != shape
            return np.ascontiguousarray(np.broadcast_to(a, shape)) if other else a

        on_the_cpu.run(self._text, *(spread(operand(a)) for a in args))
        return args[-1]


def modules() -> dict[str, ModuleType]:
    """``cupy``, ``cupyx`` and their parts, by name."""
    names = (
        "cupy cupy.linalg cupy.fft cupy.cuda cupy.cuda.device cupy.cuda.runtime cupy.cuda.compiler cupyx "
        "cupyx.scipy cupyx.scipy.special cupyx.scipy.linalg"
    ).split()
    made = {name: ModuleType(name) for name in names}
    for name, module in made.items():
        parent, _, last = name.rpartition(".")
        if parent:
            setattr(made[parent], last, module)
    _fill(made["cupy"], "", np)
    _fill(made["cupy.linalg"], "linalg", np.linalg)
    _fill(made["cupy.fft"], "fft", np.fft)
    made["cupy"].__dict__.update(
        ndarray=ndarray, ufunc=ufunc, array=_created, asarray=_asarray, asnumpy=_asnumpy, take=_take,
        take_along_axis=_take_along_axis, full=_full, full_like=_full_like, repeat=_repeat, where=_where,
        sign=ufunc("sign", _sign), ElementwiseKernel=ElementwiseKernel, is_available=lambda: True,
        get_array_module=lambda *_: made["cupy"], __version__="14.2.0",
    )  # fmt: skip
    made["cupy.linalg"].__dict__.update(cholesky=linalg.cholesky, solve=linalg.solve, inv=linalg.inv)
    made["cupy.cuda"].__dict__.update(
        Device=Device, Stream=Stream, get_current_stream=Stream, MemoryPool=MemoryPool,
        using_allocator=lambda allocator: nullcontext(),
    )  # fmt: skip
    made["cupy.cuda.device"].__dict__.update(Device=Device)
    made["cupy.cuda.runtime"].__dict__.update(
        getDeviceCount=lambda: Machine.count, CUDARuntimeError=CUDARuntimeError
    )
    made["cupy.cuda.compiler"].__dict__.update(CompileException=type("CompileException", (Exception,), {}))
    made["cupyx"].__dict__.update(errstate=linalg.errstate)
    made["cupyx.scipy.linalg"].__dict__.update(solve_triangular=linalg.solve_triangular)
    _fill_special(made["cupyx.scipy.special"])
    return made


def _fill(module: ModuleType, part: str, of: Any) -> None:
    for name, parameters in SURFACE[part].items():
        value = getattr(of, name)
        if parameters == "ufunc":
            value = ufunc(name, value)
        elif isinstance(parameters, list) or parameters == "?":
            value = function(name, parameters, value)
        setattr(module, name, value)


def _fill_special(module: ModuleType) -> None:
    import scipy.special

    for name in SURFACE["special"]:
        if (value := getattr(scipy.special, name, None)) is not None:
            setattr(
                module,
                name,
                ufunc(name, value) if isinstance(value, np.ufunc) else function(name, "?", value),
            )
