"""Rules of whole functions: a hand-written pullback, of which the tangent is the transpose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nnx.autodiff.array import Traced, raw
from nnx.autodiff.families import Pull, Rule, broadcast_like
from nnx.autodiff.trace import Parts, Tape, backward


class Fused(Rule):
    """A function with a hand-written pullback ``reverse(xp, g, needs, answer, *args, **options)``.

    ``needs[i]`` says whether argument i is differentiated; ``reverse`` returns one cotangent per
    argument (None where not needed). The tangent is the transpose of the pullback, which is linear
    in ``g``: so forward mode needs no rule of its own, but may have one for speed,
    ``forward(xp, tangents, answer, *args, **options)`` with None for what is not differentiated. With
    ``fills``, ``needs[i]`` may also be an array to compute the cotangent into.
    """

    def __init__(
        self, name: str, reverse: Callable[..., Sequence[Any]], forward: Any = None, fills: bool = False
    ) -> None:
        self.name, self.reverse, self.forward, self.fills = name, reverse, forward, fills

    def pull(self, argnums: Any, answer: Any, values: Any, kwargs: Any) -> Pull:
        reverse = self.reverse

        def pull(xp: Any, g: Any, places: Any = None) -> list[Any]:
            needs: list[Any] = [False] * len(values)
            for k, i in enumerate(argnums):
                place = None if places is None else places[k]
                needs[i] = True if place is None else place
            cotangents = reverse(xp, g, needs, answer, *values, **kwargs)
            return [cotangents[i] for i in argnums]

        return pull

    def push(self, xp: Any, argnums: Any, tangents: Any, answer: Any, values: Any, kwargs: Any) -> Any:
        if self.forward is not None:
            of = dict(zip(argnums, tangents, strict=True))
            tangent = self.forward(xp, [of.get(i) for i in range(len(values))], answer, *values, **kwargs)
            return broadcast_like(xp, tangent, answer)
        pull = self.pull(argnums, answer, values, kwargs)
        return transposed(xp, lambda seeds: pull(xp, seeds[0]), tangents, [answer])[0]


class Several(Rule):
    """A function with several results and a hand-written pullback, both modes from one rule.

    ``reverse(xp, gs, answers, *args, **options)`` gives one cotangent for each argument (None where there is
    none) from one for each result, zeros where nothing depends on it. ``result`` makes the answer (a named
    tuple, say) of an iterable of arrays.
    """

    several = True

    def __init__(self, name: str, reverse: Callable[..., Sequence[Any]], result: Any = tuple) -> None:
        self.name, self.reverse, self.result = name, reverse, result

    def pull(self, argnums: Any, answers: Any, values: Any, kwargs: Any) -> Pull:
        def pull(xp: Any, parts: Any) -> list[Any]:
            gs = [parts.gs[k] if k in parts.gs else xp.zeros_like(a) for k, a in enumerate(answers)]
            cotangents = self.reverse(xp, gs, answers, *values, **kwargs)
            return [cotangents[i] for i in argnums]

        return pull

    def push(self, xp: Any, argnums: Any, tangents: Any, answers: Any, values: Any, kwargs: Any) -> Any:
        pull = self.pull(argnums, answers, values, kwargs)
        return transposed(xp, lambda seeds: pull(xp, Parts(dict(enumerate(seeds)))), tangents, answers)


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
