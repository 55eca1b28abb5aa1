"""Rules with a hand-written pullback; the tangent is its transpose."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from nnx.autodiff.array import Traced, raw
from nnx.autodiff.bind import uses_its_closure
from nnx.autodiff.families import Pull, Rule, broadcast_like
from nnx.autodiff.sums import into_places
from nnx.autodiff.trace import Parts, Tape, backward


class Fused(Rule):
    """A function with a hand-written pullback ``reverse(xp, g, needs, answer, *args, **options)``.

    ``needs[i]`` says whether argument i is differentiated; ``reverse`` returns one cotangent per
    argument (None where not needed). The tangent is the transpose of the pullback, which is linear
    in ``g``: so forward mode needs no rule of its own, but may have one for speed,
    ``forward(xp, tangents, answer, *args, **options)`` with None for what is not differentiated. With
    ``fills``, ``needs[i]`` may also be an array to compute the cotangent into. ``samples`` says how rows go
    through it (:mod:`nnx.autodiff.rowwise`): a function as :func:`nnx.autodiff.fused` takes it, or the
    defaults of its options where it treats each row alone; None: not row by row. ``reads`` says which results
    the pullback reads: the others are None for it, and are freed where nobody else has them.
    """

    samples: Any = None
    reads: bool | tuple[int, ...] = True

    def __init__(
        self, name: str, reverse: Callable[..., Sequence[Any]], forward: Any = None, fills: bool = False
    ) -> None:
        self.name, self.reverse, self.forward = name, reverse, forward
        self.passes = into_places if fills else None

    def pull(self, argnums: Any, answer: Any, values: Any, kwargs: Any) -> Pull:
        reverse, answer = self.reverse, self._kept(answer)

        def pull(xp: Any, g: Any, places: Any = None) -> list[Any]:
            needs: list[Any] = [False] * len(values)
            for k, i in enumerate(argnums):
                place = None if places is None else places[k]
                needs[i] = True if place is None else place
            cotangents = reverse(xp, g, needs, answer, *values, **kwargs)
            return [cotangents[i] for i in argnums]

        return pull

    def _kept(self, answer: Any) -> Any:
        return answer if self.reads else None

    def push(self, xp: Any, argnums: Any, tangents: Any, answer: Any, values: Any, kwargs: Any) -> Any:
        if self.forward is not None:
            tangent = self._forward(xp, argnums, tangents, answer, values, kwargs)
            return broadcast_like(xp, tangent, answer)
        pull = self.pull(argnums, answer, values, kwargs)
        return transposed(xp, lambda seeds: pull(xp, seeds[0]), tangents, [answer])[0]

    def _forward(self, xp: Any, argnums: Any, tangents: Any, answer: Any, values: Any, kwargs: Any) -> Any:
        given = dict(zip(argnums, tangents, strict=True))
        return self.forward(xp, [given.get(i) for i in range(len(values))], answer, *values, **kwargs)


class FusedSeveral(Fused):
    """The same for a function with several results.

    ``reverse`` gets the tuple of all results as ``answer`` and as ``g`` a list with one cotangent for each,
    None where nothing depends on that result; ``forward`` returns one tangent for each. ``result`` makes what
    the caller gets (a named tuple, say) of an iterable of arrays.
    """

    several = True

    def __init__(
        self,
        name: str,
        reverse: Callable[..., Sequence[Any]],
        forward: Any = None,
        fills: bool = False,
        result: Callable[[Iterable[Any]], Any] = tuple,
    ) -> None:
        super().__init__(name, reverse, forward, fills)
        self.result = result

    def pull(self, argnums: Any, answer: Any, values: Any, kwargs: Any) -> Pull:
        self._check_closure(answer, values)
        pull, n = super().pull(argnums, answer, values, kwargs), len(answer)
        return lambda xp, parts, places=None: pull(xp, [parts.gs.get(k) for k in range(n)], places)

    def _kept(self, answer: Any) -> Any:
        reads = self.reads
        if isinstance(reads, tuple):
            return tuple(y if k in reads else None for k, y in enumerate(answer))
        return answer

    def push(self, xp: Any, argnums: Any, tangents: Any, answer: Any, values: Any, kwargs: Any) -> Any:
        if self.forward is not None:
            self._check_closure(answer, values)
            found = self._forward(xp, argnums, tangents, answer, values, kwargs)
            return [broadcast_like(xp, t, y) for t, y in zip(found, answer, strict=True)]
        pull = self.pull(argnums, answer, values, kwargs)
        return transposed(xp, lambda seeds: pull(xp, Parts(dict(enumerate(seeds)))), tangents, answer)

    def _check_closure(self, answer: Any, values: Any) -> None:
        """As :func:`nnx.autodiff.bind.bind` checks an answer that is one array."""
        if not any(type(v) is Traced for v in values) and any(type(y) is Traced for y in answer):
            raise uses_its_closure(self.name)


def with_zeros(reverse: Callable[..., Sequence[Any]]) -> Callable[..., Sequence[Any]]:
    """The ``reverse`` of several results with zeros in the place of missing cotangents."""

    def filled(xp: Any, gs: Any, needs: Any, answers: Any, *args: Any, **options: Any) -> Sequence[Any]:
        gs = [xp.zeros_like(y) if g is None else g for g, y in zip(gs, answers, strict=True)]
        return reverse(xp, gs, needs, answers, *args, **options)

    return filled


def transposed(xp: Any, pull: Callable[..., Any], tangents: Any, answers: Sequence[Any]) -> list[Any]:
    """The tangents of the answers: the transpose of the pullback, which is linear in its cotangents."""
    tape = Tape()
    seeds = [tape.leaf(raw(xp.zeros_like(a)), xp) for a in answers]
    ends = [
        (c.mark, t)
        for c, t in zip(pull(seeds), tangents, strict=True)
        if type(c) is Traced and c.tracer is tape
    ]
    found = backward(ends, [seed.mark for seed in seeds])
    return [
        xp.zeros_like(a) if t is None else broadcast_like(xp, t, a)
        for t, a in zip(found, answers, strict=True)
    ]
