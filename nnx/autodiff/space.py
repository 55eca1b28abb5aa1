"""The differentiable namespace over a library's own: what a traced array's ``__array_namespace__()`` gives.

Each name of the base namespace is here, in one of four states: differentiated by a rule, a composition of
such functions, constant (its result carries no gradient), or refused with the reason.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from functools import cache, wraps
from types import ModuleType
from typing import Any

from nnx.autodiff import numpy_protocol
from nnx.autodiff.array import Traced, raw
from nnx.autodiff.rules.compositions import COMPOSITIONS
from nnx.autodiff.rules.constants import CONSTANTS, PASSED
from nnx.autodiff.rules.elementwise import ELEMENTWISE
from nnx.autodiff.rules.manipulation import MANIPULATION
from nnx.autodiff.rules.products import PRODUCTS
from nnx.autodiff.rules.reductions import REDUCTIONS
from nnx.autodiff.trace import bind
from nnx.backend import Adapter, adapter_of, device_of
from nnx.errors import DerivativeError

RULES = {rule.name: rule for rule in (*ELEMENTWISE, *REDUCTIONS, *PRODUCTS, *MANIPULATION)}

_OPERATORS = {
    "neg": "negative", "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide",
    "pow": "pow", "mod": "remainder", "matmul": "matmul",
}  # fmt: skip
_CONSTANT_OPERATORS = ("eq", "ne", "lt", "le", "gt", "ge", "floordiv")


def space_of(x: Any) -> Any:
    """The differentiable namespace for a raw or traced array."""
    return x.space if type(x) is Traced else space_over(adapter_of(x))


@cache
def space_over(adapter: Adapter) -> Any:
    """The differentiable namespace over one library, made once; its functions on first use."""
    space: Any = Namespace(f"nnx.autodiff.over_{adapter.name}", adapter)
    base = raw_namespace(adapter)
    space.base = base
    space._find = lambda name: _differentiable(name, adapter.xp, space)
    for name in ("scatter", "scatter_add"):
        setattr(space, name, bind(RULES[name], getattr(base, name), space))
    # The standard passes the arrays of concat and stack as a list, a rule sees them one by one.
    for name in ("concat", "stack"):
        setattr(space, "joined_" + name, bind(RULES[name], _one_by_one(getattr(base, name)), space))
    space.matmul_into = lambda a, b, place: a @ b
    for name in ("positions", "device_of", "element_count"):
        setattr(space, name, getattr(base, name))
    for short, name in _OPERATORS.items():
        setattr(space, "op_" + short, bind(RULES[name], getattr(operator, short), space))
    for short in _CONSTANT_OPERATORS:
        setattr(space, "op_" + short, constant(getattr(operator, short)))
    space.getitem = _getitem(bind(RULES["getitem"], operator.getitem, space))
    space.numpy_ufunc = lambda *call: numpy_protocol.ufunc(space, *call)
    space.numpy_function = lambda *call: numpy_protocol.function(space, *call)
    return space


class Namespace(ModuleType):
    """A namespace over a library's own whose names are looked up once, when they are first used."""

    def __init__(self, name: str, adapter: Adapter) -> None:
        super().__init__(name)
        self.adapter = adapter
        self._find: Callable[[str], Any] = lambda name: getattr(adapter.xp, name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in _PUBLIC_DUNDERS:
            raise AttributeError(name)
        value = self._find(name)
        setattr(self, name, value)
        return value

    def __dir__(self) -> list[str]:
        return sorted({*dir(self.adapter.xp), *COMPOSITIONS})


_PUBLIC_DUNDERS = ("__array_api_version__", "__array_namespace_info__")


@cache
def raw_namespace(adapter: Adapter) -> Any:
    """The library's namespace for derivative rules: the standard, and how to put numbers into zeros."""
    xp = adapter.xp
    base: Any = Namespace(f"nnx.autodiff.raw_{adapter.name}", adapter)

    def positions(shape: tuple[int, ...], like: Any) -> Any:
        """Every element's own position, 0 … n−1, in an array of that shape."""
        return xp.reshape(xp.arange(math.prod(shape), device=device_of(like)), shape)

    def scatter_add(values: Any, index: Any, n: int) -> Any:
        return adapter.scatter_add(n, index, values)

    def scatter(g: Any, key: Any, shape: tuple[int, ...]) -> Any:
        """The transpose of ``x[key]`` for x of that shape: g put into zeros, repeated positions added."""
        if _has_array(key):
            where = xp.reshape(positions(shape, g)[key], (-1,))
            return xp.reshape(scatter_add(xp.reshape(g, (-1,)), where, math.prod(shape)), shape)
        out = xp.zeros(shape, dtype=g.dtype, device=device_of(g))
        if type(key) is tuple and None in key:  # the standard has no new axes in an assignment
            key = tuple(part for part in key if part is not None)
            g = xp.reshape(g, out[key].shape)
        out[key] = g
        return out

    def matmul_into(a: Any, b: Any, place: Any) -> Any:
        """The product a @ b, computed into the array ``place`` if it is one and the library can."""
        return a @ b if place is True else adapter.matmul_into(a, b, place)

    base.matmul_into = matmul_into
    base.positions, base.scatter_add, base.scatter = positions, scatter_add, scatter
    base.device_of, base.element_count = device_of, math.prod
    return base


def _differentiable(name: str, xp: Any, space: Any) -> Any:
    if name in COMPOSITIONS:
        return _composed(COMPOSITIONS[name], getattr(xp, name, None), space)
    function = getattr(xp, name)
    if name in RULES:
        return bind(RULES[name], function, space)
    if name in CONSTANTS:
        return constant(function)
    if isinstance(function, ModuleType):
        return _Refusing(name, function)
    if name in PASSED or not callable(function) or isinstance(function, type):
        return function
    return refused(name, function)


def constant(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose result carries no gradient: computed on plain arrays, gives plain arrays."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        plain = [_plain(a) for a in args]
        return function(*plain, **{k: _plain(v) for k, v in kwargs.items()} if kwargs else {})

    return call


def _plain(x: Any) -> Any:
    if type(x) is Traced:
        return raw(x)
    return type(x)(_plain(part) for part in x) if type(x) in (tuple, list) else x


def refused(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function without a rule: plain arrays pass, traced ones raise :class:`DerivativeError`."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if any(_holds_trace(a) for a in (*args, *kwargs.values())):
            raise DerivativeError(
                f"xp.{name} has no derivative rule in nnx, so it cannot be part of a function that is being "
                "differentiated. Compose it of functions that have one, give it a rule of your own with "
                "nnx.autodiff.fused, or cut the gradient on purpose with nnx.stop_gradient(x)."
            )
        return function(*args, **kwargs)

    return call


class _Refusing(ModuleType):
    """A part of the namespace (linalg, fft) whose functions have no rules: plain arrays pass."""

    def __init__(self, name: str, module: ModuleType) -> None:
        super().__init__(f"nnx.autodiff.{name}")
        self._short, self._module = name, module

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._module, name)
        if callable(value) and not isinstance(value, type):
            value = refused(f"{self._short}.{name}", value)
        setattr(self, name, value)
        return value


def _composed(composition: Callable[..., Any], function: Any, space: Any) -> Callable[..., Any]:
    """``function`` on plain arrays; on traced ones its composition of differentiable functions."""

    def call(*args: Any, **kwargs: Any) -> Any:
        if function is None or any(_holds_trace(a) for a in (*args, *kwargs.values())):
            return composition(space, *args, **kwargs)
        return function(*args, **kwargs)

    call.__name__ = composition.__name__
    return call


def _holds_trace(x: Any) -> bool:
    return type(x) is Traced or (type(x) in (tuple, list) and any(_holds_trace(part) for part in x))


def _one_by_one(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *arrays, axis=0: function(arrays, axis=axis)


def _getitem(differentiable: Callable[..., Any]) -> Callable[..., Any]:
    def getitem(x: Any, key: Any) -> Any:
        return differentiable(x, _plain(key))

    return getitem


def _has_array(key: Any) -> bool:
    parts = key if type(key) is tuple else (key,)
    return any(
        (hasattr(part, "dtype") and getattr(part, "ndim", 0) > 0) or type(part) is list for part in parts
    )
