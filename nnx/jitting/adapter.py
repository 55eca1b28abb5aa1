"""Recorded arrays as an array library of their own, over the library of the raw arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import MappingProxyType, ModuleType
from typing import Any

from nnx.autodiff.array import Traced
from nnx.autodiff.batching.array import Batched
from nnx.autodiff.levels import running
from nnx.autodiff.space import space_over
from nnx.backend import Adapter
from nnx.backend.convolution import Convolution
from nnx.backend.normalizing import Normalizing
from nnx.backend.pooling import Pooling
from nnx.backend.recurrent import Recurrence
from nnx.jitting.recorded import Recorded
from nnx.jitting.recorder import Draw, active, called


class _Names(ModuleType):
    """The functions of the library (or of one of its extensions), each recorded when it is called."""

    def __init__(self, name: str, below: Any) -> None:
        super().__init__(name)
        self._below = below

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in ("__array_api_version__", "__array_namespace_info__"):
            raise AttributeError(name)
        found = getattr(self._below, name)
        if isinstance(found, ModuleType):
            found = _Names(f"{self.__name__}.{name}", found)
        elif callable(found) and not isinstance(found, type):
            found = _recorded(found)
        setattr(self, name, found)
        return found

    def __dir__(self) -> list[str]:
        return dir(self._below)


def _recorded(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        if _of_transforms((args, kwargs)):
            return function(*args, **kwargs)  # which they answer themselves, and record what that computes
        out = kwargs.get("out")
        return called(function, args, kwargs, () if out is None else (out,))

    call.__name__ = call.__qualname__ = getattr(function, "__name__", "function")
    return call


def _of_transforms(x: Any) -> bool:
    """Whether arrays of a transform inside are among nested arguments."""
    if type(x) in (tuple, list):
        return any(map(_of_transforms, x))
    return any(map(_of_transforms, x.values())) if type(x) is dict else type(x) in (Traced, Batched)


class RecordedAdapter(Adapter):
    """The library of recorded arrays over the arrays of the library ``below``."""

    array = Recorded

    def __init__(self, below: Adapter) -> None:
        self.below: Any = below
        self.name = f"recorded_{below.name}"
        self.kinds = frozenset((Recorded, *below.kinds))
        self.mixes_indices, self.adds_at_places = below.mixes_indices, below.adds_at_places
        self.cached_entries, self.operator = below.cached_entries, None
        super().__init__(_Names(f"nnx.jitting.recorded_{below.name}", below.xp))
        own = {name: _recorded(function) for name, function in below.own.items()}
        self.own = MappingProxyType(own)

    @property
    def space(self) -> Any:
        """The differentiable namespace over recorded arrays."""
        return space_over(self)

    @contextmanager
    def serving(self) -> Iterator[None]:
        """A time in which transforms know that any array of the library below may meet a recorded one."""
        running.append(self)
        try:
            yield
        finally:
            running.pop()

    def device(self, spec: Any) -> Any:
        return self.below.device(spec)

    def dtype(self, name: Any) -> Any:
        return self.below.dtype(name)

    def is_floating(self, dtype: Any) -> bool:
        return self.below.is_floating(dtype)

    def own_kind(self, x: Any) -> str:
        return "" if type(x) is Recorded else self.below.own_kind(x)

    def asarray(self, x: Any, dtype: Any = None, device: Any = None) -> Any:
        return called(self.below.asarray, (x,), {"dtype": dtype, "device": device})

    def to_numpy(self, x: Any) -> Any:
        return x.asks("to_numpy(x)") if type(x) is Recorded else self.below.to_numpy(x)

    def special(self, name: str) -> Callable[..., Any]:
        return _recorded(self.below.special(name))

    def shares_memory(self, y: Any, x: Any) -> bool:
        y, x = (a.value if type(a) is Recorded else a for a in (y, x))
        return self.below.shares_memory(y, x)

    def may_write(self, x: Any) -> bool:
        return self.below.may_write(x.value if type(x) is Recorded else x)

    def restored(self, d: Any, x: Any, exact: Callable[..., Any]) -> Any:
        if type(d) is not Recorded:
            return self.below.restored(d, x, exact)
        return active().restored(self.below.restored, d, x, exact)

    def add_at(self, x: Any, key: Any, values: Any) -> Any:
        return called(self.below.add_at, (x, key, values), {}, (x,))

    def matmul_into(self, a: Any, b: Any, out: Any) -> Any:
        return called(self.below.matmul_into, (a, b, out), {}, (out,))

    def lock(self, x: Any) -> Any:
        return self.below.lock(x.value if type(x) is Recorded else x)


def _delegated(name: str) -> None:
    """Lets the library below compute what it has its own way of computing."""

    def method(self: RecordedAdapter, *args: Any) -> Any:
        if type(args[0]) is Traced:
            return args[0]  # of a transform inside: it makes no difference to memory
        return called(getattr(self.below, name), args)

    method.__name__ = name
    setattr(RecordedAdapter, name, method)


for _name in ("laid_out", "copied_if_small", "materialized", "broadcast_copy"):
    _delegated(_name)


def _kernel(base: type, name: str) -> None:
    """Lets the library below compute what it has a kernel for; of arrays of a transform inside, the calls."""
    reference = getattr(base, name)

    def method(self: RecordedAdapter, *args: Any, **kwargs: Any) -> Any:
        if _of_transforms((args, kwargs)):
            return reference(self, *args, **kwargs)
        return called(getattr(self.below, name), args, kwargs)

    method.__name__ = name
    setattr(RecordedAdapter, name, method)


for _base in (Convolution, Normalizing, Pooling, Recurrence):
    for _name in [name for name in vars(_base) if not name.startswith("_")]:
        _kernel(_base, _name)
for _name in (
    "tanh",
    "sigmoid",
    "rectified",
    "erf",
    "erfc",
    "unless_nan",
    "unit_step",
    "scatter_add",
    "take_rows",
    "summed",
):
    _kernel(Adapter, _name)


def _drawn(name: str) -> None:
    """Random numbers of a stream: of a step that may be another one when the program runs again."""

    def method(self: RecordedAdapter, stream: Any, *args: Any) -> Any:
        below = getattr(self.below, name)
        clock = active().clock
        return called(below if clock is None else Draw(below, clock), (stream, *args))

    method.__name__ = name
    setattr(RecordedAdapter, name, method)


for _name in ("uniform", "normal", "keep_mask", "positive_keep_mask"):
    _drawn(_name)


@cache
def recorded_over(below: Adapter) -> RecordedAdapter:
    """The adapter of recorded arrays over a library's, made once."""
    return RecordedAdapter(below)
