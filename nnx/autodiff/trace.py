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

    __slots__ = ("index", "nested", "parents", "pull", "space")

    def __init__(self, parents: Sequence[Node], pull: Any, space: Any, nested: bool) -> None:
        self.index = next(_indices)
        self.parents = parents
        self.pull = pull
        self.space = space
        self.nested = nested


class Tape:
    """Reverse mode: each operation on a traced array makes a node that points at its parents."""

    __slots__ = ("level", "open")

    def __init__(self) -> None:
        self.level = next(_levels)
        self.open = True

    def leaf(self, value: Any, space: Any) -> Traced:
        """``value`` as an array with respect to which derivatives are taken."""
        return Traced(value, self, Node((), None, space, False), space)

    def record(
        self, rule: Any, answer: Any, args: Sequence[Any], values: Sequence[Any], kwargs: Any, space: Any
    ) -> Traced:
        if not self.open:
            raise escaped()
        argnums = [i for i, a in enumerate(args) if type(a) is Traced and a.trace is self]
        pull = rule.pull(argnums, answer, values, kwargs)
        node = Node([args[i].mark for i in argnums], pull, space, type(answer) is Traced)
        return Traced(answer, self, node, space)


class Dual:
    """Forward mode: a traced array's mark is its tangent."""

    __slots__ = ("level", "open")

    def __init__(self) -> None:
        self.level = next(_levels)
        self.open = True

    def record(
        self, rule: Any, answer: Any, args: Sequence[Any], values: Sequence[Any], kwargs: Any, space: Any
    ) -> Traced:
        if not self.open:
            raise escaped()
        argnums = [i for i, a in enumerate(args) if type(a) is Traced and a.trace is self]
        tangents = [args[i].mark for i in argnums]
        return Traced(answer, self, rule.push(space, argnums, tangents, answer, values, kwargs), space)


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
        for parent, cotangent in zip(node.parents, node.pull(xp, g), strict=True):
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
        own = space
        for a in args:
            if type(a) is Traced and (trace is None or a.trace.level > trace.level):
                trace = a.trace
                if own is None:
                    own = a.space
        if trace is None:
            return function(*args, **kwargs)
        values = [a.value if type(a) is Traced and a.trace is trace else a for a in args]
        return trace.record(rule, call(*values, **kwargs), args, values, kwargs, own)

    call.__name__ = getattr(function, "__name__", rule.name)
    call.__doc__ = getattr(function, "__doc__", None)
    return call
