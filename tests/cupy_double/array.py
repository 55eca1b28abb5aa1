"""``cupy.ndarray`` and ``cupy.ufunc`` as nnx meets them, over NumPy's arrays.

Sources: CuPy 14.2, ``cupy/_core/core.pyx`` (class ``ndarray``), ``_kernel.pyx`` (class ``ufunc``),
``_routines_indexing.pyx``; its guide "Differences between CuPy and NumPy".
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from cupy_double.device import CUDARuntimeError, Device, Machine

NUMBERS = (bool, int, float, complex, np.generic)


def operand(x: Any) -> Any:
    """What NumPy computes with: of an array of the double its memory, a number as it is."""
    if isinstance(x, ndarray):
        if x.device.id != Machine.current:
            raise ValueError(f"The array is on device {x.device.id}, the current one is {Machine.current}.")
        return x._a
    if isinstance(x, NUMBERS):
        return x
    raise TypeError(f"Unsupported type {type(x)}")


def wrapped(x: Any) -> Any:
    """NumPy's results as the double's: arrays, never numbers."""
    if isinstance(x, np.ndarray | np.generic):
        return ndarray(np.asarray(x))
    if isinstance(x, tuple | list) and any(isinstance(part, np.ndarray | np.generic) for part in x):
        return type(x)(map(wrapped, x)) if not hasattr(x, "_fields") else type(x)(*map(wrapped, x))
    return x


def silently(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """A GPU gives no warning of a division by zero or an overflow."""
    with np.errstate(all="ignore"):
        return function(*args, **options)


class ufunc:  # noqa: N801 (CuPy's name)
    """A function of CuPy that goes entry by entry."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name = self.__name__ = name
        self._function = function

    def __call__(self, *args: Any, out: Any = None, dtype: Any = None, casting: str = "same_kind") -> Any:
        given = [operand(a) for a in args]
        options = {"casting": casting} | ({} if dtype is None else {"dtype": dtype})
        if out is None:
            return wrapped(silently(self._function, *given, **options))
        silently(self._function, *given, out=operand(out), **options)
        return out

    def at(self, a: ndarray, indices: Any, b: Any = None) -> None:
        if self.name not in ("add", "subtract", "maximum", "minimum"):
            raise NotImplementedError(f"`{self.name}.at` is not supported yet")
        if a.dtype.char not in "iIlLqQefd":
            raise TypeError(f"cupy.{self.name}.at does not support {a.dtype}")
        key = places(a.shape, indices)
        value = np.broadcast_to(operand(b), a._a[key].shape).astype(a.dtype)
        silently(self._function.at, a._a, key, value)  # type: ignore[attr-defined]

    def reduce(self, array: Any, axis: Any = 0, dtype: Any = None, keepdims: bool = False) -> Any:
        reduce = self._function.reduce  # type: ignore[attr-defined]
        return wrapped(silently(reduce, operand(array), axis=axis, dtype=dtype, keepdims=keepdims))

    def outer(self, a: Any, b: Any) -> Any:
        return wrapped(silently(self._function.outer, operand(a), operand(b)))  # type: ignore[attr-defined]


def waiting() -> None:
    """The host reads a number that the shape of a result depends on."""
    int(ndarray(np.zeros((), "int64")))


def places(shape: tuple[int, ...], key: Any) -> tuple[Any, ...]:
    """NumPy's index for CuPy's: whole numbers in arrays wrap around; a mask makes the host wait."""
    parts = list(key) if isinstance(key, tuple) else [key]
    parts = [np.asarray(p) if isinstance(p, list) else p for p in parts]
    used = sum(_axes(p) for p in parts)
    found: list[Any] = []
    axis = 0
    for part in parts:
        if isinstance(part, ndarray | np.ndarray):
            part = operand(part) if isinstance(part, ndarray) else part
            if part.dtype == bool:
                waiting()
            elif part.dtype.kind not in "iu":
                raise IndexError("arrays used as indices must be of integer (or boolean) type")
            elif shape[axis]:
                part = part % shape[axis]
        found.append(part)
        axis += len(shape) - used if part is Ellipsis else _axes(part)
    return tuple(found)


def _axes(part: Any) -> int:
    if part is None or part is Ellipsis:
        return 0
    mask = isinstance(part, ndarray | np.ndarray) and part.dtype == bool
    return part.ndim if mask else 1


#: by the identity of their memory, the arrays that are no views
_owners: WeakValueDictionary[int, ndarray] = WeakValueDictionary()


def _owner_of(a: np.ndarray) -> ndarray | None:
    """The array whose memory ``a`` is a view of; None where it has its own."""
    if not isinstance(a.base, np.ndarray):
        return None
    found = _owners.get(id(a.base))
    return found if found is not None and found._a is a.base else ndarray(a.base)


class ndarray:  # noqa: N801 (CuPy's name)
    """An array on a GPU: it becomes NumPy's by ``get`` alone, and every read of a number waits."""

    __array_priority__ = 100
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, a: np.ndarray) -> None:
        self._a = a
        self.device = Device()
        self.base = _owner_of(a)
        if self.base is None:
            _owners[id(a)] = self

    shape = property(lambda self: self._a.shape)
    dtype = property(lambda self: self._a.dtype)
    ndim = property(lambda self: self._a.ndim)
    size = property(lambda self: self._a.size)
    itemsize = property(lambda self: self._a.itemsize)
    nbytes = property(lambda self: self._a.nbytes)
    strides = property(lambda self: self._a.strides)
    flags = property(lambda self: self._a.flags)
    T = property(lambda self: ndarray(self._a.T))
    mT = property(lambda self: ndarray(self._a.mT))  # noqa: N815 (the standard's name)
    real = property(lambda self: ndarray(self._a.real))
    imag = property(lambda self: ndarray(self._a.imag))

    # -- to the host: each waits ----------------------------------------------------------------

    def get(self, *_: Any, **__: Any) -> np.ndarray:
        Machine.wait()
        return self._a.copy()

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy "
            "array explicitly."
        )

    def __dlpack__(self, **_: Any) -> Any:
        raise BufferError("the memory is on a GPU")

    def __float__(self) -> float:
        return float(self.get())

    def __int__(self) -> int:
        return int(self.get())

    def __bool__(self) -> bool:
        return bool(self.get())

    def __complex__(self) -> complex:
        return complex(self.get())

    def item(self, *args: Any) -> Any:
        return self.get().item(*args)

    def tobytes(self, order: str = "C") -> bytes:
        return self.get().tobytes(order)

    def tolist(self) -> Any:
        return self.get().tolist()

    def __repr__(self) -> str:
        return repr(self.get())

    def __format__(self, spec: str) -> str:
        return format(self.get().item() if not self.ndim else self.get(), spec)

    # -- on the device --------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._a)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self._a)))

    def __getitem__(self, key: Any) -> ndarray:
        found = places(self.shape, key)
        if not any(part is Ellipsis for part in found):
            found = (*found, ...)  # an entry is a view without axes, too
        return ndarray(self._a[found])

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(value, np.ndarray) and value.ndim:
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        value = operand(value) if isinstance(value, ndarray) else value
        silently(self._a.__setitem__, places(self.shape, key), value)

    def fill(self, value: Any) -> None:
        self._a.fill(value.get() if isinstance(value, ndarray) else value)

    def astype(
        self, dtype: Any, order: str = "K", casting: Any = None, subok: Any = None, copy: bool = True
    ) -> ndarray:
        if not copy and self.dtype == dtype:
            return self
        return ndarray(silently(operand(self).astype, dtype, order=order))

    def copy(self, order: str = "C") -> ndarray:
        return ndarray(self._a.copy(order))  # moves to the current device

    def __array_ufunc__(self, of: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        import cupy

        if any(not isinstance(x, (ndarray, np.ndarray, *NUMBERS)) for x in inputs):
            return NotImplemented
        function = getattr(cupy, of.__name__, None)
        return NotImplemented if function is None or method != "__call__" else function(*inputs, **options)

    def __array_function__(self, of: Any, types: Any, args: Any, options: Any) -> Any:
        import cupy

        if any(not issubclass(t, ndarray | np.ndarray) for t in types):
            return NotImplemented
        place = cupy
        for part in of.__module__.split(".")[1:]:
            place = getattr(place, part, None)
        function = getattr(place, of.__name__, None)
        return NotImplemented if function is None else function(*args, **options)


def _method(name: str) -> Callable[..., Any]:
    def method(self: ndarray, *args: Any, **options: Any) -> Any:
        if name == "nonzero":
            waiting()
        given = [operand(a) if isinstance(a, ndarray) else a for a in args]
        return wrapped(silently(getattr(operand(self), name), *given, **options))

    return method


for _name in (
    "all any argmax argmin argsort clip conj conjugate cumprod cumsum diagonal dot flatten max mean min "
    "nonzero prod ravel repeat reshape round searchsorted sort squeeze std sum swapaxes take trace transpose "
    "var view"
).split():
    setattr(ndarray, _name, _method(_name))

_BINARY = "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift eq ne lt le gt ge".split()
_UFUNCS = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.true_divide, "pow": np.power,
    "floordiv": np.floor_divide, "mod": np.remainder, "matmul": np.matmul, "and": np.bitwise_and,
    "or": np.bitwise_or, "xor": np.bitwise_xor, "lshift": np.left_shift, "rshift": np.right_shift,
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater,
    "ge": np.greater_equal,
}  # fmt: skip
_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")


def _binary(name: str, swapped: bool) -> Callable[..., Any]:
    def method(self: ndarray, other: Any) -> Any:
        if not isinstance(other, (ndarray, *NUMBERS)):
            theirs = getattr(other, "__array_ufunc__", ndarray)
            weaker = getattr(other, "__array_priority__", 0) > 100
            if theirs is None or (theirs is ndarray and weaker):
                return NotImplemented
            return _UFUNCS[name](*((other, self) if swapped else (self, other)))  # asks every operand
        a, b = operand(self), operand(other)
        return wrapped(silently(_UFUNCS[name], *((b, a) if swapped else (a, b))))

    return method


def _in_place(name: str) -> Callable[..., Any]:
    def method(self: ndarray, other: Any) -> ndarray:
        silently(_UFUNCS[name], operand(self), operand(other), out=self._a, casting="same_kind")
        return self

    return method


for _name in _BINARY:
    setattr(ndarray, f"__{_name}__", _binary(_name, False))
    if _name not in _COMPARISONS:
        setattr(ndarray, f"__r{_name}__", _binary(_name, True))
        if _name != "matmul":  # x @= y makes a new array
            setattr(ndarray, f"__i{_name}__", _in_place(_name))
for _name in ("neg", "pos", "abs", "invert"):
    _of = getattr(operator, _name)
    setattr(ndarray, f"__{_name}__", lambda self, of=_of: wrapped(silently(of, operand(self))))
for _class in (ndarray, ufunc, Device, CUDARuntimeError):
    _class.__module__ = "cupy"
