"""The batched array: what one sample sees of an array of n samples."""

from __future__ import annotations

import operator
from typing import Any, NoReturn

from nnx.autodiff.explain import calling
from nnx.autodiff.levels import levels
from nnx.autodiff.operators import Operators
from nnx.backend import register_carrier
from nnx.errors import DerivativeError


class NeedsNumbers(DerivativeError):
    """A call asks for the plain numbers of a batched array, which differ from sample to sample."""


class Batch:
    """One run of a mapped function: its level among the transforms, and its number of samples."""

    __slots__ = ("asked", "level", "n", "open", "warned", "who")

    def __init__(self, n: int, who: str = "vmap", warned: set[str] | None = None) -> None:
        self.level = next(levels)
        self.n = n
        self.who = who  #: the transform's name, for warnings
        self.open = True
        self.asked = ""  #: what asked for plain numbers
        self.warned = warned  #: the functions that a warning named; None for no warnings


class Batched(Operators):
    """n arrays as one, with the shape and the data type of one of them.

    ``value`` holds all of them along its first axis. It may be any array that nnx computes with: a plain
    one, a traced one of an outer derivative, a batched one of an outer map. For transforms inside the map a
    batched array is a plain array of a library of its own, that of ``adapter``.
    """

    __slots__ = ("adapter", "trace", "value")

    def __init__(self, value: Any, trace: Batch, adapter: Any) -> None:
        self.value, self.trace, self.adapter = value, trace, adapter

    # -- attributes of the standard's arrays ---------------------------------------------------------

    @property
    def space(self) -> Any:
        """The differentiable namespace over batched arrays."""
        return self.adapter.space

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return tuple(self.value.shape[1:])

    @property
    def ndim(self) -> int:
        """How many axes one sample has."""
        return self.value.ndim - 1

    @property
    def size(self) -> int:
        """How many entries one sample has."""
        return self.space.element_count(self.shape)

    @property
    def dtype(self) -> Any:
        """The data type, the library's object."""
        return self.value.dtype

    @property
    def device(self) -> Any:
        """The device that holds the samples."""
        return self.space.device_of(self.value)

    def __array_namespace__(self, /, *, api_version: str | None = None) -> Any:
        return self.space

    def __getattr__(self, name: str) -> Any:
        return self.adapter.method(self, name)

    def __repr__(self) -> str:
        return f"Batched({self.trace.n} of shape {self.shape}, {self.dtype})"

    # -- indexing ----------------------------------------------------------------------------------------

    def __getitem__(self, key: Any) -> Any:
        return self.space.getitem(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        """Writes into the samples themselves: who gets a batched array owns it, as one does a plain one."""
        self.adapter.assign(self, key, value)

    # -- what has one answer for each sample -------------------------------------------------------------

    def asks(self, what: str) -> NoReturn:
        """Notes who asked for plain numbers, and raises the error."""
        here = calling()[0]
        self.trace.asked = f"`{here}` asks for plain numbers ({what})" if here else f"{what}"
        raise NeedsNumbers(
            f"{self.trace.asked} of an array that nnx.{self.trace.who} maps over: they differ from sample to "
            "sample. Choose with xp.where, take with xp.take, or map over fewer arguments."
        )

    def __float__(self) -> float:
        self.asks("float(x)")

    def __int__(self) -> int:
        self.asks("int(x)")

    def __index__(self) -> int:
        self.asks("x as an index of a plain array or a count")

    def __complex__(self) -> complex:
        self.asks("complex(x)")

    def __bool__(self) -> bool:
        self.asks("bool(x), `if x`")

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        self.asks("np.asarray(x), np.array([x]), or a call that nnx cannot intercept")

    def __dlpack__(self, **options: Any) -> Any:
        self.asks("from_dlpack(x) of another library")

    def __dlpack_device__(self) -> Any:
        self.asks("from_dlpack(x) of another library")

    def __reduce__(self) -> Any:
        self.asks("pickle")

    def __round__(self, digits: int | None = None) -> Any:
        self.asks("round(x)")

    def __deepcopy__(self, memo: Any) -> Any:
        return self.space.asarray(self, copy=True)

    # -- NumPy's own protocols ---------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if any(target is not None for target in kwargs.get("out") or ()):
            self.asks("out=, or `a += x` with a plain array a")
        return self.adapter.numpy_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return self.adapter.numpy_function(func, args, kwargs)


def _in_place(name: str) -> None:
    """Gives batched arrays the operator ``name`` in place."""
    operation = getattr(operator, name.rstrip("_"), None) or getattr(operator, name)

    def in_place(self: Batched, other: Any) -> Any:
        new = operation(self, other)
        if type(new) is not Batched or new.trace is not self.trace or new.dtype != self.dtype:
            return new
        self[...] = new
        return self

    setattr(Batched, f"__i{name.rstrip('_')}__", in_place)


for _name in ("add", "sub", "mul", "truediv", "pow", "mod", "floordiv", "matmul"):
    _in_place(_name)
for _name in ("and_", "or_", "xor", "lshift", "rshift"):
    _in_place(_name)

register_carrier(Batched)
