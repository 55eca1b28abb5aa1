"""Rows of the Jacobian of a model's residuals, made of parts of the samples that fit into a core's cache.

Parts are independent of one another, and so the backend's ``each`` lets the cores share them: their passes
forward, and later their passes back. What is made of the rows, JᵀJ say, is made in the same thread, and added
up in the order of the samples: the result is that of one core.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, starmap
from threading import get_ident
from typing import Any

from nnx.backend import namespace
from nnx.models.program import Params, Ran
from nnx.optimizers import Point

Array = Any
#: blocks of rows with the part of the samples that they belong to, or with their residuals
Pieces = Iterable[Iterator[tuple[Any, Any]]]
#: Bytes of a whole Jacobian up to which its rows stay until those of the next point are made: a bent step
#: then multiplies by Jᵀ in one pass over them.
_KEPT = 1 << 23


class Blocks:
    """Blocks of rows with their residuals; those of a piece lie in one buffer, one after the other."""

    def __init__(self, pieces: Pieces, each: Callable[[Callable[..., Any], Pieces], Iterator[Any]]) -> None:
        self._pieces, self._each = pieces, each

    def __iter__(self) -> Iterator[tuple[Array, Array]]:
        """The blocks; each is there until the next one is asked for."""
        return chain.from_iterable(self._pieces)

    def each(self, function: Callable[[Any, Any], Any]) -> Iterator[Any]:
        """``function`` of every block, in order: what it returns must not be a view of the rows."""
        return chain.from_iterable(self._each(lambda piece: list(starmap(function, piece)), self._pieces))


class SampleRows:
    """Makes rows for a :class:`FullBatchProblem`."""

    def __init__(self, problem: Any) -> None:
        self.problem = problem
        self._row_bytes = max(1, problem.layout.size) * (problem.adapter.xp.finfo(problem.dtype).bits // 8)
        #: one for each thread
        self._buffers: dict[int, Array] = {}
        self._store: Array | None = None
        #: what marks the point to which the rows in the store belong
        self._mark: object = None

    @property
    def each(self) -> Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]:
        """``each(function, parts)``, by the cores together where the layers are known to allow for it."""
        problem = self.problem
        return map if problem.own_layers or problem.objective.program.spreads else problem.adapter.each

    def at_once(self, memory_limit: float = math.inf) -> int:
        """For how many samples at a time rows are made."""
        n, row = self.problem.batch_size, max(1, self.problem.layout.size)
        # With few rows per block, adding up JᵀJ (n² entries) costs more than computing it.
        cached = max(4 * row, self.problem.adapter.cached_entries / row)
        # an even number of blocks, about that size, each like the others: no core waits for the last one
        size = n if cached >= n else math.ceil(n / (2 * max(1, round(0.5 * n / cached))))
        return int(max(1, min(size, memory_limit / self._row_bytes)))

    def pullbacks(self, params: Params, whole: bool) -> list[tuple[Ran, Callable[[Sequence[Array]], Any]]]:
        """The network's outputs and their pullback by samples, for as many samples as the cache holds.

        ``whole``: for all at once, as random numbers of a layer belong to the whole batch.
        """
        problem = self.problem
        xs, n, program = problem.batch.xs, problem.batch_size, problem.objective.program
        size = n if whole else self.at_once()
        parts = [xs] if size == n else [tuple(x[i : i + size, ...] for x in xs) for i in range(0, n, size)]
        return list(self.each(lambda part: program.per_sample(params, part, problem.context), parts))

    def blocks(self, point: Point, memory_limit: float) -> Iterable[tuple[Array, Array]]:
        """Rows of the Jacobian with their residuals, as many at a time as cache and memory hold."""
        residual = namespace(point.w).reshape(point.residual, (self.problem.batch_size, -1))
        if (fill := point.aux.get("fill")) is not None:
            store = self._whole(residual, memory_limit)
            if store is not None:
                self._mark = None
                fill(store)
                self._mark = point.aux["rows"] = object()
                made = [(store[k, ...], residual[:, k]) for k in range(residual.shape[1])]
                return made if len(made) == 1 else Blocks([iter([block]) for block in made], self.each)
            self.problem.in_parts()

        def with_residuals(piece: Iterator[tuple[slice, Array]], k: int) -> Iterator[tuple[Array, Array]]:
            return ((rows, residual[part, k]) for part, rows in piece)

        def pieces() -> Pieces:
            store, self._mark = self._whole(residual, memory_limit), None
            for k in range(residual.shape[1]):
                into = None if store is None else store[k, ...]
                for piece in self.column(point, k, memory_limit, into):
                    yield with_residuals(piece, k)
            if store is not None:
                self._mark = point.aux["rows"] = object()

        return Blocks(pieces(), self.each)

    def _whole(self, residual: Array, memory_limit: float) -> Array | None:
        """Room for all rows, (entries of a sample, n, weights); None where that is too much."""
        n, count = residual.shape
        if n * count * self._row_bytes > min(_KEPT, memory_limit):
            return None
        if self._store is None or self._store.shape[:2] != (count, n):
            self._store = self.room(count)
        return self._store

    def room(self, count: int) -> Array:
        """An array for all rows, with so many entries of a sample's residuals."""
        problem = self.problem
        shape = count, problem.batch_size, problem.layout.size
        return problem.adapter.xp.empty(shape, dtype=problem.dtype, device=problem.device)

    def whole(self, count: int) -> bool:
        """Whether all rows are made at once, and kept."""
        n = self.problem.batch_size
        return n * count * self._row_bytes <= _KEPT and n <= self.at_once()

    def times(self, point: Point, u: Array) -> Array | None:
        """Jᵀ·u by the rows of this point; None where they are not there (any longer)."""
        if self._store is None or point.aux.get("rows") is not self._mark:
            return None
        xp, store = namespace(u), self._store
        count, n, _ = store.shape
        if "fill" in point.aux and count == 1:
            return u @ store[0, ...] + xp.zeros_like(point.w)
        us, size = xp.reshape(u, (n, count)), self.at_once()
        parts = [(k, slice(i, min(i + size, n))) for k in range(count) for i in range(0, n, size)]
        products = self.each(lambda at: us[at[1], at[0]] @ store[at[0], at[1], :], parts)
        return sum(products, start=xp.zeros_like(point.w))

    def column(
        self, point: Point, k: int, memory_limit: float = math.inf, into: Array | None = None
    ) -> Pieces:
        """The rows of the Jacobian for the k-th entry of each sample's residuals, made in ``into``."""
        picked = self.picked(point.residual, k)
        return self.of(point, picked, self.at_once(memory_limit), self.problem.output_of(k), into)

    def picked(self, residual: Array, k: int) -> Array:
        """1.0 for the k-th entry of each sample's residuals and 0.0 for others, (samples, entries)."""
        xp = namespace(residual)
        picked = xp.ones_like(xp.reshape(residual, (self.problem.batch_size, -1)))
        if picked.shape[1] == 1:
            return picked
        index = xp.arange(picked.shape[1], device=self.problem.device)
        return xp.where(index == k, picked, 0.0)

    def of(
        self, point: Point, u: Array, size: int, only: int | None = None, into: Array | None = None
    ) -> Pieces:
        """Each sample's gradient of Σ u·r by the weights as a row, for so many samples at a time.

        ``only`` is the output to which the residuals belong in which u is not 0, if it is only one.
        """
        _ = point.residual  # which keeps the pullbacks, unless it was replayed
        if "pullbacks" not in point.aux:
            self.problem.keep_pullbacks(point)
        found = point.aux["by_outputs"](namespace(u).reshape(u, (-1,)))
        by_outputs = [g if only in (None, k) else None for k, g in enumerate(found)]
        end = 0
        for ran, back in point.aux["pullbacks"]:
            first, end = end, end + ran.outputs[0].shape[0]
            some = [None if g is None else g[first:end, ...] for g in by_outputs]
            yield self._piece(back, some, first, end, size, into)

    def _piece(
        self,
        back: Callable[..., Any],
        by_outputs: Sequence[Array | None],
        first: int,
        end: int,
        size: int,
        into: Array | None,
    ) -> Iterator[tuple[slice, Array]]:
        gradients = back(by_outputs)
        for start in range(first, end, size):
            stop = min(start + size, end)
            rows = self._buffer(stop - start) if into is None else into[start:stop, :]
            self.fill(rows, gradients(slice(start - first, stop - first)))
            yield slice(start, stop), rows

    def _buffer(self, n: int) -> Array:
        """Room for n rows, this thread's."""
        problem, buffer = self.problem, self._buffers.get(get_ident())
        if buffer is None or buffer.shape[0] < n:
            shape = n, problem.layout.size
            buffer = problem.adapter.xp.empty(shape, dtype=problem.dtype, device=problem.device)
            self._buffers[get_ident()] = buffer
        return buffer[:n, :]

    def fill(self, rows: Array, by_weight: list[Array | None]) -> None:
        """Puts the gradients of samples into their rows; None stands for 0."""
        xp = namespace(rows)
        for place, g in zip(self.problem.layout.slices, by_weight, strict=True):
            rows[:, place] = 0.0 if g is None else xp.reshape(g, (rows.shape[0], -1))
