"""Jacobians whose rows do not mix: one pass back over the tape for all rows at once.

In the residuals of n samples, row i of most arrays matters to residual i alone. Then one cotangent of such an
array's shape holds all rows of the Jacobian side by side, and an operation's own pullback takes it further
back. It ends at the arrays that all rows share, the weights: there each row gets a cotangent of its own,
stacked along a new first axis (of a product x @ w it is xᵢδᵢᵀ instead of the sum xᵀδ), and what lies further
back takes the stack. Which is which follows from the operations alone, from the outputs back
(:mod:`nnx.autodiff.rowwise.table`); what is not known to keep rows apart is :class:`Mixed`, never guessed.

Source: I. Goodfellow, "Efficient per-example gradient computations", arXiv:1510.01799 (2015).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from heapq import heappop, heappush
from typing import Any

from nnx.autodiff.array import Traced
from nnx.autodiff.bind import Part
from nnx.autodiff.boundary import arrived
from nnx.autodiff.raw import has_array
from nnx.autodiff.rowwise.operation import Each, Operation, Rows, pull_each
from nnx.autodiff.rowwise.table import arrivals, cut
from nnx.autodiff.space import RULES, space_of
from nnx.autodiff.trace import Node, Tape

Array = Any
#: rows of the Jacobian: the first of them, the distance between two, their number
Group = tuple[int, int, int]
Stack = Callable[[int, int], Array]

#: A shared array may have so many times the entries of all variables, and at least so many: stacks of larger
#: ones would cost more than they save, and most often these are arrays of samples.
_LARGEST, _SMALL = 8, 32
#: entries of a stack that is computed at once: 16 MB of float64
_AT_ONCE = 2**21


class Mixed(Exception):
    """Why the rows of a Jacobian cannot be kept apart."""


class RowTape(Tape):
    """A tape that remembers what each operation was."""

    __slots__ = ("operations",)

    def __init__(self) -> None:
        super().__init__(locks=True)
        self.operations: dict[int, Operation] = {}

    def record(
        self,
        rule: Any,
        answer: Any,
        argnums: Sequence[int],
        marks: Sequence[Node],
        values: Sequence[Any],
        kwargs: Any,
        space: Any,
        nested: bool,
    ) -> Traced:
        made = super().record(rule, answer, argnums, marks, values, kwargs, space, nested)
        if made.mark is not marks[0]:  # else it has the cotangents of its argument
            self.operations[made.mark.order] = Operation(
                rule, answer, argnums, values, kwargs, marks, space, nested
            )
        return made


class RowwiseJacobian:
    """The Jacobian of what a :class:`RowTape` recorded, its rows in the order of the entries of all outputs.

    ``inputs`` are the nodes of the variables and ``variables`` their arrays, ``outputs`` pairs of node (None
    where an output depends on nothing) and array. Raises :class:`Mixed` where rows cannot be kept apart, or
    where more than half of ``limit`` passes back would be needed.
    """

    def __init__(
        self,
        tape: RowTape,
        inputs: Sequence[Node],
        variables: Sequence[Array],
        outputs: Sequence[tuple[Node | None, Array]],
        limit: float = math.inf,
    ) -> None:
        self._operations = tape.operations
        self._inputs, self._variables = inputs, variables
        self._limit = limit / 2
        self._n = sum(math.prod(x.shape) for x in variables)
        self._largest = max(self._n, 1)
        self._groups: dict[Group, list[tuple[Node, Stack]]] = {}
        self._shared_by: dict[Group, list[tuple[Node, Operation | None]]] = {}
        self._seen: dict[Group, set[int]] = {}  #: the operations whose results have the rows of a group
        self._pass_back(self._seeds(outputs))
        self._check_shared()

    def rows(self, start: int, stop: int) -> list[Array]:
        """Rows start … stop − 1: for each variable an array of shape (stop − start, *shape)."""
        out: list[Any] = [None] * len(self._inputs)
        size = max(1, _AT_ONCE // self._largest)
        for (first, stride, count), stacks in self._groups.items():
            a, b = (min(max(-((first - end) // stride), 0), count) for end in (start, stop))
            for low in range(a, b, size):
                high = min(low + size, b)
                begin = first + stride * low - start
                place = slice(begin, begin + stride * (high - low - 1) + 1, stride)
                for j, g in enumerate(self._of_inputs(stacks, low, high)):
                    if g is not None:
                        out[j] = _put(out[j], place, g, stop - start)
        found = [
            _zeros(x, (stop - start, *x.shape)) if g is None else g
            for g, x in zip(out, self._variables, strict=True)
        ]
        return arrived(found, found)

    # -- back through arrays that have the rows ----------------------------------------------------------

    def _seeds(self, outputs: Sequence[tuple[Node | None, Array]]) -> Iterator[tuple[Node, Rows, Array]]:
        if sum(math.prod(y.shape[1:]) for node, y in outputs if node is not None) > self._limit:
            raise Mixed("each sample has too many outputs")
        offset = 0
        for node, y in outputs:
            size = math.prod(y.shape)
            if node is not None and size:
                xp = space_of(y).base
                ones = xp.ones(y.shape, dtype=y.dtype, device=xp.device_of(y))
                if not y.shape:
                    self._share(Rows(offset, 1, 1, 0, 1), node, _first_of(ones), None)
                else:
                    pieces = size // y.shape[0]
                    for rows, g in cut(ones, pieces, Rows(offset, 1, 1, 0, size), xp):
                        yield node, rows, g
            offset += size

    def _pass_back(self, seeds: Iterator[tuple[Node, Rows, Array]]) -> None:
        """Takes cotangents back as :func:`nnx.autodiff.trace.backward` does, those of other rows apart."""
        pending: dict[tuple[int, Rows], tuple[Node, Array]] = {}
        heap: list[tuple[int, Rows]] = []

        def arrive(node: Node, rows: Rows, g: Array) -> None:
            if rows.lo >= rows.hi:
                return
            key = node.order, rows
            if key in pending:
                pending[key] = node, pending[key][1] + g
            else:
                self._note(rows)
                pending[key] = node, g
                heappush(heap, key)

        for seed in seeds:
            arrive(*seed)
        while heap:
            order, rows = key = heappop(heap)
            node, g = pending.pop(key)
            if order not in self._operations:  # a variable
                self._share(rows, node, _diagonal(rows, g), None)
                continue
            op = self._operations[order]
            found = [arrivals(op, i, rows, g) for i in op.argnums]
            if None in found:
                if rows.hi - rows.lo > 1:
                    raise self._mixed_by(op)
                self._share(rows, node, _diagonal(rows, g), op)  # one row: a cotangent of the whole array
                continue
            self._note(rows).add(order)
            for parent, some_rows in zip(op.parents, found, strict=True):
                for some, c in some_rows or ():
                    if type(c) is Each:
                        self._share(some, parent, c.of, op)
                    else:
                        arrive(parent, some, c)

    def _note(self, rows: Rows) -> set[int]:
        group = _group(rows)
        if group not in self._seen:
            self._seen[group] = set()
            if len(self._seen) > self._limit:
                raise Mixed("the rows are used in too many ways")
        return self._seen[group]

    def _share(self, rows: Rows, node: Node, of: Stack, by: Operation | None) -> None:
        """Notes that all rows share the result of ``node``, which ``by`` uses."""
        lo, group = rows.lo, _group(rows)
        self._note(rows)
        stacks = self._groups.setdefault(group, [])
        stacks.append((node, (lambda a, b: of(a + lo, b + lo)) if lo else of))
        self._shared_by.setdefault(group, []).append((node, by))

    def _mixed_by(self, op: Operation) -> Mixed:
        if type(op.rule) is Part:  # of an operation with several results
            op = self._operations[op.parents[0].order]
        shapes = [f"{tuple(v.shape)}" for v in op.values if hasattr(v, "shape")]
        return Mixed(f"{op.rule.name} of arrays of shape {', '.join(shapes)}")

    # -- back through arrays that the rows share -----------------------------------------------------------

    def _check_shared(self) -> None:
        """Raises an error where a shared array depends on one that has the rows, or is too large."""
        for group, ahead in self._shared_by.items():
            known: set[int] = set()
            while ahead:
                node, by = ahead.pop()
                op = self._operations.get(node.order)
                if op is None or node.order in known:
                    continue
                known.add(node.order)
                size = math.prod(op.answer.shape) if not op.rule.several else 0
                unknown = type(op.rule) is Part or op.rule.several
                if node.order in self._seen[group] or unknown or size > max(_LARGEST * self._n, _SMALL):
                    raise self._mixed_by(op if by is None or unknown else by)
                self._largest = max(self._largest, size)
                ahead += [(parent, op) for parent in op.parents]

    def _of_inputs(self, stacks: Sequence[tuple[Node, Stack]], a: int, b: int) -> list[Any]:
        """The cotangents of the variables, (b − a, *shape), for rows a … b − 1 of a group."""
        pending: dict[int, Any] = {}
        heap: list[int] = []
        own: set[int] = set()  #: arrays made here, which may be added to in place

        def arrive(node: Node, g: Array) -> None:
            order = node.order
            if order in own and type(g) is not Traced and type(pending[order]) is not Traced:
                pending[order] += g
            elif order in pending:
                pending[order] = pending[order] + g
                own.add(order)
            else:
                pending[order] = g
                if order in self._operations:
                    heappush(heap, order)

        def arrive_at(node: Node, op: Operation, g: Array) -> None:
            """The transpose of ``x[key]``: many pieces of one vector are added to one array."""
            order, x, key = node.order, op.values[0], op.values[1]
            if order not in own:
                zeros = _zeros(x, (b - a, *x.shape))
                arrive(node, zeros)
                own.add(order)
            total = pending[order]
            parts = [part for part in (key if type(key) is tuple else (key,)) if part is not None]
            if parts.count(...) == 0:
                parts.append(...)
            place = (slice(None), *parts)
            now = total[place]
            total[place] = now + op.xp(g).reshape(g, now.shape)

        for node, of in stacks:
            arrive(node, of(a, b))
        while heap:
            op = self._operations[order := heappop(heap)]
            g = pending.pop(order)
            for i, parent in zip(op.argnums, op.parents, strict=True):
                if op.rule is RULES["getitem"] and not has_array(op.values[1]) and type(g) is not Traced:
                    arrive_at(parent, op, g)
                else:
                    arrive(parent, pull_each(op, i, g))
        return [pending.get(node.order) for node in self._inputs]


# -- details -------------------------------------------------------------------------------------------


def _group(rows: Rows) -> Group:
    count = rows.hi - rows.lo
    return rows.offset + rows.stride * rows.lo, rows.stride if count > 1 else 1, count


def _first_of(g: Array) -> Stack:
    return lambda a, b: g[None, ...]


def _diagonal(rows: Rows, g: Array) -> Stack:
    """Of an array that has the rows: for each of them the whole array's cotangent, 0 in all other rows."""

    def of(a: int, b: int) -> Array:
        xp = space_of(g) if type(g) is Traced else space_of(g).base
        place = xp.positions((g.shape[0],), g)
        first = xp.positions((b - a,), g) + a
        ends = (1,) * (g.ndim - 1)
        own = xp.reshape(place, (1, -1, *ends)) // rows.group == xp.reshape(first, (-1, 1, *ends))
        return xp.where(own, g[None, ...], 0.0)

    return of


def _zeros(x: Array, shape: tuple[int, ...]) -> Array:
    base = space_of(x).base
    return base.zeros(shape, dtype=x.dtype, device=base.device_of(x))


def _put(out: Any, place: slice, g: Array, n: int) -> Array:
    """``g`` added to the rows ``place`` of ``out``, an array of n rows, or None for zeros."""
    if out is None and g.shape[0] == n:
        return g
    if type(g) is Traced or type(out) is Traced:
        space = g.space if type(g) is Traced else out.space
        new = space.zeros((n, *g.shape[1:]), dtype=g.dtype, device=space.device_of(g))
        new[place, ...] = g
        return new if out is None else out + new
    if out is None:
        out = _zeros(g, (n, *g.shape[1:]))
        out[place, ...] = g
    elif g.shape[0] == n:
        out = out + g
    else:
        out[place, ...] = out[place, ...] + g
    return out
