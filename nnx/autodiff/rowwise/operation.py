"""A recorded operation, and the cotangents of its arguments: one for each row of a Jacobian."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from nnx.autodiff.array import Traced
from nnx.autodiff.families import Elementwise, ElementwisePair, normal_axes
from nnx.autodiff.rules.partials import Partials
from nnx.autodiff.space import RULES

Array = Any

#: Names of rules that work entry by entry: of one array, and of several that are broadcast.
ENTRYWISE = ("negative", "positive", "real", "imag", "conj", "converted", "laid_out", "to_device", "restored")
BROADCASTING = ("multiply", "divide", "add", "subtract", "where", "from_parts", "broadcast_to")


class Rows(NamedTuple):
    """Which row of the Jacobian the rows of an array belong to.

    Rows i·group … (i + 1)·group − 1 of the array belong to row offset + stride·i, for lo ≤ i < hi; its other
    rows belong to none.
    """

    offset: int
    stride: int
    group: int
    lo: int
    hi: int

    def shifted(self, by: int) -> Rows:
        """The same rows of the Jacobian where each lies ``by`` rows (of the array) further on."""
        n = by // self.group
        return self._replace(offset=self.offset - self.stride * n, lo=self.lo + n, hi=self.hi + n)

    def within(self, n: int) -> Rows:
        """What is left of them in an array of ``n`` rows."""
        return self._replace(lo=max(self.lo, 0), hi=min(self.hi, n // self.group))


class Each(NamedTuple):
    """The cotangents, (k, *shape), of an array that rows share: ``of(a, b)`` for a ≤ i < b."""

    of: Callable[[int, int], Array]


@dataclass(frozen=True)
class Operation:
    """A recorded operation, with what its rule was given."""

    rule: Any
    answer: Any
    argnums: Sequence[int]
    values: Sequence[Any]
    kwargs: Any
    parents: Sequence[Any]
    space: Any
    nested: bool

    def xp(self, g: Any) -> Any:
        """The namespace to pull back in."""
        return self.space if self.nested or type(g) is Traced else self.space.base

    def pull(self, i: int, g: Any) -> Any:
        """The cotangent of argument ``i`` by the operation's own rule."""
        return self.rule.pull((i,), self.answer, self.values, self.kwargs)(self.xp(g), g)[0]

    def option(self, name: str, default: Any = None, place: int = 1) -> Any:
        """The option called ``name``, which may also be the argument at ``place``."""
        return self.values[place] if len(self.values) > place else self.kwargs.get(name, default)


def grouped(x: Array, rows: Rows, a: int, b: int, xp: Any) -> Array:
    """The rows a ≤ i < b of ``x``; several for one i on an axis of their own, (k, group, …)."""
    start, stop = a * rows.group, b * rows.group
    part = x if start == 0 and stop == x.shape[0] else x[start:stop, ...]
    return part if rows.group == 1 else xp.reshape(part, (b - a, rows.group, *x.shape[1:]))


def shared(op: Operation, i: int, g: Array, values: Sequence[Any], answer: Any) -> Array:
    """The cotangents of argument ``i``, which all k entries of the first axis of ``g`` share: (k, *shape).

    Each of them gets the argument on an axis of length 1 of its own: broadcasting is then undone up to there.
    """
    xp, x, k = op.xp(g), op.values[i], g.shape[0]
    own = x.shape if x.ndim < g.ndim else x.shape[1:]
    new = (k, *(1,) * (g.ndim - 1 - len(own)), *own)
    copies = xp.broadcast_to(xp.reshape(x, (1, *new[1:])), new)
    values = [copies if j == i else v for j, v in enumerate(values)]
    return xp.reshape(op.rule.pull((i,), answer, values, op.kwargs)(xp, g)[0], (k, *x.shape))


def pull_each(op: Operation, i: int, g: Array) -> Array:
    """The cotangents of argument ``i``, (k, *shape), for k cotangents ``g`` of the whole result."""
    xp, x, k = op.xp(g), op.values[i], g.shape[0]
    rule: Any = op.rule
    name: str = rule.name
    if RULES.get(name) is not op.rule:
        name = ""  # a function of the user's may be called as one of them
    if isinstance(rule, Elementwise) or name in ENTRYWISE:
        return op.pull(i, g)
    if name in BROADCASTING or isinstance(rule, ElementwisePair | Partials):
        return shared(op, i, g, op.values, op.answer)
    if name == "matmul" and op.values[0].ndim == op.values[1].ndim == 2:
        return shared(op, i, g, op.values, op.answer)
    if name in ("reshape", "expand_dims", "squeeze"):
        return xp.reshape(g, (k, *x.shape))
    if name == "matrix_transpose":
        return xp.matrix_transpose(g)
    if name == "permute_dims":
        order = [axis % x.ndim for axis in op.option("axes")]
        return xp.permute_dims(g, (0, *(1 + order.index(n) for n in range(x.ndim))))
    if x.dtype != op.answer.dtype:
        name = ""  # the rule changes the type back
    if name in ("sum", "mean"):
        axes = tuple(axis + 1 for axis in normal_axes(op.kwargs.get("axis"), x.ndim))
        kept = (k, *(1 if n + 1 in axes else size for n, size in enumerate(x.shape)))
        share = 1.0 / max(math.prod(x.shape[n - 1] for n in axes), 1) if name == "mean" else 1.0
        return xp.broadcast_to(xp.reshape(g * share, kept), (k, *x.shape))
    if name in ("concat", "stack") and op.kwargs.get("axis", 0) is not None:
        axis = 1 + op.kwargs.get("axis", 0) % op.answer.ndim
        shapes = [(k, *v.shape) for v in op.values]
        return rule.transpose(xp, g, i, shapes, (), axis=axis)
    return xp.stack([op.pull(i, g[j, ...]) for j in range(k)])
