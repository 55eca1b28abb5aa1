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
from nnx.backend.joined import WORTH_BLOCKS, Reduction, joined
from nnx.backend.numpy_namespace import namespace
from nnx.backend.programs import Programs
from nnx.backend.recording import record
from nnx.backend.sums import ones_for

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
        bools = tuple([x.dtype == bool for x in read])
        kernel = kernels.compiled(recording, targets, bools) if n >= _WORTH_COMPILING else None
        return partial(kernel or kernels.blockwise(recording, targets, write[0].dtype), read, write)

    def direct(self, function: Any, args: Any, kwargs: Any, kinds: Any) -> tuple[Any, Any, Any] | None:
        return direct_call(function, args, kwargs, kinds, self)

    def into(self, function: Any) -> Any:
        if isinstance(function, np.ufunc):
            return function if function.nout == 1 and function.signature is None else None
        return UFUNCS.get(function)

    worth_joining = WORTH_BLOCKS

    def entrywise(self, function: Any, args: Any, kwargs: Any, kinds: Any) -> tuple[str, list[Any]] | None:
        own = own_call(function, args, kwargs, kinds, self)
        return own or entrywise_call(function, args, kwargs, self.into(function))

    def reduction(self, function: Any, args: Any, kwargs: Any, kind: Any) -> Any:
        return reduction_call(function, args, kwargs, kind)

    def joined(
        self, recording: Any, given: Any, shape: tuple[int, ...], dtype: Any, asked: Any, exact: bool
    ) -> Any:
        return joined(recording, given, shape, dtype, asked, exact)

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
    if function == own.summed and (factor := ones_for(x, *args[1:], **kwargs)) is not None:
        return np.ndarray.dot, (args[0], factor), {}
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


def own_call(
    function: Any, args: Any, kwargs: Any, kinds: Sequence[Any], own: Any
) -> tuple[str, list[Any]] | None:
    """The same of a call of the adapter's that is a compiled loop on arrays of these kinds."""
    x = kinds[0] if kinds else None
    if x is None or x.shape is None or kwargs or not x.in_order or not own.compiles(x):
        return None
    if function in (own.tanh, own.sigmoid):
        return f"own_{function.__name__}", list(args)
    if function == own.restored and kinds[1] is not None and kinds[1]._replace(owner=x.owner) == x:
        name = f"restored_{args[2].__name__}"
        return (name, list(args[:2])) if name in kernels.own_functions() else None
    return None


def reduction_call(function: Any, args: Any, kwargs: Any, kind: Any) -> Reduction | None:
    """A sum or mean of all entries, or a sum, mean or extremum of each row; ``kind`` is that of the array.

    Only those of which NumPy's order of adding is known, and kept when blocks are summed one by one.
    """
    if len(args) > 1 or not kwargs.keys() <= {"axis", "keepdims"} or kind.dtype.char not in "fd":
        return None
    axis = args[0] if args else kwargs.get("axis")
    n, name, owner = len(kind.shape), getattr(function, "__name__", ""), getattr(function, "__self__", None)
    if function is namespace.mean and kind.size > 1 << 24:
        return None  # float32 has not all numbers of entries by which nnx's own divides; NumPy's is exact
    ufunc: Any
    if function in (np.mean, namespace.mean, "mean"):
        ufunc, name = np.add, "mean"
    elif type(function) is str and function in _REDUCES:
        ufunc = _REDUCES[function]
    elif name == "reduce" and owner in _REDUCES.values():
        ufunc, axis = owner, axis if args or "axis" in kwargs else 0
    else:
        return None
    last = type(axis) is int and axis in (-1, n - 1)
    if not (last or axis is None) or (ufunc is not np.add and (not last or n == 1)):
        return None
    return Reduction(ufunc, last and n > 1, bool(kwargs.get("keepdims")), name == "mean")
