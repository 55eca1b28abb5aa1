"""Binding a rule to a function: a call finds the trace of its arguments and is recorded there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, update_wrapper
from typing import Any

from nnx.autodiff.array import Traced
from nnx.autodiff.batching.array import Batched
from nnx.autodiff.families import Rule
from nnx.autodiff.trace import CONSTANT, Parts, lifted
from nnx.errors import DerivativeError

_FIRST, _SECOND, _BOTH = (0,), (1,), (0, 1)
_NONE = object()  #: no argument there
_SCALARS = (float, complex, int)


def bind(rule: Any, function: Callable[..., Any], space: Any) -> Callable[..., Any]:
    """``function`` (of raw arrays) made differentiable by ``rule``, for the arrays of ``space``.

    Array arguments are positional. ``space`` None means: that of the traced argument.
    """
    if space is None or rule.several:
        return update_wrapper(_bound(rule, function, space), function)
    return update_wrapper(_quick(rule, function, space), function)


def _quick(rule: Any, function: Callable[..., Any], space: Any) -> Callable[..., Any]:
    """:func:`_bound` with a short way for one argument or two of the same trace, as most operations have."""
    whole, kinds, name = _bound(rule, function, space), space.kinds, rule.name

    def call(x: Any = _NONE, y: Any = _NONE, /, *more: Any, **kwargs: Any) -> Any:
        if y is _NONE:
            if type(x) is not Traced:
                return function(**kwargs) if x is _NONE else whole(x, **kwargs)
            if x.link is not None:
                x.link.refresh(x)
            value = x.value
            if type(value) in kinds:
                answer = function(value, **kwargs) if kwargs else function(value)
                if type(answer) not in kinds:
                    answer = _own_kind(name, answer, space)
                return x.tracer.record(rule, answer, _FIRST, (x.mark,), [value], kwargs, space, False)
            if type(value) is Traced and type(answer := call(value, **kwargs)) is Traced:
                return x.tracer.record(rule, answer, _FIRST, (x.mark,), [value], kwargs, answer.space, True)
            return whole(x, **kwargs)
        if more or kwargs:
            return whole(x, y, *more, **kwargs)
        argnums: tuple[int, ...] = _SECOND
        marks: tuple[Any, ...]
        a, b = x, y
        if type(x) is Traced:
            if x.link is not None:
                x.link.refresh(x)
            trace, marks, a, argnums = x.tracer, (x.mark,), x.value, _FIRST
        if type(y) is Traced:
            if y.link is not None:
                y.link.refresh(y)
            b = y.value
            if argnums is _SECOND:
                trace, marks = y.tracer, (y.mark,)
            elif y.tracer is trace:
                marks, argnums = (x.mark, y.mark), _BOTH
            else:
                return whole(x, y)
        elif argnums is _SECOND:
            return whole(x, y)
        kind, other = type(a), type(b)
        if kind is Traced or other is Traced:
            if type(answer := call(a, b)) is Traced:
                return trace.record(rule, answer, argnums, marks, [a, b], kwargs, answer.space, True)
            return whole(x, y)
        if kind is Batched or other is Batched:
            return whole(x, y)
        answer = function(a, b)
        if type(answer) not in kinds:
            answer = _own_kind(name, answer, space)
        return trace.record(rule, answer, argnums, marks, [a, b], kwargs, space, False)

    return call


def _bound(rule: Any, function: Callable[..., Any], space: Any) -> Callable[..., Any]:
    several = rule.several

    def call(*args: Any, **kwargs: Any) -> Any:
        trace: Any = None
        constant, mixed, deeper, batched = None, False, False, False
        argnums: Sequence[int]
        argnums, marks, values = [], [], []
        for i, a in enumerate(args):
            kind = type(a)
            if kind is Traced:
                if a.link is not None:
                    a.link.refresh(a)
                if (tracer := a.tracer) is not trace:
                    if tracer is CONSTANT:  # a plain array, unless all of them are constants
                        constant = a
                        values.append(a.value)
                        batched = batched or type(a.value) is Batched
                        continue
                    mixed = mixed or trace is not None
                    trace, own = tracer, space or a.space
                argnums.append(i)
                marks.append(a.mark)
                a = a.value
                kind = type(a)
                deeper = deeper or kind is Traced
            if kind is Batched:
                batched = True
            values.append(a)
        if batched and (top := _innermost(values)).trace.level > _level(args):
            return _above(top, rule, function, args, kwargs)
        if trace is None:
            if constant is None:
                return function(*args, **kwargs)
            trace, own = CONSTANT, space or constant.space
        elif mixed:
            trace, own, argnums, marks, values, deeper = _highest(args, space)
        if deeper:
            answer = call(*values, **kwargs)
            own = answer.space if type(answer) is Traced else _space(answer) or own
        elif batched:
            top = _innermost(values)
            answer, own = top.adapter.bound(rule, function)(*values, **kwargs), top.space
        else:
            answer = function(*values, **kwargs)
        if (kind := type(answer)) not in own.kinds and not (deeper and kind is Traced):
            answer = _own_kind(rule.name, answer, own)
        made = trace.record(rule, answer, argnums, marks, values, kwargs, own, deeper)
        return _results(rule, made) if several else made

    return call


def _innermost(values: Sequence[Any]) -> Batched:
    """The batched array of the innermost map."""
    return max((v for v in values if type(v) is Batched), key=lambda v: v.trace.level)


def _level(args: Sequence[Any]) -> int:
    """The highest level of the transforms that trace the arguments; below all where none does."""
    return max((a.tracer.level for a in args if type(a) is Traced), default=-1)


def _above(top: Batched, rule: Any, function: Any, args: Sequence[Any], kwargs: Any) -> Any:
    """The answer where a map lies inside of all transforms that trace the arguments, which go on below it.

    With arrays of the differentiable namespace among them it is one again, which can be written into.
    """
    answer = top.adapter.bound(rule, function)(*args, **kwargs)
    return lifted(answer, top.space) if any(type(a) is Traced for a in args) else answer


def _space(answer: Any) -> Any:
    """The namespace of an answer that is traced itself, or of the first of several."""
    first = answer[0] if type(answer) is tuple and answer else answer
    return first.space if type(first) is Traced or type(first) is Batched else None


def _own_kind(name: str, answer: Any, space: Any) -> Any:
    """The ``answer`` of the function ``name`` as an array of the space's library; an error for a subclass."""
    # 1j * np.float64(2.0) is a Python number, for NumPy's float64 is a Python float
    if type(answer) in _SCALARS:
        return space.base.asarray(answer)
    if type(answer) is Traced:
        raise uses_its_closure(name)
    if problem := space.adapter.own_kind(answer):
        raise DerivativeError(f"{name} of an array that is being differentiated met {problem}.")
    return answer


def uses_its_closure(name: str) -> DerivativeError:
    """The error for a traced array that the function ``name`` uses without having it as an argument."""
    return DerivativeError(
        f"{name} uses an array of its closure that is being differentiated: make it an argument, for the "
        "gradient flows through arguments only."
    )


def _highest(args: Sequence[Any], space: Any) -> tuple[Any, ...]:
    """The trace of the highest level among the arguments, and what ``bind`` needs of them for it."""
    first = max((a for a in args if type(a) is Traced), key=lambda a: a.tracer.level)
    trace = first.tracer
    argnums = [i for i, a in enumerate(args) if type(a) is Traced and a.tracer is trace]
    values = [_below(a, trace) if type(a) is Traced else a for a in args]
    deeper = any(type(v) is Traced for v in values)
    return trace, space or first.space, argnums, [args[i].mark for i in argnums], values, deeper


def _below(a: Traced, trace: Any) -> Any:
    # A snapshot, for what is written into the array later must not reach the tape.
    return a.value if a.tracer is trace or a.tracer is CONSTANT else a.snapshot()


class Part(Rule):
    """The rule of result ``k`` of an operation with several, which is recorded as one tuple."""

    keeps = False

    def __init__(self, k: int) -> None:
        self.name, self.k = f"result {k}", k

    def pull(self, argnums: Any, answer: Any, values: Any, kwargs: Any) -> Callable[[Any, Any], tuple[Parts]]:
        k = self.k
        return lambda xp, g: (Parts({k: g}),)

    def push(self, xp: Any, argnums: Any, tangents: Any, answer: Any, values: Any, kwargs: Any) -> Any:
        return tangents[0][self.k]


_part = cache(Part)


def _results(rule: Any, whole: Traced) -> Any:
    """The arrays of the tuple ``whole``, each a part of it, in the container that the rule makes of them."""
    trace, marks, values, space = whole.tracer, [whole.mark], [whole.value], whole.space
    return rule.result(
        trace.record(_part(k), answer, _FIRST, marks, values, {}, space, False)
        for k, answer in enumerate(whole.value)
    )
