"""How the functions of the standard work on batched arrays, family by family.

=============  ====================================================================================
entrywise      axes of length 1 after the first, so that samples broadcast among themselves
along axes     every axis one further on; axis=None are all but the first
by matrices    the first axis is one more axis of the stack
joining        what all samples share is repeated
=============  ====================================================================================

A rule is ``rule(call, *args, **options)``, with the arguments of its function. What is not here and is no
composition of what is here is called sample by sample, with a warning.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from nnx.autodiff.batching.calls import Call
from nnx.autodiff.families import normal_axes
from nnx.autodiff.rules.partials import Partials
from nnx.autodiff.space import RULES

Array = Any
RULE = Callable[..., Any]
BATCHING: dict[str, RULE] = {}


def batching(*names: str) -> Callable[[RULE], RULE]:
    """Decorator: the rule of the functions of these names."""

    def add(rule: RULE) -> RULE:
        BATCHING.update(dict.fromkeys(names, rule))
        return rule

    return add


def samples_ndim(args: Any) -> int:
    """The most axes that the (samples of the) arguments have."""
    ndims = [getattr(a, "ndim", 0) for a in args]
    return max([n for n in ndims if type(n) is int], default=0)  # a data type is a class with an "ndim", too


# -- entry by entry --------------------------------------------------------------------------------------

#: Python's operators take numbers on either side, which not every library's functions do.
_OPERATORS: dict[str, Callable[..., Any]] = {
    "add": operator.add, "subtract": operator.sub, "multiply": operator.mul, "divide": operator.truediv,
    "pow": operator.pow, "remainder": operator.mod, "floor_divide": operator.floordiv,
    "negative": operator.neg, "equal": operator.eq, "not_equal": operator.ne, "less": operator.lt,
    "less_equal": operator.le, "greater": operator.gt, "greater_equal": operator.ge,
    "bitwise_and": operator.and_, "bitwise_or": operator.or_, "bitwise_xor": operator.xor,
    "bitwise_left_shift": operator.lshift, "bitwise_right_shift": operator.rshift,
    "bitwise_invert": operator.invert,
}  # fmt: skip

_ENTRYWISE = """
    abs acos acosh asin asinh atan atan2 atanh ceil conj copysign cos cosh exp expm1 floor hypot imag isfinite
    isinf isnan log log10 log1p log2 logaddexp logical_and logical_not logical_or logical_xor maximum minimum
    nextafter positive real reciprocal round sign signbit sin sinh sqrt square tan tanh trunc where clip
    astype converted from_parts to_device special.gammasgn special.round kinked restored
"""


def entrywise(call: Call, *args: Any, **options: Any) -> Any:
    """A function that works entry by entry, with broadcasting."""
    ndim = samples_ndim((*args, *options.values()))
    values = [call.spread(a, ndim) for a in args]
    options = {name: call.spread(v, ndim) for name, v in options.items()}
    function = _OPERATORS.get(call.name)
    return call.wrap(call.inner(*values, **options) if function is None else function(*values))


batching(*_OPERATORS, *_ENTRYWISE.split())(entrywise)
batching(*[name for name, rule in RULES.items() if name.startswith("special.") or type(rule) is Partials])(
    entrywise
)


# -- along axes ------------------------------------------------------------------------------------------


def shifted(axis: Any, ndim: int) -> Any:
    """The place of a sample's axis in the array of all samples."""
    return axis % ndim + 1 if ndim else axis


@batching(
    "sum", "mean", "max", "min", "prod", "var", "std", "all", "any", "count_nonzero", "linalg.vector_norm"
)
def _reduction(call: Call, x: Array, /, *, axis: Any = None, **options: Any) -> Any:
    axes = tuple(a + 1 for a in normal_axes(axis, x.ndim))
    if not axes:  # over nothing: each entry is its own
        axes, value = (1,), call.xp(x.value).expand_dims(x.value, axis=1)
        return call.wrap(
            call.inner(value, axis=axes[0], **{k: v for k, v in options.items() if k != "keepdims"})
        )
    return call.wrap(call.inner(x.value, axis=axes if len(axes) > 1 else axes[0], **options))


@batching("argmax", "argmin")
def _place(call: Call, x: Array, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    if axis is not None and x.ndim:
        return call.wrap(call.inner(x.value, axis=shifted(axis, x.ndim), keepdims=keepdims))
    xp = call.xp(x.value)
    found = call.inner(xp.reshape(x.value, (call.n, math.prod(x.shape))), axis=1)
    return call.wrap(xp.reshape(found, (call.n, *(1,) * x.ndim)) if keepdims else found)


@batching("cumulative_sum", "cumulative_prod")
def _running(call: Call, x: Array, /, *, axis: Any = None, **options: Any) -> Any:
    if not x.ndim:  # the library decides what a number's is
        return call.inner(x.value, axis=axis, **options)
    return call.wrap(call.inner(x.value, axis=1 if axis is None else shifted(axis, x.ndim), **options))


@batching("sort", "argsort")
def _sorting(call: Call, x: Array, /, *, axis: int = -1, **options: Any) -> Any:
    return call.wrap(call.inner(x.value, axis=shifted(axis, x.ndim), **options))


@batching("flip")
def _flip(call: Call, x: Array, /, *, axis: Any = None) -> Any:
    axes = tuple(a + 1 for a in normal_axes(axis, x.ndim))
    return call.wrap(call.inner(x.value, axis=axes) if axes else x.value)


@batching("roll")
def _roll(call: Call, x: Array, /, shift: Any, *, axis: Any = None) -> Any:
    if axis is not None:
        axes = tuple(a + 1 for a in normal_axes(axis, x.ndim))
        return call.wrap(call.inner(x.value, shift, axis=axes if isinstance(axis, tuple) else axes[0]))
    xp = call.xp(x.value)
    flat = xp.reshape(x.value, (call.n, math.prod(x.shape)))
    return call.wrap(xp.reshape(xp.roll(flat, shift, axis=1), x.value.shape))


@batching("repeat")
def _repeat(call: Call, x: Array, repeats: Any, /, *, axis: Any = None) -> Any:
    if call.mapped(repeats):
        repeats.asks("xp.repeat(x, repeats), whose result is as long as they say")
    if axis is not None:
        return call.wrap(call.inner(x.value, repeats, axis=shifted(axis, x.ndim)))
    flat = call.xp(x.value).reshape(x.value, (call.n, math.prod(x.shape)))
    return call.wrap(call.inner(flat, repeats, axis=1))


@batching("take_along_axis")
def _take_along(call: Call, x: Array, indices: Any, /, *, axis: int = -1) -> Any:
    return call.wrap(call.inner(call.full(x), call.full(indices), axis=axis % x.ndim + 1))


@batching("searchsorted")
def _searchsorted(call: Call, x1: Array, x2: Array, /, **options: Any) -> Any:
    if call.mapped(x1) or call.mapped(options.get("sorter")):
        return _counted(call, x1, x2, **options)
    flat = call.xp(x2.value).reshape(x2.value, (-1,))
    return call.wrap(call.xp(x2.value).reshape(call.inner(x1, flat, **options), x2.value.shape))


def _counted(call: Call, x1: Array, x2: Array, side: str = "left", sorter: Any = None) -> Any:
    """How many entries of x1 lie before each of x2: quicker than a search in each sample."""
    space = call.adapter.space
    x1 = x1 if sorter is None else space.take(x1, sorter)
    before = space.expand_dims(x1, axis=0), space.expand_dims(space.reshape(x2, (-1,)), axis=1)
    smaller = before[0] < before[1] if side == "left" else before[0] <= before[1]
    count = space.sum(space.astype(smaller, call.adapter.below.xp.int64), axis=-1)
    return space.reshape(count, x2.shape)


@batching("isin")
def _isin(call: Call, x1: Any, x2: Any, /, *, invert: bool = False) -> Any:
    space, flat = call.adapter.space, (call.adapter.space.reshape(x2, (-1,)) if hasattr(x2, "shape") else x2)
    if not call.mapped(x2):
        return call.wrap(call.inner(x1.value, x2, invert=invert))
    hit = space.any(space.expand_dims(x1, axis=-1) == flat, axis=-1)
    return space.logical_not(hit) if invert else hit


# -- shapes ----------------------------------------------------------------------------------------------


@batching("reshape")
def _reshape(call: Call, x: Array, /, shape: Any, *, copy: Any = None) -> Any:
    shape = tuple(shape) if isinstance(shape, tuple | list) else (shape,)
    known = math.prod([n for n in shape if n != -1])
    shape = tuple(math.prod(x.shape) // max(known, 1) if n == -1 else n for n in shape)
    options = {} if copy is None else {"copy": copy}
    return call.wrap(call.inner(x.value, (call.n, *shape), **options))


@batching("expand_dims")
def _expand_dims(call: Call, x: Array, /, *, axis: Any = 0) -> Any:
    return call.wrap(call.inner(x.value, axis=_within(axis, x.ndim + 1) + 1))


def _within(axis: int, ndim: int) -> int:
    """``axis`` counted from the front; one that does not exist as no array's."""
    return axis % ndim if -ndim <= axis < ndim else ndim + abs(axis)


@batching("squeeze")
def _squeeze(call: Call, x: Array, /, axis: Any) -> Any:
    axes = tuple(a + 1 for a in normal_axes(axis, x.ndim)) if axis != () else ()
    return call.wrap(call.inner(x.value, axis=axes))


@batching("permute_dims")
def _permute(call: Call, x: Array, /, axes: Any) -> Any:
    return call.wrap(call.inner(x.value, (0, *[shifted(a, x.ndim) for a in axes])))


@batching("moveaxis")
def _moveaxis(call: Call, x: Array, source: Any, destination: Any, /) -> Any:
    ends = [tuple(a + 1 for a in normal_axes(axis, x.ndim)) for axis in (source, destination)]
    return call.wrap(call.inner(x.value, *ends))


@batching("broadcast_to")
def _broadcast_to(call: Call, x: Array, /, shape: Any) -> Any:
    return call.wrap(call.inner(call.spread(x, len(shape)), (call.n, *shape)))


@batching("broadcast_arrays")
def _broadcast_arrays(call: Call, *arrays: Array) -> Any:
    shape = common_shape([a.shape for a in arrays])
    space = call.adapter.space
    return tuple(a if tuple(a.shape) == shape else space.broadcast_to(a, shape) for a in arrays)


def common_shape(shapes: Any) -> tuple[int, ...]:
    """The shape that shapes broadcast to, for those that do."""
    ndim = max(map(len, shapes), default=0)
    rows = [(1,) * (ndim - len(s)) + tuple(s) for s in shapes]
    return tuple(next((n for n in column if n != 1), 1) for column in zip(*rows, strict=True))


@batching("tile")
def _tile(call: Call, x: Array, repetitions: Any, /) -> Any:
    missing = (1,) * max(x.ndim - len(repetitions), 0)
    return call.wrap(call.inner(call.spread(x, len(repetitions)), (1, *missing, *repetitions)))


@batching("concat", "joined_concat")
def _concat(call: Call, *arrays: Any, axis: Any = 0) -> Any:
    values = [call.full(a) for a in _listed(arrays)]
    xp = call.xp(*values)
    if axis is None:
        values, axis = [xp.reshape(v, (call.n, math.prod(v.shape[1:]))) for v in values], 0
    return call.wrap(xp.concat(values, axis=_within(axis, values[0].ndim - 1) + 1))


@batching("stack", "joined_stack")
def _stack(call: Call, *arrays: Any, axis: int = 0) -> Any:
    values = [call.full(a) for a in _listed(arrays)]
    return call.wrap(call.xp(*values).stack(values, axis=_within(axis, values[0].ndim) + 1))


def _listed(arrays: Any) -> Any:
    return arrays[0] if len(arrays) == 1 and isinstance(arrays[0], tuple | list) else arrays


# -- new arrays, and questions about them ----------------------------------------------------------------


def _same_for_all(name: str) -> None:
    def like(call: Call, x: Array, /, *, dtype: Any = None, device: Any = None) -> Any:
        create = getattr(call.adapter.below.xp, name.removesuffix("_like"))
        return create(
            x.shape, dtype=x.dtype if dtype is None else dtype, device=x.device if device is None else device
        )

    batching(name)(like)


for _name in ("zeros_like", "ones_like", "empty_like"):
    _same_for_all(_name)


@batching("full_like")
def _full_like(call: Call, x: Array, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
    xp, dtype = call.adapter.below.xp, x.dtype if dtype is None else dtype
    if hasattr(fill_value, "dtype"):
        space = call.adapter.space
        return space.astype(space.broadcast_to(fill_value, tuple(x.shape)), dtype)
    return xp.full(tuple(x.shape), fill_value, dtype=dtype, device=x.device if device is None else device)


@batching("asarray")
def _asarray(call: Call, x: Any, /, *, dtype: Any = None, device: Any = None, copy: Any = None) -> Any:
    if isinstance(x, tuple | list):
        return call.adapter.composed("asarray")(x, dtype=dtype, device=device)
    return call.wrap(call.inner(x.value, dtype=dtype, device=device, copy=copy))


@batching("result_type", "can_cast")
def _types(call: Call, *args: Any) -> Any:
    function = getattr(call.adapter.below.xp, call.name)
    return function(*[a.dtype if call.mapped(a) else a for a in args])
