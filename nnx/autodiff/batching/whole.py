"""A function with a derivative of its own, called on batched arrays as a whole: the derivative stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nnx.autodiff.array import Traced
from nnx.autodiff.batching.array import Batch, Batched
from nnx.autodiff.batching.calls import Call, by_rule, leaves_of, looped, settled
from nnx.autodiff.bind import bind
from nnx.autodiff.families import Elementwise, Rule
from nnx.autodiff.trace import Parts


def whole(rule: Any, function: Callable[..., Any], adapter: Any) -> Callable[..., Any]:
    """``function``, whose derivative is ``rule``, for batched arrays."""

    def mapped(call: Call, *args: Any, **options: Any) -> Any:
        if isinstance(rule, Elementwise) and len(args) == 1:
            return call.wrap(bind(rule, function, None)(args[0].value, **options))
        if not holds_traced(args):
            return _run(call, function, args, options)
        flags = tuple(call.mapped(a) for a in args)

        def together(*values: Any, **options: Any) -> Any:
            inner = Call(call.name, Batch(call.n, call.trace.who, call.trace.warned), adapter)
            return _samples(inner, _run(inner, function, _put_on(inner, values, flags), options))

        made = bind(_OfSamples(rule, flags, call), together, None)(*[call.under(a) for a in args], **options)
        return call.wrap(rule.result(made) if rule.several else made)

    return by_rule(rule.name, mapped, adapter, function)


def holds_traced(values: Any) -> bool:
    """Whether an array of an outer derivative is below one of the batched arrays, or is there itself."""
    for x in leaves_of(values):
        while type(x) is Batched:
            x = x.value
        if type(x) is Traced:
            return True
    return False


def _run(call: Call, function: Callable[..., Any], args: Any, options: Any) -> Any:
    """The function on batched arrays; sample by sample where it asks for plain numbers."""
    try:
        return function(*args, **options)
    except Exception:
        if not call.trace.asked:
            raise
        call.trace.asked = ""
    return looped(call, function, args, options)


def _put_on(call: Call, values: Sequence[Any], flags: Sequence[bool]) -> list[Any]:
    return [call.wrap(v) if flag else v for v, flag in zip(values, flags, strict=True)]


def _samples(call: Call, y: Any) -> Any:
    """A result (or a tuple of them) below the map, all samples along the first axis."""
    if isinstance(y, tuple | list):
        return tuple([_samples(call, part) for part in y])
    return call.full(y)


class _OfSamples(Rule):
    """The rule of a function of all samples, made of that of one: it runs on batched arrays."""

    def __init__(self, rule: Any, flags: tuple[bool, ...], call: Call) -> None:
        self.rule, self.flags, self.name = rule, flags, rule.name
        self.several, self.keeps = rule.several, rule.keeps
        self.n, self.adapter, self.who, self.warned = call.n, call.adapter, call.trace.who, call.trace.warned

    result = staticmethod(tuple)

    def _call(self) -> Call:
        return Call(self.name, Batch(self.n, self.who, self.warned), self.adapter)

    def _space(self, xp: Any) -> Any:
        space = self.adapter.space
        return space if hasattr(xp, "base") else space.base

    def pull(self, argnums: Any, answer: Any, values: Any, kwargs: Any) -> Any:
        def pull(xp: Any, g: Any) -> list[Any]:
            call = self._call()
            inner = self.rule.pull(argnums, call.wrap(answer), _put_on(call, values, self.flags), kwargs)
            gs = Parts({k: call.wrap(part) for k, part in g.gs.items()}) if self.several else call.wrap(g)
            found = inner(self._space(xp), gs)
            return [self._arrived(call, c, i) for c, i in zip(found, argnums, strict=True)]

        return pull

    def _arrived(self, call: Call, c: Any, i: int) -> Any:
        """The cotangent of argument ``i``: summed over the samples where they share it."""
        value = call.full(settled(c))
        return value if self.flags[i] else call.xp(value).sum(value, axis=0)

    def push(self, xp: Any, argnums: Any, tangents: Any, answer: Any, values: Any, kwargs: Any) -> Any:
        call = self._call()
        given = [call.wrap(t) if self.flags[i] else t for i, t in zip(argnums, tangents, strict=True)]
        args = call.wrap(answer), _put_on(call, values, self.flags), kwargs
        found = self.rule.push(self.adapter.space, argnums, given, *args)
        return _samples(call, [settled(t) for t in found] if self.several else settled(found))
