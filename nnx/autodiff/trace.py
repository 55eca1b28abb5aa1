"""Traces: what one transform records (reverse mode) or carries along (forward mode).

Every call of ``grad``, ``vjp`` or ``jvp`` opens one trace. Its level is a number that grows from trace to
trace, so an inner transform always has a higher level than the ones around it: an operation is seen
by the highest level among its arguments first, and its value is computed at the levels below.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Any

from nnx.autodiff.array import Traced
from nnx.errors import DerivativeError

_levels = count()
_indices = count()


class Node:
    """One recorded operation: its parents, and how a cotangent of its result reaches them."""

    __slots__ = ("fills", "index", "nested", "parents", "place", "pull", "space")

    def __init__(
        self,
        parents: Sequence[Node],
        pull: Any,
        space: Any,
        nested: bool,
        fills: bool = False,
        place: Any = None,
    ) -> None:
        self.index = next(_indices)
        self.parents = parents
        self.pull = pull
        self.space = space
        self.nested = nested
        self.fills = fills  #: whether ``pull`` can compute into its parents' places
        self.place = place  #: of a leaf: the array that its cotangent may be computed into


class Tape:
    """Reverse mode: each operation on a traced array makes a node that points at its parents."""

    __slots__ = ("level", "open")

    def __init__(self) -> None:
        self.level = next(_levels)
        self.open = True

    def leaf(self, value: Any, space: Any, place: Any = None) -> Traced:
        """``value`` as an array with respect to which derivatives are taken.

        Its cotangent may be computed right into the array ``place``, where a rule can do that.
        """
        return Traced(value, self, Node((), None, space, False, False, place), space)

    def record(
        self,
        rule: Any,
        answer: Any,
        argnums: Sequence[int],
        marks: Sequence[Node],
        values: Sequence[Any],
        kwargs: Any,
        space: Any,
    ) -> Traced:
        if not self.open:
            raise escaped()
        pull = rule.pull(argnums, answer, values, kwargs)
        return Traced(answer, self, Node(marks, pull, space, type(answer) is Traced, rule.fills), space)


class Dual:
    """Forward mode: a traced array's mark is its tangent."""

    __slots__ = ("level", "open")

    def __init__(self) -> None:
        self.level = next(_levels)
        self.open = True

    def record(
        self,
        rule: Any,
        answer: Any,
        argnums: Sequence[int],
        marks: Sequence[Any],
        values: Sequence[Any],
        kwargs: Any,
        space: Any,
    ) -> Traced:
        if not self.open:
            raise escaped()
        return Traced(answer, self, rule.push(space, argnums, marks, answer, values, kwargs), space)


def escaped() -> DerivativeError:
    """The error for an array that outlived the transform that traced it."""
    return DerivativeError(
        "An array that was traced by a transform (grad, vjp, jvp, ...) was used after the transform had "
        "returned: it was stored in a global, an object or a closure. Return it instead, or store "
        "nnx.stop_gradient(x)."
    )


def backward(seeds: Sequence[tuple[Node, Any]], leaves: Sequence[Node]) -> list[Any]:
    """The cotangents of ``leaves`` that the seeds (node, cotangent) bring about; None where none does.

    Nodes are taken newest first, each once, when all that uses its result has been seen. Cotangents
    may be shared between nodes, so they are added, never written to.
    """
    pending: dict[int, tuple[Node, Any]] = {}
    heap: list[int] = []
    for node, g in seeds:
        _arrive(pending, heap, node, g)
    wanted = {leaf.index: None for leaf in leaves}
    while heap:
        index = -heappop(heap)
        node, g = pending.pop(index)
        if node.pull is None:
            wanted[index] = g
            continue
        xp = node.space if node.nested or type(g) is Traced else node.space.base
        if node.fills:
            places = [None if p.index in pending else p.place for p in node.parents]
            cotangents = node.pull(xp, g, places)
        else:
            cotangents = node.pull(xp, g)
        for parent, cotangent in zip(node.parents, cotangents, strict=True):
            j = parent.index
            if j in pending:
                pending[j] = (parent, pending[j][1] + cotangent)
            else:
                pending[j] = (parent, cotangent)
                heappush(heap, -j)
    return [wanted[leaf.index] for leaf in leaves]


def _arrive(pending: dict[int, tuple[Node, Any]], heap: list[int], node: Node, g: Any) -> None:
    if node.index in pending:
        pending[node.index] = (node, pending[node.index][1] + g)
    else:
        pending[node.index] = (node, g)
        heappush(heap, -node.index)


def bind(rule: Any, function: Callable[..., Any], space: Any) -> Callable[..., Any]:
    """``function`` (of raw arrays) made differentiable by ``rule``, for the arrays of ``space``.

    Array arguments are positional. ``space`` None means: that of the traced argument.
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        trace = None
        for a in args:
            if type(a) is Traced and (trace is None or a.trace.level > trace.level):
                trace, own = a.trace, space or a.space
        if trace is None:
            return function(*args, **kwargs)
        argnums, marks, values, deeper = [], [], list(args), False
        for i, a in enumerate(args):
            if type(a) is Traced:
                if a.trace is trace:
                    argnums.append(i)
                    marks.append(a.mark)
                    values[i] = a = a.value
                deeper = deeper or type(a) is Traced
        answer = call(*values, **kwargs) if deeper else function(*values, **kwargs)
        return trace.record(rule, answer, argnums, marks, values, kwargs, own)

    call.__name__ = getattr(function, "__name__", rule.name)
    call.__doc__ = getattr(function, "__doc__", None)
    return call
