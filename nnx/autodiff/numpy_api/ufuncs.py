"""Ufuncs with options (``dtype=``, ``where=``), and their methods (``reduce``, ``outer``, ``at`` …)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnx.autodiff.array import Traced, plain
from nnx.autodiff.batching.array import Batched
from nnx.autodiff.families import along
from nnx.autodiff.numpy_api.names import CONSTANTS
from nnx.autodiff.numpy_api.table import (
    FUNCTIONS,
    array,
    arrays,
    axes_of,
    axis_of,
    cast,
    refuse,
    refuse_out,
    shown,
)

_REDUCTIONS = {"add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min"}
_SUMS = {"add": "cumulative_sum", "multiply": "cumulative_prod"}
_WITHOUT_EFFECT = frozenset(("order", "subok", "casting"))


def with_options(space: Any, func: Any, name: str, call: Any, method: str, inputs: Any, kwargs: Any) -> Any:
    """A method of the ufunc ``func``, or its call with options; ``call`` is the ufunc without options."""
    if any(target is not None for target in kwargs.get("out") or ()):
        for x in map(plain, inputs):
            if type(x) is Batched:
                x.asks("out=, or `a += x` with a plain array a")
        refuse_out(name)
    if name in CONSTANTS and space.speaks_numpy:
        return getattr(func, method)(*plain(inputs), **plain(kwargs))
    kwargs = {k: v for k, v in kwargs.items() if k not in _WITHOUT_EFFECT and k != "out"}
    if method == "__call__":
        return _called(space, name, call, inputs, kwargs)
    if method not in _METHODS or func.nin != 2:
        refuse(f"{name}.{method}", "nnx does not know this method", "Write it as a loop, or with others.")
    return _METHODS[method](space, name, call, *inputs, **kwargs)


def _called(space: Any, name: str, call: Any, inputs: Any, kwargs: Any) -> Any:
    options = dict(kwargs)
    dtype, where = options.pop("dtype", None), options.pop("where", True)
    if where is not True:
        refuse(
            name,
            "where= leaves the other places of the result uninitialised",
            f"Write np.where(mask, {shown(name)}(...), other).",
        )
    inputs = arrays(space, *inputs)
    if dtype is not None:
        inputs = [cast(space, x, dtype) for x in inputs]
    if options and name not in FUNCTIONS:
        option = next(iter(options))
        refuse(name, f"nnx does not know its argument {option}=", "Move the axes before the call.")
    return call(*inputs, **options)


def _reduce(
    space: Any,
    name: str,
    call: Any,
    x: Any,
    axis: Any = 0,
    dtype: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> Any:
    x = array(space, x)
    if x.ndim:  # NumPy allows axis 0 of a scalar
        axes_of(f"{name}.reduce", axis, x)
    if name in _REDUCTIONS:
        options = {} if name in ("maximum", "minimum") else {"dtype": dtype}
        reduction = FUNCTIONS[_REDUCTIONS[name]]
        return reduction(space, x, axis=axis, keepdims=keepdims, initial=initial, where=where, **options)
    if name == "logaddexp" and initial is None and where is True:
        return FUNCTIONS["logsumexp"](space, x, axis=axis, keepdims=keepdims)
    if where is not True or type(axis) is tuple or axis is None:
        refuse(f"{name}.reduce", "this ufunc is reduced along one axis only", "Reshape the array first.")
    if not x.ndim:
        return x if initial is None else call(initial, x)
    axis = axis_of(f"{name}.reduce", axis, x)
    total = initial
    for i in range(x.shape[axis]):
        part = cast(space, x[along(axis, i)], dtype)
        total = part if total is None else call(total, part)
    return space.expand_dims(total, axis=axis) if keepdims else total


def _accumulate(space: Any, name: str, call: Any, x: Any, axis: int = 0, dtype: Any = None) -> Any:
    x = cast(space, array(space, x), dtype)
    axis = axis_of(f"{name}.accumulate", axis, x)
    if name in _SUMS:
        return getattr(space, _SUMS[name])(x, axis=axis)
    running: list[Any] = []
    for i in range(x.shape[axis]):
        part = x[along(axis, i)]
        running.append(call(running[-1], part) if running else part)
    return space.stack(running, axis=axis)


def _outer(space: Any, name: str, call: Any, a: Any, b: Any, **options: Any) -> Any:
    a, b = arrays(space, a, b)
    return _called(space, name, call, (space.reshape(a, (*a.shape, *(1,) * b.ndim)), b), options)


def _reduceat(
    space: Any, name: str, call: Any, x: Any, indices: Any, axis: int = 0, dtype: Any = None
) -> Any:
    x = cast(space, array(space, x), dtype)
    axis = axis_of(f"{name}.reduceat", axis, x)
    starts = [int(i) for i in plain(indices)]
    ends = [*starts[1:], x.shape[axis]]
    return space.stack(
        [
            _reduce(space, name, call, x[along(axis, slice(a, b))], axis) if a < b else x[along(axis, a)]
            for a, b in zip(starts, ends, strict=True)
        ],
        axis=axis,
    )


def _at(space: Any, name: str, call: Any, x: Any, key: Any, *values: Any) -> None:
    """``np.add.at(x, key, values)``: repeated keys add up, as in the transpose of ``x[key]``."""
    if type(x) is not Traced:
        refuse_out(f"{name}.at")
    if name not in ("add", "subtract"):
        refuse(
            f"{name}.at",
            "only np.add.at and np.subtract.at have a derivative in nnx",
            "If no place is repeated, write x[key] = f(x[key], values).",
        )
    key = plain(key)
    value = array(space, values[0], x)
    whole = space.broadcast_to(value, x[key].shape)
    spread = space.scatter(cast(space, whole, x.dtype), key, x.shape)
    space.update(x, x + spread if name == "add" else x - spread)


_METHODS: dict[str, Callable[..., Any]] = {
    "reduce": _reduce, "accumulate": _accumulate, "outer": _outer, "reduceat": _reduceat, "at": _at,
}  # fmt: skip
