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
