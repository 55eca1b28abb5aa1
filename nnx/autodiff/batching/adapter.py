"""Batched arrays as an array library of their own, over the library that holds the samples."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from types import ModuleType, SimpleNamespace
from typing import Any

from nnx.autodiff.array import Traced, raw
from nnx.autodiff.batching import indexing, matrices  # noqa: F401 (they add their rules)
from nnx.autodiff.batching.array import Batched
from nnx.autodiff.batching.calls import Call, by_rule, found, innermost, looped, settled
from nnx.autodiff.batching.rules import BATCHING, entrywise, samples_ndim
from nnx.autodiff.batching.whole import whole
from nnx.autodiff.numpy_api.names import CONSTANTS, ESCAPES, METHODS, UFUNCS
from nnx.autodiff.numpy_api.protocol import name_of
from nnx.autodiff.numpy_api.table import FOREIGN, FUNCTIONS
from nnx.autodiff.space import COMPOSITIONS, CONSTANT_OPERATORS, OPERATORS, RULES, space_over
from nnx.autodiff.trace import lifted
from nnx.backend import Adapter

_EXTENSIONS = ("linalg", "fft")


class _Names(ModuleType):
    """The functions of the standard (or of one of its extensions) for batched arrays."""

    def __init__(self, adapter: Any, prefix: str = "") -> None:
        super().__init__(f"nnx.autodiff.batched_{adapter.below.name}.{prefix}")
        self._adapter, self._prefix = adapter, prefix

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in ("__array_api_version__", "__array_namespace_info__"):
            raise AttributeError(name)
        value = self._adapter.named(self._prefix + name)
        setattr(self, name, value)
        return value

    def __dir__(self) -> list[str]:
        own = self._adapter.below.xp
        return dir(found(own, self._prefix[:-1]) if self._prefix else own)


class BatchedAdapter(Adapter):
    """The library of batched arrays over the arrays of the library ``below``."""

    def __init__(self, below: Adapter) -> None:
        self.below: Any = below
        self.name = f"batched_{below.name}"
        self.kinds = frozenset((Batched, *below.kinds))
        self.mixes_indices = below.mixes_indices
        super().__init__(_Names(self))
        operators = {short: self.named(name) for short, name in OPERATORS.items()}
        operators |= {short: self.named(name) for short, name in CONSTANT_OPERATORS.items()}
        self.operator = SimpleNamespace(**operators, getitem=self.named("getitem"))
        #: functions by name, with those that rules use beyond the standard
        self.own: dict[str, Any] = {name: self.named(name) for name in _OWN}

    @property
    def space(self) -> Any:
        """The differentiable namespace over batched arrays."""
        return space_over(self)

    # -- functions by name -------------------------------------------------------------------------------

    def named(self, name: str) -> Any:
        """The function ``name`` for batched arrays, or what else the library has by that name."""
        if name in _EXTENSIONS:
            return _Names(self, name + ".")
        if name in BATCHING:
            return by_rule(name, BATCHING[name], self, _plain(name, self))
        if name in COMPOSITIONS:
            return self.composed(name)
        value = found(self.below.xp, name)
        if not callable(value) or isinstance(value, type) or name in _OF_THE_LIBRARY:
            return value
        return self._looped(name, value)

    def composed(self, name: str) -> Callable[..., Any]:
        """The composition of this name; its arguments become constants, for it looks into traced arrays."""

        def rule(call: Call, *args: Any, **kwargs: Any) -> Any:
            args = tuple(lifted(a, self.space) for a in args)
            kwargs = {k: lifted(v, self.space) for k, v in kwargs.items()}
            return settled(COMPOSITIONS[name](self.space, *args, **kwargs))

        def plain(*args: Any, **kwargs: Any) -> Any:
            return settled(found(space_over(self.below), name)(*args, **kwargs))

        return by_rule(name, rule, self, plain)

    def bound(self, rule: Any, function: Callable[..., Any]) -> Callable[..., Any]:
        """What a call of ``function``, which has the derivative ``rule``, is for batched arrays."""
        name: str = rule.name
        if RULES.get(name) is rule:
            if name not in self.own:
                self.own[name] = self.named(name)
            return self.own[name]
        return whole(rule, function, self)

    def special(self, name: str) -> Callable[..., Any]:
        if "special." + name in COMPOSITIONS:
            return self.composed("special." + name)
        rule = BATCHING.get("special." + name, entrywise)
        return by_rule("special." + name, rule, self, self.below.special(name))

    # -- what nnx asks of a library ------------------------------------------------------------------------

    def device(self, spec: Any) -> Any:
        return self.below.device(spec)

    def dtype(self, name: Any) -> Any:
        return self.below.dtype(name)

    def is_floating(self, dtype: Any) -> bool:
        return self.below.is_floating(dtype)

    def asarray(self, x: Any, dtype: Any = None, device: Any = None) -> Any:
        if type(x) is Batched:
            return self.xp.asarray(x, dtype=dtype, device=device)
        return self.below.asarray(x, dtype=dtype, device=device)

    def to_numpy(self, x: Any) -> Any:
        return x.asks("to_numpy(x)") if type(x) is Batched else self.below.to_numpy(x)

    def own_kind(self, x: Any) -> str:
        return "" if type(x) is Batched else self.below.own_kind(x)

    def restored(self, d: Any, x: Any, exact: Callable[..., Any]) -> Any:
        return self.own["restored"](d, x, exact)

    def shares_memory(self, y: Any, x: Any) -> bool:
        y, x = raw(y), raw(x)  # an outer transform may trace what is mapped over
        if type(y) is not type(x):
            return False
        if type(y) is Batched:
            return y.trace is x.trace and self.shares_memory(y.value, x.value)
        return self.below.shares_memory(y, x)

    def laid_out(self, x: Any, like: Any) -> Any:
        plain = type(x) is not Batched and type(x) is not Traced
        return self.below.laid_out(x, like) if plain and type(like) is type(x) else x

    def copied_if_small(self, x: Any) -> Any:
        if type(x) is not Batched:
            return x if type(x) is Traced else self.below.copied_if_small(x)
        return Batched(self.copied_if_small(x.value), x.trace, self)

    def lock(self, x: Any) -> Any:
        if type(x) is Batched:
            return self.lock(x.value)
        return None if type(x) is Traced else self.below.lock(x)

    def materialized(self, x: Any) -> Any:
        if type(x) is Batched:
            return Batched(self.materialized(x.value), x.trace, self)
        return x if type(x) is Traced else self.below.materialized(x)

    def scatter_add(self, n: int, index: Any, values: Any) -> Any:
        return self.own["scatter_add"](values, index, n)

    # -- what batched arrays ask ---------------------------------------------------------------------------

    def method(self, x: Batched, name: str) -> Any:
        """NumPy's method ``name`` of a batched array."""
        if name in ESCAPES and self.space.speaks_numpy:
            return lambda *args, **kwargs: x.asks(f"x.{name}()")
        if METHODS.get(name) in CONSTANTS:
            return partial(self._constant, METHODS[name], lambda v, *a, **k: getattr(v, name)(*a, **k), x)
        if name in _METHODS or name in METHODS:
            return getattr(lifted(x, self.space), name)
        raise AttributeError(f"Arrays that are mapped over have no attribute {name!r}.")

    def assign(self, x: Batched, key: Any, value: Any) -> None:
        """``x[key] = value``."""
        top, _ = innermost((settled(value), settled(key)))
        if top is not None and top.level > x.trace.level:
            x.asks("x[key] = v with v of an inner map")
        new = self.own["set_at"](x, settled(value), key=settled(key))
        x.value[...] = new.value

    def numpy_ufunc(self, ufunc: Any, method: str, inputs: Any, kwargs: Any) -> Any:
        """A ufunc of batched arrays."""
        name = name_of(ufunc)
        if method != "__call__" or name in UFUNCS or (name in FUNCTIONS and name not in CONSTANTS):
            return self.space.numpy_ufunc(ufunc, method, inputs, kwargs)
        if name not in CONSTANTS and ufunc not in FOREIGN and hasattr(self.space.special, name):
            return self.space.numpy_ufunc(ufunc, method, inputs, kwargs)
        if getattr(ufunc, "signature", None) is None and ufunc.nout == 1:
            return by_rule(name, _of(FOREIGN.get(ufunc, ufunc)), self, ufunc)(*inputs, **kwargs)
        return self._looped(name, ufunc)(*inputs, **kwargs)

    def numpy_function(self, func: Any, args: Any, kwargs: Any) -> Any:
        """A function of NumPy's of batched arrays."""
        name = name_of(func)
        if name in ("shape", "ndim", "size"):
            return getattr(args[0], name)
        if name in CONSTANTS or name in _ENTRYWISE:
            return self._constant(name, func, *args, **kwargs)
        if name in BATCHING and name not in FUNCTIONS and name not in CONSTANTS:
            return self.named(name)(*args, **kwargs)
        if name in FUNCTIONS:
            return self.space.numpy_function(func, args, kwargs)
        return self._looped(f"np.{name}", func)(*args, **kwargs)

    def _constant(self, name: str, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """NumPy's function ``func``, whose result carries no gradient."""
        if name in _ENTRYWISE:
            return by_rule(name, _of(func), self, func)(*args, **kwargs)
        if CONSTANTS[name] not in BATCHING:
            return self._looped(f"np.{name}", func)(*args, **kwargs)
        if name in _AXIS_SECOND and len(args) > 1:
            args, kwargs = (args[0], *args[2:]), {"axis": args[1], **kwargs}
        return self.named(CONSTANTS[name])(*args, **kwargs)

    def _looped(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        return by_rule(name, lambda call, *a, **k: looped(call, function, a, k), self, function)


#: NumPy's functions that work entry by entry on plain arrays, with options that the standard's lack.
_ENTRYWISE = frozenset(
    "round around fix isclose isneginf isposinf isreal iscomplex digitize nan_to_num".split()
)
_AXIS_SECOND = frozenset("all any argmax argmin argsort count_nonzero".split())
_METHODS = frozenset("reshape ravel flatten transpose astype copy conj conjugate real imag".split())
#: Functions that rules use beyond the standard.
_OWN = ("set_at", "add_at", "item", "scatter", "scatter_add", "last_written", "positions", "converted",
        "from_parts", "to_device", "kinked", "restored", "laid_out")  # fmt: skip
_OF_THE_LIBRARY = frozenset(
    "zeros ones empty full arange eye linspace isdtype finfo iinfo broadcast_shapes "
    "__array_namespace_info__ fft.fftfreq fft.rfftfreq".split()
)


def _plain(name: str, adapter: Any) -> Callable[..., Any] | None:
    """The function for arguments that are not batched, where the library has none by that name."""
    base = space_over(adapter.below).base
    if name in _OWN:
        return getattr(base, name)
    if name == "getitem":
        return lambda x, key: x[key]
    if name in ("joined_concat", "joined_stack"):
        join = getattr(base, name.removeprefix("joined_"))
        return lambda *arrays, axis=0: join(arrays, axis=axis)
    return None


def _of(function: Any) -> Any:
    """The rule of a function that works entry by entry on whatever is below."""

    def rule(call: Call, *args: Any, **kwargs: Any) -> Any:
        ndim = samples_ndim(args)
        values = [call.spread(a, ndim) for a in args]
        if function in FOREIGN.values():  # the user's own: it broadcasts traced arrays only
            values = list(call.xp(*values).broadcast_arrays(*values))
        return call.wrap(function(*values, **kwargs))

    return rule


@cache
def batched_over(below: Adapter) -> BatchedAdapter:
    """The adapter of batched arrays over a library's, made once."""
    return BatchedAdapter(below)
