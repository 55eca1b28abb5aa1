"""Recorded functions in NumPy: kernels of functions of entries, and the quickest calls with the same bits.

A function of the namespace, or an operator, looks at its arguments first. Where these have the same shapes
and types in every run, that look is made once, here.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import numpy as np

from nnx.backend import kernels
from nnx.backend.joined import WORTH_BLOCKS, joined
from nnx.backend.numpy_namespace import namespace
from nnx.backend.programs import Programs
from nnx.backend.recording import record

Array = Any
Call = tuple[Any, Any, Any]
#: From this length on, a loop compiled by Numba (if installed) repays its compilation.
_WORTH_COMPILING = 1 << 17
#: reductions whose ufunc does the same without a look at the arguments
_REDUCES = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum}
#: what the operators of Python are for arrays
UFUNCS = {
    operator.add: np.add, operator.sub: np.subtract, operator.mul: np.multiply, operator.truediv: np.divide,
    operator.neg: np.negative,
}  # fmt: skip
#: what else they are for arrays of floats and bools
_ENTRYWISE = {
    operator.lt: np.less, operator.le: np.less_equal, operator.gt: np.greater, operator.ge: np.greater_equal,
    operator.eq: np.equal, operator.ne: np.not_equal, operator.and_: np.logical_and,
    operator.or_: np.logical_or, operator.invert: np.logical_not, operator.abs: np.absolute,
}  # fmt: skip
#: up to so many entries a loop over an array and a number is as quick as one over two arrays
FEW = 1 << 10


@cache
def zero(dtype: Any) -> Array:
    """0 as an array without axes, which costs half of what a Python number does."""
    return np.zeros((), dtype)


class NumpyPrograms(Programs):
    """Kernels in NumPy or Numba for functions of entries, and NumPy's quickest calls."""

    def mapping(
        self,
        function: Callable[..., tuple[Array, ...]],
        read: tuple[Array, ...],
        write: tuple[Array, ...],
        scalars: int,
    ) -> Callable[[tuple[float, ...]], None]:
        recording, n = record(function, len(read), scalars), read[0].shape[0]
        if recording is None:
            return super().mapping(function, read, write, scalars)
        places = {id(x): j for j, x in enumerate(read)}
        targets = tuple([places.get(id(out)) for out in write])
        if n <= kernels.BLOCK:
            return partial(kernels.at_once(recording, targets, write[0].dtype), read, write)
        kernel = kernels.compiled(recording, targets) if n >= _WORTH_COMPILING else None
        return partial(kernel or kernels.blockwise(recording, targets, write[0].dtype), read, write)

    def direct(self, function: Any, args: Any, kwargs: Any, kinds: Any) -> tuple[Any, Any, Any] | None:
        return direct_call(function, args, kwargs, kinds, self)

    def into(self, function: Any) -> Any:
        if isinstance(function, np.ufunc):
            return function if function.nout == 1 and function.signature is None else None
        return UFUNCS.get(function)

    worth_joining = WORTH_BLOCKS

    def entrywise(self, function: Any, args: Any, kwargs: Any) -> tuple[str, list[Any]] | None:
        return entrywise_call(function, args, kwargs, self.into(function))

    def joined(self, recording: Any, shapes: Any, shape: tuple[int, ...], dtype: Any) -> Any:
        return joined(recording, shapes, shape, dtype)

    def ready(self, x: Any, shape: tuple[int, ...], dtype: Any) -> Any:
        return np.array(np.broadcast_to(np.asarray(x, dtype), shape))


def direct_call(function: Any, args: Any, kwargs: Any, kinds: Sequence[Any], own: Any) -> Call | None:
    """A quicker call with the same bits; None where there is none.

    ``kinds`` are those of the arguments that are arrays (else None); ``own`` is the adapter.
    """
    x = kinds[0] if kinds else None
    if x is None or x.type is not np.ndarray:
        return None
    if function is operator.matmul or (function == own.matmul_into and kinds[2].in_order):
        quicker: Any = np.ndarray.dot if _are_products(kinds[0], kinds[1]) else np.matmul
        return quicker, args, {}
    if function is operator.pow and x.dtype.kind == "f" and type(args[1]) in (int, float) and args[1] == 2:
        return np.square, args[:1], {}
    if function == own.tanh and not own.compiles(x):
        return np.tanh, args, {}
    if function == own.rectified and args[1:] in ((), (None,)) and x.size <= FEW:
        return np.maximum, (args[0], zero(x.dtype)), {}
    if function == own.unit_step and x.size <= FEW:
        return np.heaviside, (args[0], zero(x.dtype)), {}
    return _of_namespace(function, x, args, kwargs)


def _are_products(a: Any, b: Any) -> bool:
    """Whether ``a.dot(b)`` is the one call of BLAS that ``a @ b`` is, found sooner."""
    plain = a.type is b.type is np.ndarray and a.dtype == b.dtype and a.dtype.char in "fd"
    if not plain or not a.size or not b.size or a.shape[-1:] != b.shape[:1]:
        return False
    return max(len(a.shape), len(b.shape)) <= 2 and _for_blas(a) and _for_blas(b)


def _for_blas(a: Any) -> bool:
    turned = a._replace(shape=a.shape[::-1], strides=a.strides[::-1])
    return bool(a.in_order or turned.in_order)


def _of_namespace(function: Any, x: Any, args: Any, kwargs: Any) -> Call | None:
    name = getattr(function, "__name__", "").lstrip("_")
    if function is not getattr(namespace, name, None) and function is not getattr(np, name, None):
        return None
    if name in _REDUCES and x.dtype.kind in "fc" and len(args) < 3 and kwargs.keys() <= {"axis", "keepdims"}:
        axis = args[1] if len(args) == 2 else kwargs.get("axis")
        return _REDUCES[name].reduce, (args[0], axis), {"keepdims": True} if kwargs.get("keepdims") else {}
    if name == "reshape" and len(args) == 2 and not kwargs:
        return np.ndarray.reshape, args, {}
    if name == "argmax":
        return np.ndarray.argmax, args, kwargs
    if name == "astype" and kwargs.keys() <= {"copy"}:
        return np.ndarray.astype, args, kwargs
    return None


def entrywise_call(function: Any, args: Any, kwargs: Any, ufunc: Any) -> tuple[str, list[Any]] | None:
    """Name and operands of a call on arrays of floats and bools; ``ufunc`` is its function, where known."""
    if function in (np.where, namespace.where) and len(args) == 3 and not kwargs:
        return "where", list(args)
    found = ufunc or (_ENTRYWISE.get(function) if callable(function) else None)
    if found is None or kwargs or len(args) != found.nin or found is not getattr(np, found.__name__, None):
        return None
    return str(found.__name__), list(args)
