"""What a recording is: a straight-line program of calls on raw arrays, and what can be left out of it."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, ClassVar, NamedTuple

from nnx.jitting.values import Kind, kind_of

Array = Any
#: the type of an argument that nobody reads
_NOTHING = type(None)


class _Place:
    """A numbered place: one object for each number, so that it is found by identity."""

    __slots__ = ("number",)
    _made: ClassVar[dict[int, Any]]
    number: int

    def __init_subclass__(cls) -> None:
        cls._made = {}

    def __new__(cls, number: int) -> Any:
        found = cls._made.get(number)
        if found is None:
            found = object.__new__(cls)
            found.number = number
            found = cls._made.setdefault(number, found)  # another thread may have been quicker
        return found

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.number})"


class Slot(_Place):
    """The place of a value: of an argument, or of a step's result."""

    __slots__ = ()


class Constant(_Place):
    """The place of an array that the function did not get as an argument."""

    __slots__ = ()


class Method(NamedTuple):
    """The function ``x.name(...)`` of its first argument."""

    name: str

    def __call__(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(x, self.name)(*args, **kwargs)


class Attribute(NamedTuple):
    """The function ``x.name`` of its argument."""

    name: str

    def __call__(self, x: Any) -> Any:
        return getattr(x, self.name)


@dataclass(eq=False)
class Step:
    """One call. Its ``args`` and ``kwargs`` hold Slots and Constants in the places of arrays.

    Nobody changes a step: :meth:`but` makes another one.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    #: where the result is put; None where there is none, as of x[key] = y
    result: int | None
    #: the result's shape and data type, where calls of this function promise no such, to be compared
    shape: tuple[int, ...] | None = None
    dtype: Any = None
    #: the slots into whose memory it may write
    writes: frozenset[int] = frozenset()
    #: whether two such calls with the same arguments may be made one
    pure: bool = False

    def but(self, **changes: Any) -> Step:
        """The step with other values of some fields."""
        new = object.__new__(Step)
        new.__dict__ = self.__dict__ | changes
        if "args" in changes or "kwargs" in changes:
            new.__dict__.pop("_places", None)
            new.__dict__.pop("_reads", None)
        return new

    @property
    def places(self) -> list[Slot | Constant]:
        """The slots and constants among the arguments."""
        found = self.__dict__.get("_places")
        if found is None:
            found = self.__dict__["_places"] = places((self.args, self.kwargs))
        return found

    @property
    def reads(self) -> frozenset[int]:
        """The slots that it reads."""
        found = self.__dict__.get("_reads")
        if found is None:
            found = self.__dict__["_reads"] = frozenset([p.number for p in self.places if type(p) is Slot])
        return found


def places(terms: Any) -> list[Slot | Constant]:
    """All slots and constants in nested terms."""
    found: list[Slot | Constant] = []
    _collect(terms, found)
    return found


def _collect(terms: Any, found: list[Slot | Constant]) -> None:
    kind: Any = type(terms)
    if kind is Slot or kind is Constant:
        found.append(terms)
    elif _holds(kind):
        if kind is dict:
            terms = terms.values()
        elif kind is slice:
            terms = (terms.start, terms.stop, terms.step)
        for part in terms:
            _collect(part, found)


@cache
def _holds(kind: Any) -> bool:
    """Whether terms of this type are made of terms."""
    made_of_fields = hasattr(kind, "_fields") and kind not in (Method, Attribute)
    return kind in (tuple, list, dict, slice) or made_of_fields


def slots(terms: Any) -> Iterator[int]:
    """The numbers of all slots in nested terms."""
    return (place.number for place in places(terms) if type(place) is Slot)


def mapped(x: Any, function: Callable[[Any], Any]) -> Any:
    """``function`` of everything in nested tuples, lists, dicts and slices, in such containers again."""
    kind: Any = type(x)
    if not _holds(kind):
        return function(x)
    if kind is tuple or kind is list:
        return kind([mapped(part, function) for part in x])
    if kind is dict:
        return {name: mapped(part, function) for name, part in x.items()}
    if kind is slice:
        return slice(*(mapped(part, function) for part in (x.start, x.stop, x.step)))
    return kind(*(mapped(part, function) for part in x))


def substituted(terms: Any, new: Mapping[Any, Any]) -> Any:
    """The terms with other ones for some slots and constants."""
    return mapped(terms, lambda t: new.get(t, t) if type(t) in (Slot, Constant) else t)


def with_terms(step: Step, new: Mapping[Any, Any]) -> Step:
    """The step with other terms for some slots and constants."""
    if new.keys().isdisjoint(step.places):
        return step
    return step.but(args=substituted(step.args, new), kwargs=substituted(step.kwargs, new))


@dataclass(frozen=True)
class Program:
    """Steps in order, from ``inputs`` arguments (slots 0, 1, ...) to the slots and constants in ``outputs``.

    ``kinds`` says of each slot what is in it; ``memory`` which slots share their memory: they have the same
    number there. ``constants`` are arrays from outside.
    """

    inputs: int
    steps: tuple[Step, ...]
    outputs: tuple[Any, ...]
    kinds: Mapping[int, Kind]
    memory: Mapping[int, int]
    constants: Sequence[Array] = field(default=(), repr=False)

    def written(self) -> frozenset[int]:
        """The memory into which any step writes."""
        return frozenset(self.memory[i] for step in self.steps for i in step.writes)

    def __str__(self) -> str:
        names = [f"v{i}: {self.kinds[i]}" for i in range(self.inputs) if self.kinds[i].type is not _NOTHING]
        names += [f"c{k}: {kind_of(c)}" for k, c in enumerate(self.constants)]
        lines = [f"program({', '.join(names)}):"]
        for step in self.steps:
            call = written(step)
            lines.append(f"    {call}" if step.result is None else
                         f"    v{step.result}: {self.kinds[step.result]} = {call}")  # fmt: skip
            lines += [f"        {line}" for line in getattr(step.function, "lines", list)()]
        return "\n".join([*lines, f"    return {expression(self.outputs)}"])


#: what a call of an operator looks like
_INFIX = {
    operator.add: "+", operator.sub: "-", operator.mul: "*", operator.truediv: "/", operator.pow: "**",
    operator.matmul: "@", operator.mod: "%", operator.floordiv: "//", operator.lt: "<", operator.le: "<=",
    operator.gt: ">", operator.ge: ">=", operator.eq: "==", operator.ne: "!=", operator.and_: "&",
    operator.or_: "|", operator.xor: "^", operator.lshift: "<<", operator.rshift: ">>",
}  # fmt: skip
_PREFIX = {operator.neg: "-", operator.pos: "+", operator.invert: "~"}
_IN_PLACE = {
    operator.iadd: "+=", operator.isub: "-=", operator.imul: "*=", operator.itruediv: "/=",
    operator.ipow: "**=", operator.imatmul: "@=", operator.imod: "%=", operator.ifloordiv: "//=",
    operator.iand: "&=", operator.ior: "|=", operator.ixor: "^=", operator.ilshift: "<<=",
    operator.irshift: ">>=",
}  # fmt: skip


def written(step: Step, name: Callable[[Any], str] | None = None) -> str:
    """The step as Python writes it; ``name`` names functions and objects other than Python's own."""
    term: Callable[[Any], str] = partial(expression, name=name or _called)
    function: Any = step.function
    args = step.args
    if function in _INFIX and len(args) == 2:
        return f"{term(args[0])} {_INFIX[function]} {term(args[1])}"
    if function in _IN_PLACE and step.result is None and type(args[0]) is Slot:
        return f"{term(args[0])} {_IN_PLACE[function]} {term(args[1])}"
    if function in _PREFIX:
        return f"{_PREFIX[function]}{term(args[0])}"
    if function is operator.getitem:
        return f"{term(args[0])}[{_subscript(args[1], term)}]"
    if function is operator.setitem:
        return f"{term(args[0])}[{_subscript(args[1], term)}] = {term(args[2])}"
    if type(function) is Attribute:
        return f"{term(args[0])}.{function.name}"
    given = [term(a) for a in args] + [f"{key}={term(value)}" for key, value in step.kwargs.items()]
    if type(function) is Method:
        return f"{given[0]}.{function.name}({', '.join(given[1:])})"
    if name is not None:
        return f"{name(function)}({', '.join(given)})"
    return f"{_called(function)}({', '.join(given)})"


def _called(thing: Any) -> str:
    owner: Any = getattr(thing, "__self__", None)
    if hasattr(owner, "nin"):
        return f"{owner.__name__}.{thing.__name__}"
    return str(getattr(thing, "__name__", None) or repr(thing))


def expression(term: Any, name: Callable[[Any], str] = _called) -> str:
    """A term as Python writes it."""
    kind = type(term)
    if kind is Slot:
        return f"v{term.number}"
    if kind is Constant:
        return f"c{term.number}"
    if kind is tuple:
        parts = [expression(part, name) for part in term]
        return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"
    if kind is list:
        return f"[{', '.join(expression(part, name) for part in term)}]"
    if hasattr(kind, "_fields"):
        return f"{name(kind)}({', '.join(expression(part, name) for part in term)})"
    if kind is dict:
        return "{" + ", ".join(f"{k!r}: {expression(part, name)}" for k, part in term.items()) + "}"
    if kind is slice:
        bounds = (expression(part, name) for part in (term.start, term.stop, term.step))
        return f"slice({', '.join(bounds)})"
    if kind in (int, str, bool, type(None)) or (kind is float and term - term == 0.0):
        return repr(term)
    return "..." if term is ... else name(term)


def _subscript(key: Any, term: Callable[[Any], str]) -> str:
    """An index as it is written in brackets."""
    if type(key) is tuple and key:
        return ", ".join(_part(part, term) for part in key) + ("," if len(key) == 1 else "")
    return _part(key, term)


def _part(key: Any, term: Callable[[Any], str]) -> str:
    if type(key) is not slice:
        return term(key)
    start, stop, step = ("" if part is None else term(part) for part in (key.start, key.stop, key.step))
    return f"{start}:{stop}:{step}" if step else f"{start}:{stop}"
