"""One call of a function on batched arrays, and how it finds the rule that says what to do."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from nnx.autodiff.array import Traced
from nnx.autodiff.batching.array import Batch, Batched
from nnx.autodiff.space import space_over
from nnx.autodiff.trace import CONSTANT, escaped
from nnx.autodiff.tree import flatten
from nnx.backend import adapter_of
from nnx.errors import LoopWarning, ShapeError

Rule = Callable[..., Any]


class Call:
    """A call of the function ``name`` with arrays of the map ``trace``; rules compute by its methods.

    The rules get the arguments in order. Those that differ from sample to sample are :class:`Batched`, all
    others are the same for every sample.
    """

    __slots__ = ("adapter", "n", "name", "trace")

    def __init__(self, name: str, trace: Batch, adapter: Any) -> None:
        self.name, self.trace, self.adapter, self.n = name, trace, adapter, trace.n

    def mapped(self, x: Any) -> bool:
        """Whether ``x`` differs from sample to sample."""
        return type(x) is Batched and x.trace is self.trace

    def under(self, x: Any) -> Any:
        """``x`` as it is below this map: all samples along the first axis, or what all samples share."""
        return x.value if self.mapped(x) else x

    def spread(self, x: Any, ndim: int) -> Any:
        """As :meth:`under`, with axes of length 1 after the first: it then broadcasts as its samples do."""
        if not self.mapped(x):
            return x
        missing = ndim - x.ndim
        if missing <= 0:
            return x.value
        return self.xp(x.value).reshape(x.value, (self.n, *(1,) * missing, *x.shape))

    def full(self, x: Any) -> Any:
        """All samples of ``x`` along the first axis, repeated where all share it."""
        if self.mapped(x):
            return x.value
        return self.xp(x).broadcast_to(x, (self.n, *x.shape))

    def wrap(self, y: Any) -> Any:
        """The samples along the first axis of ``y`` (or of each of a tuple) as batched arrays."""
        if isinstance(y, tuple | list):
            parts = [self.wrap(part) for part in y]
            return type(y)(*parts) if hasattr(y, "_fields") else tuple(parts)
        return Batched(y, self.trace, self.adapter)

    def xp(self, *values: Any) -> Any:
        """The namespace to compute in below this map."""
        return namespace_below(values, self.adapter)

    def inner(self, *values: Any, **options: Any) -> Any:
        """The function itself, called below this map."""
        return found(self.xp(*values), self.name)(*values, **options)


def namespace_below(values: Any, adapter: Any) -> Any:
    """The namespace for plain, traced and batched arrays together."""
    traced, batched, plain = None, False, None
    for x in leaves_of(values):
        if type(x) is Traced:
            traced = x
        elif type(x) is Batched:
            batched = True
        elif hasattr(x, "dtype") and not isinstance(x, type):  # a data type of NumPy's is a class with one
            plain = x
    if batched:
        return adapter.space.base if traced is None else adapter.space
    if traced is not None:
        return traced.space
    return space_over(adapter.below if plain is None else adapter_of(plain)).base


def leaves_of(values: Iterable[Any]) -> Iterator[Any]:
    """The entries of nested tuples and lists."""
    for x in values:
        if type(x) in (tuple, list):
            yield from leaves_of(x)
        else:
            yield x


def found(xp: Any, name: str) -> Any:
    """The function ``name`` of a namespace, of an extension as "linalg.solve"."""
    for part in name.split("."):
        xp = getattr(xp, part)
    return xp


def settled(x: Any) -> Any:
    """``x`` up to date; what depends on nothing as the array below. Also in tuples and lists."""
    while type(x) is Traced:
        if x.link is not None:
            x.link.refresh(x)
        if x.tracer is not CONSTANT:
            return x if x.link is None else x.snapshot()
        x = x.value
    return type(x)([settled(part) for part in x]) if type(x) in (tuple, list) else x


def innermost(values: Iterable[Any]) -> tuple[Batch | None, Traced | None]:
    """The map and the traced array of the highest levels among (nested) arguments."""
    top, traced = None, None
    for x in leaves_of(values):
        if type(x) is Batched:
            if top is None or x.trace.level > top.level:
                top = x.trace
        elif type(x) is Traced and (traced is None or x.tracer.level > traced.tracer.level):
            traced = x
    return top, traced


#: Functions whose results depend on shapes and indices alone: nothing is to be traced.
_OF_SHAPES = ("positions", "last_written")


def by_rule(
    name: str, rule: Rule, adapter: Any, plain: Callable[..., Any] | None = None
) -> Callable[..., Any]:
    """The function ``name`` of batched arrays: ``rule(call, *args, **kwargs)``.

    Without a batched argument it is ``plain``, most often the library's own function.
    """

    def function(*given: Any, **kwargs: Any) -> Any:
        args = tuple([settled(a) for a in given])
        if kwargs:
            kwargs = {k: settled(v) for k, v in kwargs.items()}
        top, traced = innermost((*args, *kwargs.values()) if kwargs else args)
        if traced is not None and name not in _OF_SHAPES and (top is None or traced.tracer.level > top.level):
            return found(traced.space if top is None else adapter.space, name)(*args, **kwargs)
        if top is None:
            return (found(adapter.below.xp, name) if plain is None else plain)(*args, **kwargs)
        if not top.open:
            raise escaped()
        return rule(Call(name, top, adapter), *args, **kwargs)

    function.__name__ = name.rpartition(".")[2]
    return function


# -- what has no rule ------------------------------------------------------------------------------------


def looped(call: Call, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """``function`` called once for each sample, and its results stacked; a warning says so once."""
    warn(call.trace, call.name, "has no rule for batches")
    given, build = flatten((tuple(args), kwargs))
    outs = []
    for i in range(call.n):
        a, k = build([x.value[i, ...] if call.mapped(x) else x for x in given])
        outs.append(function(*a, **k))
    columns, build = stacked(outs, call.adapter, call.name)
    return build([call.wrap(column) for column in columns])


def stacked(outs: list[Any], adapter: Any, who: str) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """Each array of the results stacked along a new first axis, and what puts them into their container."""
    flat = [flatten(out) for out in outs]
    columns = []
    for results in zip(*(leaves for leaves, _ in flat), strict=True):
        column = [settled(x) for x in results]
        xp = namespace_below(column, adapter)
        base = space_over(adapter.below).base
        arrays = [x if hasattr(x, "dtype") else base.asarray(x) for x in column]
        if len({tuple(x.shape) for x in arrays}) > 1:
            shapes = ", ".join(sorted({str(tuple(x.shape)) for x in arrays}))
            raise ShapeError(
                f"{who}: the results for different samples have different shapes ({shapes}), so they are no "
                "array. Write the function so that its result has one shape, with xp.where for example."
            )
        columns.append(xp.stack(arrays))
    return columns, flat[0][1]


def warn(trace: Batch, name: str, why: str) -> None:
    """Says once for each mapped function that ``name`` is called sample by sample."""
    if trace.warned is None or name in trace.warned:
        return
    trace.warned.add(name)
    warnings.warn(
        f"nnx.{trace.who}: {name} {why}; it is called once for each of the {trace.n} samples, which is right "
        "but slow.",
        LoopWarning,
        stacklevel=_outside(),
    )


def _outside() -> int:
    """The stack level of the first caller outside nnx, for a warning."""
    frame, level = sys._getframe(2), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "nnx":
        frame, level = frame.f_back, level + 1
    return level
