"""Cotangents that are computed into arrays which are there already.

The transpose of ``x[i]`` is an array of zeros with one entry, that of ``x[i] = v`` a copy with one entry set
to zero: n of them would take n·n steps. :func:`nnx.autodiff.trace.backward` knows which of the pending
cotangents it has made itself (``sums``, by the order of their nodes): nobody else holds these, so they may be
written to.

Each function here takes a node, the namespace and the cotangent of its result, what is pending and ``sums``;
it gives the arrivals, pairs of a parent and its cotangent. An operation's rule names one in ``passes``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nnx.autodiff.array import Traced
from nnx.autodiff.batching.array import Batched

Arrivals = Iterable[tuple[Any, Any]]


def into_places(node: Any, xp: Any, g: Any, pending: dict[int, Any], sums: set[int]) -> Arrivals:
    """``pull(xp, g, places)``: the pullback computes into the places of leaves that have no cotangent yet."""
    places = [None if p.order in pending else p.place for p in node.parents]
    return zip(node.parents, node.pull(xp, g, places), strict=True)


def into_sum(node: Any, xp: Any, g: Any, pending: dict[int, Any], sums: set[int]) -> Arrivals:
    """``pull(xp, g, total, own)``: the pullback adds to what is pending, in place where that is our ``own``.

    Without a total it makes an array of its own.
    """
    parent = node.parents[0]
    order = parent.order
    if order not in pending:
        found = node.pull(xp, g)[0]
        if type(found) is Traced or xp.adapter.may_write(found):
            sums.add(order)
        return ((parent, found),)
    total = pending[order]
    if type(total) is Outer:
        total = total.total()
    space = node.space if type(total) is Traced else xp
    pending[order] = node.pull(space, g, total, order in sums)[0]
    sums.add(order)
    return ()


def onward(node: Any, xp: Any, g: Any, pending: dict[int, Any], sums: set[int]) -> Arrivals:
    """``pull(xp, g)`` of one argument, whose cotangent is ``g`` in another form, and our own if ``g`` is."""
    order = node.parents[0].order
    found = node.pull(xp, g)
    if node.order in sums and order not in pending and (type(g) is Traced or xp.adapter.may_write(found[0])):
        sums.add(order)
    return zip(node.parents, found, strict=True)


def through(node: Any, xp: Any, g: Any, pending: dict[int, Any], sums: set[int]) -> Arrivals:
    """``pull(xp, g, own)``: the pullback gives arrays of its own, ``g`` itself among them if our ``own``."""
    sums.update(p.order for p in node.parents if p.order not in pending)
    return zip(node.parents, node.pull(xp, g, node.order in sums), strict=True)


class Outer:
    """A sum of products u vᵀ of vectors, each as large as a matrix: they are kept and multiplied together."""

    __slots__ = ("found", "us", "vs", "xp")

    def __init__(self, xp: Any, u: Any, v: Any) -> None:
        self.xp, self.us, self.vs, self.found = xp, [u], [v], None

    def __iadd__(self, other: Outer) -> Outer:  # type: ignore[misc]  # of our own kind it stays one
        self.us += other.us
        self.vs += other.vs
        if len(self.us) >= _AT_ONCE:
            self._multiply()
        return self

    def __add__(self, other: Any) -> Any:
        return self.total() + other

    def total(self) -> Any:
        """The sum as an array, our own."""
        if self.us:
            self._multiply()
        return self.found

    def _multiply(self) -> None:
        xp = self.xp
        if len(self.us) == 1:
            product = self.us[0][:, None] * self.vs[0][None, :]
        else:
            product = xp.matrix_transpose(xp.stack(self.us)) @ xp.stack(self.vs)
        if self.found is None:
            self.found = product
        else:
            self.found += product
        self.us, self.vs = [], []


#: So many pairs of vectors are kept before they are multiplied.
_AT_ONCE = 64


class VectorPull:
    """The pullback ``pull`` of a product of a vector and a matrix, which can also give an :class:`Outer`.

    The matrix is argument ``i``; ``rest`` is the pullback to the vector, None if that is a constant.
    """

    __slots__ = ("i", "pull", "rest", "vector")

    def __init__(self, pull: Any, i: int, vector: Any, rest: Any) -> None:
        self.pull, self.i, self.vector, self.rest = pull, i, vector, rest

    def __call__(self, xp: Any, g: Any) -> Any:
        return self.pull(xp, g)

    def outer(self, xp: Any, g: Any) -> tuple[int, list[Any]]:
        """The place of the matrix among the cotangents, and these."""
        own = Outer(xp, self.vector, g) if self.i else Outer(xp, g, self.vector)
        if self.rest is None:
            return 0, [own]
        (other,) = self.rest(xp, g)
        return self.i, [other, own] if self.i else [own, other]


def as_outer(node: Any, xp: Any, g: Any, pending: dict[int, Any], sums: set[int]) -> Arrivals:
    """The cotangent of a matrix that is multiplied by vectors as an :class:`Outer`, if all were so far."""
    pull, parents = node[2], node[1]
    if type(pull) is not VectorPull or type(g) is Traced or type(g) is Batched:
        return zip(parents, pull(xp, g), strict=True)
    i, found = pull.outer(xp, g)
    order = parents[i].order
    if order not in pending:
        sums.add(order)
    elif type(pending[order]) is not Outer:
        found[i] = found[i].total()
    return zip(parents, found, strict=True)
