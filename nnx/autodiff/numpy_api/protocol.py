"""The dispatch of NumPy's calls on the arrays of one differentiable namespace."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from nnx.autodiff.array import Traced, is_traced, plain
from nnx.autodiff.numpy_api import methods, ufuncs
from nnx.autodiff.numpy_api.names import CONSTANTS, DEPRECATED, REFUSED, UFUNCS
from nnx.autodiff.numpy_api.table import (
    FOREIGN,
    FUNCTIONS,
    array,
    axes_of,
    first_array,
    refuse,
    refuse_out,
)
from nnx.autodiff.trace import lifted
from nnx.errors import NnxError

# Options that do not change the values.
_WITHOUT_EFFECT = frozenset(("out", "subok", "casting", "like", "device"))
_ORDERS = [("order", order) for order in ("C", "K", "A", None)]


def attach(space: Any) -> None:
    """Adds NumPy's protocols to ``space``: ``numpy_ufunc``, ``numpy_function`` and ``numpy_method``.

    Each NumPy function is resolved once; afterwards a call costs one lookup in a dictionary.
    """
    calls: dict[Any, Callable[..., Any]] = {}

    def find(func: Any) -> Callable[..., Any]:
        call = calls.get(func)
        if call is None:
            if func in FOREIGN:
                return FOREIGN[func]
            call = resolve(space, func)
            if not getattr(call, "refuses", False):  # for that may be taught later
                calls[func] = call
        return call

    def ufunc(func: Any, method: str, inputs: Any, kwargs: Any) -> Any:
        if kwargs or method != "__call__":
            return ufuncs.with_options(space, func, name_of(func), find(func), method, inputs, kwargs)
        for x in inputs:
            if type(x) is list or type(x) is tuple:
                inputs = [array(space, x, first_array(inputs)) for x in inputs]
                break
        call = calls.get(func)
        return (find(func) if call is None else call)(*inputs)

    def function(func: Any, args: Any, kwargs: Any) -> Any:
        call = calls.get(func)
        return (find(func) if call is None else call)(*args, **kwargs)

    @cache
    def named(name: str) -> Callable[..., Any]:
        if name in FUNCTIONS:
            return composed(space, name, None)
        return lambda x, *args, **kwargs: getattr(plain(x), name)(*plain(args), **plain(kwargs))

    space.speaks_numpy = hasattr(space.base.empty((0,)), "__array_function__")
    space.numpy_calls, space.numpy_ufunc, space.numpy_function = calls, ufunc, function
    space.numpy_method = partial(methods.method, space)
    space.numpy_set = partial(methods.set_attribute, space)
    space.numpy_named = named


def resolve(space: Any, func: Any) -> Callable[..., Any]:
    """NumPy's ``func`` for the arrays of ``space``; an error that names it if there is none."""
    name = name_of(func)
    if name in CONSTANTS:
        return constant(space, name, func)
    if name in FUNCTIONS:
        call = composed(space, name, func)
        return _straight(getattr(space, name.removeprefix("a")), call) if name in _STRAIGHT else call
    if name in UFUNCS and hasattr(func, "nin"):
        call = getattr(space, UFUNCS[name])
        return call if space.speaks_numpy else _with_python_numbers(call)
    special = getattr(getattr(space, "special", None), name, None)
    return refused(space, name, func) if special is None else special


def name_of(func: Any) -> str:
    """NumPy's name of a function without the leading "numpy.": "sum", "linalg.norm".

    A ufunc knows its bare name only. Another library's (or the user's) may have the name of one of NumPy's,
    so NumPy's attribute of that name must be this very ufunc.
    """
    name: str = func.__name__
    if hasattr(func, "nin"):
        known = any(getattr(sys.modules.get(m), name, None) is func for m in _UFUNC_MODULES)
        return name if known else f"foreign.{name}"
    module = func.__module__ or ""
    return name if module == "numpy" else f"{module.removeprefix('numpy.')}.{name}"


_UFUNC_MODULES = ("numpy", "scipy.special", "scipy.special._ufuncs")


def constant(space: Any, name: str, func: Any) -> Callable[..., Any]:
    """NumPy's own function on plain arrays; the standard's where the library lacks NumPy's."""
    if space.speaks_numpy or name in _OF_SHAPES:
        if name in DEPRECATED:
            func = getattr(sys.modules["numpy"], DEPRECATED[name])
        return lambda *args, **kwargs: func(*plain(args), **plain(kwargs))
    target = getattr(space, CONSTANTS[name], None)
    if target is None:
        return composed(space, name, func) if name in FUNCTIONS else refused(space, name, func)

    def call(*args: Any, **kwargs: Any) -> Any:
        if name in _AXIS_SECOND and len(args) > 1:
            args, kwargs = (args[0], *args[2:]), {"axis": args[1], **kwargs}
        return target(*plain(args), **plain(kwargs))

    return call


_OF_SHAPES = frozenset(("shape", "ndim", "size"))
_AXIS_SECOND = frozenset("all any argmax argmin argsort count_nonzero".split())


def composed(space: Any, name: str, func: Any) -> Callable[..., Any]:
    """The composition of this name, bound to the space; it refuses unknown arguments by name."""
    composition = FUNCTIONS[name]
    parameters = list(inspect.signature(composition).parameters.values())[1:]
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return partial(composition, space)
    known = frozenset(p.name for p in parameters if p.kind is not p.VAR_POSITIONAL)
    by_place = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    place = by_place.index("out") if "out" in by_place else None
    reduces = {"axis", "keepdims"} <= known

    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            kwargs = _options(name, known, kwargs)
        if place is not None and len(args) > place and args[place] is not None:
            refuse_out(name)
        try:
            return composition(space, *args, **kwargs)
        except Exception as error:
            if reduces and not isinstance(error, NnxError):  # checked only now: a sum must be quick
                _check_axis(space, name, composition, args, kwargs)
            raise

    return call


_STRAIGHT = frozenset(("sum", "prod", "mean", "max", "amax", "min", "amin"))
_AXES, _AXIS = frozenset(("axis", "keepdims")), (int, tuple, type(None))


def _straight(standard: Callable[..., Any], call: Callable[..., Any]) -> Callable[..., Any]:
    """``call``, a reduction, that of the ``standard`` where its arguments are those that both have."""

    def straight(*args: Any, **kwargs: Any) -> Any:
        if len(args) != 1 or type(args[0]) is not Traced:
            return call(*args, **kwargs)
        if kwargs and not (kwargs.keys() <= _AXES and type(kwargs.get("axis")) in _AXIS):
            return call(*args, **kwargs)
        try:
            return standard(*args, **kwargs)
        except Exception:
            return call(*args, **kwargs)  # as this says it, in NumPy's words

    return straight


def _check_axis(space: Any, name: str, composition: Any, args: Any, kwargs: Any) -> None:
    """Raises an error that names the function if its first argument lacks the axis."""
    given = inspect.signature(composition).bind(space, *args, **kwargs).arguments
    axes_of(name, given.get("axis"), array(space, list(given.values())[1]))


def _options(name: str, known: frozenset[str], kwargs: dict[str, Any]) -> dict[str, Any]:
    if kwargs.get("out") is not None:
        refuse_out(name)
    for option in set(kwargs) - known:
        if option not in _WITHOUT_EFFECT and (option, kwargs[option]) not in _ORDERS:
            refuse(
                name,
                f"nnx does not know its argument {option}={kwargs[option]!r}",
                "Leave the argument out, or compose the function of others.",
            )
    return {k: v for k, v in kwargs.items() if k in known}


def refused(space: Any, name: str, func: Any) -> Callable[..., Any]:
    """A function that cannot be differentiated, but takes constants."""
    reason = REFUSED.get(name, "it has no counterpart in the array API standard that nnx can differentiate")

    def call(*args: Any, **kwargs: Any) -> Any:
        if not space.speaks_numpy or is_traced(args) or is_traced(list(kwargs.values())):
            refuse(
                name,
                reason,
                "Compose it of functions that have a derivative, give it one of its own "
                "(nnx.custom_derivative, nnx.register_ufunc), or cut the gradient on purpose with "
                "nnx.stop_gradient(x).",
            )
        return lifted(func(*plain(args), **plain(kwargs)), space)

    call.refuses = True  # type: ignore[attr-defined]
    return call


def _with_python_numbers(call: Callable[..., Any]) -> Callable[..., Any]:
    """``call`` for a library that does not know NumPy's scalars."""

    def with_python_numbers(*inputs: Any) -> Any:
        return call(
            *[
                x.item() if type(x) is not Traced and type(x).__module__ == "numpy" and not x.shape else x
                for x in inputs
            ]
        )

    return with_python_numbers
