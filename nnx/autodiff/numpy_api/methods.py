"""NumPy's methods and attributes of arrays that the standard's arrays lack."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from nnx.autodiff.array import is_traced, raw
from nnx.autodiff.families import is_complex
from nnx.autodiff.numpy_api.names import ESCAPES, METHODS, UFUNCS
from nnx.autodiff.numpy_api.shapes import ordered
from nnx.autodiff.numpy_api.table import FUNCTIONS, array, flat, refuse
from nnx.autodiff.numpy_api.writing import repeated
from nnx.errors import DerivativeError


def method(space: Any, x: Any, name: str) -> Any:
    """NumPy's method or attribute ``name`` of a traced array of a library that has them."""
    if space.speaks_numpy:
        if name in METHODS:
            return partial(space.numpy_named(METHODS[name]), x)
        if name in _METHODS:
            return partial(_METHODS[name], space, x)
        if name in _ATTRIBUTES:
            return _ATTRIBUTES[name](space, x)
        if name in ESCAPES:
            return partial(_escape, space, x, name)
    if name.startswith("__"):
        raise AttributeError(name)
    if not is_traced(x) and hasattr(raw(x), name):  # of a constant the library's own: (x > 0).flags
        own = getattr(raw(x), name)
        return partial(_escape, space, x, name) if callable(own) else own
    raise AttributeError(_missing(space, x, name))


def _missing(space: Any, x: Any, name: str) -> str:
    """The message for a method or attribute that traced arrays lack, though the library's own may have it."""
    says = f"Arrays that are being differentiated have no attribute {name!r}"
    if name in _INSTEAD:
        return f"{says}: write {_INSTEAD[name]}, with xp = x.__array_namespace__()."
    if name in space.differentiated:
        numpy = f" or np.{name}(x)" if name in FUNCTIONS or name in UFUNCS else ""
        return (
            f"{says}: they have the methods of the array API standard, which has functions instead. Write "
            f"xp.{name}(x){numpy}, with xp = x.__array_namespace__()."
        )
    if not space.speaks_numpy and hasattr(raw(x), name):
        return (
            f"{says}: they have the methods of the array API standard, not the library's own. Write a "
            "function of the standard, as xp.sum(x) with xp = x.__array_namespace__(), or of NumPy, as "
            "np.sum(x)."
        )
    return f"{says}."


#: What to write for other libraries' methods that are no function of the standard by their name.
_INSTEAD = {
    "clone": "xp.asarray(x, copy=True)", "detach": "nnx.stop_gradient(x)", "dim": "x.ndim", "numel": "x.size",
    "norm": "xp.linalg.vector_norm(x)", "softmax": "nnx.activations.softmax(x)",
    "relu": "nnx.activations.relu(x)", "sigmoid": "nnx.activations.sigmoid(x)",
    "transpose": "xp.permute_dims(x, axes)", "permute": "xp.permute_dims(x, axes)", "t": "x.T",
    "unsqueeze": "xp.expand_dims(x, axis=i)", "view": "xp.reshape(x, shape)",
    "to": "xp.astype(x, dtype) or x.to_device(device)", "double": "xp.astype(x, xp.float64)",
    "float": "xp.astype(x, xp.float32)",
}  # fmt: skip


def set_attribute(space: Any, x: Any, name: str, value: Any) -> None:
    """Assigns to NumPy's attribute ``name`` of a traced array."""
    if name == "flat":
        values = repeated(space, flat(space, array(space, value, x)), x.size)
        x[...] = values if values.shape[0] == 1 else space.reshape(values, x.shape)
    elif name == "imag" and not is_complex(space, x):
        raise TypeError("x.imag = v needs an array of complex numbers: a real one has no imaginary part.")
    else:
        getattr(x, name)[...] = value


def _escape(space: Any, x: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    if not is_traced(x):
        answer = getattr(raw(x), name)(*args, **kwargs)
        if hasattr(answer, "dtype") and space.shares_memory(answer, raw(x)):
            space.hand_out(x)  # x.view()
        return answer
    raise DerivativeError(
        f"x.{name}() of an array that is being differentiated is refused: {ESCAPES[name]}. Compute with the "
        "array itself, or take nnx.stop_gradient(x) if it is meant as a constant."
    )


def _reshape(space: Any, x: Any, *shape: Any, order: str = "C", copy: bool | None = None) -> Any:
    return FUNCTIONS["reshape"](space, x, shape[0] if len(shape) == 1 else shape, order, copy=copy)


def _ravel(space: Any, x: Any, order: str = "C") -> Any:
    return FUNCTIONS["ravel"](space, x, order)


def _flat(space: Any, x: Any) -> Any:
    y = flat(space, x)
    if x.ndim > 1 and y.link is None:  # a copy: what is written into it would be lost
        refuse(
            "ndarray.flat",
            "the array is not contiguous in memory",
            "Use x.ravel() to read it, x[i, j] = v to write.",
        )
    return y


def _flatten(space: Any, x: Any, order: str = "C") -> Any:
    return space.asarray(FUNCTIONS["ravel"](space, x, order), copy=True)


def _transpose(space: Any, x: Any, *axes: Any) -> Any:
    return FUNCTIONS["transpose"](space, x, axes[0] if len(axes) == 1 else axes or None)


def _astype(
    space: Any, x: Any, dtype: Any, order: str = "K", casting: str = "unsafe", subok: bool = True,
    copy: bool = True,
) -> Any:  # fmt: skip
    y = FUNCTIONS["astype"](space, x, dtype, copy=copy)
    return y if y is x or order == "K" else ordered(space, y, order, x)


def _copy(space: Any, x: Any, order: str = "C") -> Any:
    return FUNCTIONS["copy"](space, x, order)  # whose own default is "K"


def _conj(space: Any, x: Any) -> Any:
    return space.conj(x) if is_complex(space, x) else x  # NumPy's method, not its function, gives x itself


def _sort(space: Any, x: Any, axis: int = -1, **options: Any) -> None:
    x[...] = FUNCTIONS["sort"](space, x, axis)


def _partition(space: Any, x: Any, kth: Any, axis: int = -1, **options: Any) -> None:
    x[...] = FUNCTIONS["partition"](space, x, kth, axis)


def _fill(space: Any, x: Any, value: Any) -> None:
    x[...] = value


def _compress(space: Any, x: Any, condition: Any, axis: int | None = None, out: Any = None) -> Any:
    return FUNCTIONS["compress"](space, condition, x, axis)


def _strides(space: Any, x: Any) -> tuple[int, ...]:
    return raw(x).strides


def _item_size(space: Any, x: Any) -> int:
    return raw(x).itemsize


_METHODS: dict[str, Callable[..., Any]] = {
    "reshape": _reshape, "ravel": _ravel, "flatten": _flatten, "transpose": _transpose, "astype": _astype,
    "copy": _copy, "conj": _conj, "conjugate": _conj,
    "sort": _sort, "partition": _partition, "fill": _fill, "compress": _compress,
}  # fmt: skip
_ATTRIBUTES: dict[str, Callable[..., Any]] = {
    "real": lambda space, x: FUNCTIONS["real"](space, x),
    "imag": lambda space, x: FUNCTIONS["imag"](space, x),
    "flat": _flat,
    "strides": _strides,
    "itemsize": _item_size,
    "nbytes": lambda space, x: math.prod(x.shape) * raw(x).itemsize,
}  # fmt: skip
