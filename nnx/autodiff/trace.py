"""Traces: what one transform records (reverse mode) or carries along (forward mode).

Every call of ``grad``, ``vjp`` or ``jvp`` opens one trace. Its level is an integer that grows from trace to
trace, so an inner transform always has a higher level than the ones around it: an operation is recorded
by the highest level among its arguments first, and its value is computed at the levels below
(:mod:`nnx.autodiff.bind`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Any, NamedTuple

from nnx.autodiff.array import Traced
from nnx.autodiff.batching.array import Batched
from nnx.autodiff.families import unchanged
from nnx.autodiff.levels import levels
from nnx.autodiff.sums import Outer
from nnx.errors import DerivativeError

_orders = count(0, -1)


class Node(NamedTuple):
    """One recorded operation: its parents, and the pullback from a cotangent of its result to theirs.

    A tuple, which is made in half the time of an object, and compared by its first entry where a heap of
    nodes needs it.
    """

    order: int  #: the newer, the smaller: as a heap gives them
    parents: Sequence[Node]
    pull: Any  #: None of a leaf, where cotangents stay
    space: Any
    nested: bool  #: whether an outer transform traces the values that ``pull`` keeps
    passes: Any  #: how cotangents go on that are computed into arrays that are there: see sums
    place: Any  #: of a leaf: the array that its cotangent may be computed into


_made: Callable[[Any, tuple[Any, ...]], Node] = tuple.__new__  # without the call of Node's own


class Tape:
    """Reverse mode: each operation on a traced array makes a node that points at its parents."""

    __slots__ = ("level", "locked", "open")

    def __init__(self, locks: bool = False) -> None:
        self.level = next(levels)
        self.open = True
        #: What unlocks the constants that the pullbacks keep: until then nobody may write into them. None if
        #: they are not locked.
        self.locked: list[Callable[[], Any]] | None = [] if locks else None

    def close(self) -> None:
        """From here on nothing can be recorded, and constants can be written to again."""
        self.open = False
        release(self.locked or ())

    def leaf(self, value: Any, space: Any, place: Any = None) -> Traced:
        """``value`` as an array with respect to which derivatives are taken.

        Its cotangent may be computed right into the array ``place``, where a rule can do that.
        """
        return Traced(value, self, Node(next(_orders), (), None, space, False, None, place), space)

    def record(
        self,
        rule: Any,
        answer: Any,
        argnums: Sequence[int],
        marks: Sequence[Node],
        values: Any,
        kwargs: Any,
        space: Any,
        nested: bool,
    ) -> Traced:
        """The ``answer`` of an operation as a traced array; of one with several results, their tuple."""
        if not self.open:
            raise escaped()
        if len(values) > len(argnums) and rule.keeps and self.locked is not None:
            if len(values) == 2:
                if type(x := values[i := 1 - argnums[0]]) is not float:
                    values[i] = self._kept(x, space.adapter)
            else:
                for i, x in enumerate(values):
                    values[i] = x if i in argnums else self._kept(x, space.adapter)
        pull = rule.pull(argnums, answer, values, kwargs)
        if pull is unchanged:
            return Traced(answer, self, marks[0], space)
        node = _made(Node, (next(_orders), marks, pull, space, nested, rule.passes, None))
        return Traced(answer, self, node, space)

    def _kept(self, x: Any, adapter: Any) -> Any:
        """The constant ``x`` as it may be kept: a copy of a small array, else locked."""
        if not hasattr(x, "dtype"):
            return x
        y = adapter.copied_if_small(x)
        if y is x and (lock := adapter.lock(x)):
            self.locked.append(lock)  # type: ignore[union-attr]
        return y


def release(locks: Sequence[Callable[[], Any]]) -> None:
    """Ends what :meth:`nnx.backend.Adapter.lock` began; an error if an array was written into meanwhile."""
    unchanged = [unlock() for unlock in locks]  # all of them, whatever the first says
    if False in unchanged:
        raise DerivativeError(
            "A plain array was written into, though a derivative needs it or a function with a rule of its "
            "own was given it: its gradient would be wrong. Write into a copy of it."
        )


class Dual:
    """Forward mode: a traced array's mark is its tangent."""

    __slots__ = ("level", "open")

    def __init__(self) -> None:
        self.level = next(levels)
        self.open = True

    def close(self) -> None:
        """From here on nothing can be recorded."""
        self.open = False

    def record(
        self,
        rule: Any,
        answer: Any,
        argnums: Sequence[int],
        marks: Sequence[Any],
        values: Sequence[Any],
        kwargs: Any,
        space: Any,
        nested: bool,
    ) -> Traced:
        """As :meth:`Tape.record`."""
        if not self.open:
            raise escaped()
        tangent = rule.push(space, argnums, marks, answer, values, kwargs)
        if type(tangent) is complex:  # as in bind
            tangent = space.base.asarray(tangent)
        return Traced(answer, self, tangent, space)


class Constant:
    """Below all transforms: arrays of the differentiable namespace that depend on nothing.

    ``xp.zeros_like(x)`` of a traced x is one. What is computed from such arrays alone is one again, and
    nothing is recorded. Written into, it becomes what is written: ``out = xp.zeros_like(x); out[0] = x[1]``.
    """

    level = -1
    open = True

    def record(
        self,
        rule: Any,
        answer: Any,
        argnums: Any,
        marks: Any,
        values: Any,
        kwargs: Any,
        space: Any,
        nested: bool,
    ) -> Traced:
        """As :meth:`Tape.record`."""
        return Traced(answer, self, None, space)


CONSTANT = Constant()


def lifted(x: Any, space: Any) -> Any:
    """Plain arrays (also in a tuple or list) as constants of the differentiable namespace."""
    if type(x) in (tuple, list):
        return type(x)(lifted(part, space) for part in x)
    is_array = hasattr(x, "dtype") and hasattr(x, "shape") and type(x) is not Traced
    return Traced(x, CONSTANT, None, space) if is_array else x


def escaped() -> DerivativeError:
    """The error for an array that outlived the transform that traced it."""
    return DerivativeError(
        "An array that was traced by a transform (grad, vjp, jvp, ...) was used after the transform had "
        "returned: it was stored in a global, an object or a closure. Return it instead, or store "
        "nnx.stop_gradient(x)."
    )


class Parts:
    """Cotangents of some of an operation's results, by their position: what is missing is zero."""

    __slots__ = ("gs",)

    def __init__(self, gs: dict[int, Any]) -> None:
        self.gs = gs

    def __add__(self, other: Parts) -> Parts:
        sums = {k: self.gs[k] + g if k in self.gs else g for k, g in other.gs.items()}
        return Parts(self.gs | sums)

    @property
    def traced(self) -> bool:
        """Whether one of them is itself being differentiated."""
        return any(type(g) is Traced for g in self.gs.values())

    @property
    def batched(self) -> Batched | None:
        """One of them that is mapped over, if there is one."""
        return next((g for g in self.gs.values() if type(g) is Batched), None)


_UNUSUAL = frozenset((Traced, Batched, Parts, Outer))


def _namespace_of(node: Node, g: Any) -> Any:
    """That in which the pullback of ``node`` computes, of a cotangent that is traced, batched, or several."""
    several = type(g) is Parts
    part = g.batched if several else g if type(g) is Batched else None  # a pullback that is mapped over
    space = node.space if part is None else part.space
    nested = node.nested or type(g) is Traced or (several and g.traced)
    return space if nested else space.base


def backward(seeds: Iterable[tuple[Node, Any]], leaves: Sequence[Node]) -> list[Any]:
    """The cotangents of ``leaves`` that the seeds (node, cotangent) bring about; None where none does.

    Nodes are taken newest first, each once, after everything that uses its result. Cotangents may be
    shared between nodes, so they are added, never written to; only a sum that was made here is added to in
    place (:mod:`nnx.autodiff.sums`). What a node keeps for its pullback is free as soon as it has been taken,
    unless the caller holds on to it.
    """
    pending: dict[int, Any] = {}
    heap: list[Node] = []
    sums: set[int] = set()  #: the orders of pending cotangents that were added up here: nobody else has them
    arrivals: Any = seeds  #: pairs of a node and a cotangent of its result
    while True:
        for node, g in arrivals:
            order = node[0]
            if order in pending:
                total = pending[order]
                if order in sums and type(g) is not Traced and type(total) is type(g):
                    total += g
                else:
                    total = total + g
                    sums.add(order)
                pending[order] = total
            else:
                pending[order] = g
                if node[2] is not None:  # else a leaf, where cotangents stay
                    heappush(heap, node)
        if not heap:
            found = [pending.get(leaf.order) for leaf in leaves]
            return [g.total() if type(g) is Outer else g for g in found]
        node = heappop(heap)
        g = pending.pop(node[0])
        arrivals = None
        while arrivals is None:
            _, parents, _, xp, nested, passes, _ = node  # no name for what it keeps: it is to be free soon
            if type(g) in _UNUSUAL:
                g = g.total() if type(g) is Outer else g
                xp = _namespace_of(node, g)
            elif not nested:
                xp = xp.base
            if passes is not None:
                arrivals = passes(node, xp, g, pending, sums)
            elif len(parents) != 1:
                arrivals = zip(parents, node[2](xp, g), strict=True)
            else:
                (g,) = node[2](xp, g)
                (node,) = parents
                order = node[0]
                if node[2] is None or order in pending or (heap and heap[0][0] < order):
                    arrivals = ((node, g),)  # else it is the next one: straight on
