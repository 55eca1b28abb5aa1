"""The way forward and back of a training step, recorded once for each shape of batches and replayed.

A step of a small network is mostly Python's way through layers, losses and tapes. The batches of a training
have the same shapes, so the calls on raw arrays are the same in every step: they are written down
(:mod:`nnx.jitting`), and from then on only they are made. What is recorded is what nnx itself computes: of a
layer, loss or metric of a user's own nothing is known, it may print, count or branch.

The first steps are computed as they are; recording pays after about :data:`_BEFORE` of them. Then two steps
are computed both ways. Where one bit differs, or the recording fails, the steps go on as they are, and
``reason`` says why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from nnx.autodiff.tree import flatten
from nnx.errors import RecordingError
from nnx.jitting import Clock, Program, Recorder, compiled, need_few_constants, recorded_over, shortened
from nnx.options import built_in

Array = Any

#: steps of one shape that are computed as they are: recording takes the time of as many
_BEFORE = 20
#: steps that are computed both ways
_COMPARED = 2
#: what layers hold for their weights: a step does not call it
_OF_WEIGHTS = ("_initializer", "_constraint")
#: shapes of batches that have programs of their own
_SHAPES = 8


class Parts(NamedTuple):
    """What a step computes with: raw arrays, or recorded ones."""

    trained: list[Array]
    places: list[Array]
    gradient: Array
    state: list[Array]
    xs: tuple[Array, ...]
    ys: tuple[Array, ...]
    weights: tuple[Array, ...]


class _Plan(NamedTuple):
    program: Program
    #: of the arrays of a step: what it computes
    replay: Callable[..., tuple[Any]]


class StepPlans:
    """The recorded steps of one problem.

    ``compute(parts)`` is the step: a container of arrays. It writes into ``parts.gradient`` and nowhere else.
    """

    def __init__(
        self,
        compute: Callable[[Parts], Any],
        adapter: Any,
        things: Iterable[Any],
        own: list[Array],
        fixed: Iterable[Array],
    ) -> None:
        """``things`` take part in a step: are they nnx's own? ``fixed`` are arrays that never change.

        ``own`` are the model's own weights: steps with these have the same gradient and state, too, whose
        numbers change, but not their places.
        """
        self._compute, self._adapter, self._fixed, self._own = compute, adapter, list(fixed), own
        #: the last batch, its arrays, and their program
        self._last: tuple[Any, list[Array], Callable[..., Any]] = (None, [], compute)
        self._clock = Clock()
        self._seen: dict[Any, int] = {}
        self._plans: dict[Any, _Plan] = {}
        #: why steps are computed as they are; empty where they are recorded, or will be
        self.reason = foreign(things)
        if not self.reason and adapter.name != "numpy":
            self.reason = f"steps on {adapter.name} are not recorded"

    def run(self, parts: Parts, step: int) -> Any:
        """What the step computes, by its program if there is one."""
        if self.reason:
            return self._compute(parts)
        self._clock.step = step
        own, given = parts.trained is self._own, (*parts.xs, *parts.ys, *parts.weights)
        key = _key(own, given)
        seen = self._seen.get(key, 0)
        if seen >= _BEFORE + _COMPARED:
            return self._plans[key].replay(*_changing(parts, own))[0]
        if key not in self._seen and len(self._seen) == _SHAPES:
            return self._compute(parts)  # another shape every time
        self._seen[key] = seen + 1
        if seen < _BEFORE:
            return self._compute(parts)
        try:
            if seen == _BEFORE:
                self._plans[key] = self._recorded(parts, own)
            return self._compared(self._plans[key], parts, own)
        except Exception as error:
            answer = self._compute(parts)  # an error of the step itself is raised here
            self.reason = f"{type(error).__name__}: {error}"
            return answer

    def replayed(self, batch: Any, step: int) -> Any:
        """What the step computes with the model's own weights; None where its program is not settled."""
        self._clock.step = step
        before, arrays, replay = self._last
        if batch is not before:
            given = (*batch.xs, *batch.ys, *batch.weights)
            key = _key(True, given)
            if self.reason or self._seen.get(key, 0) < _BEFORE + _COMPARED:
                return None
            arrays, replay = [a for a in given if a is not None], self._plans[key].replay
            self._last = batch, arrays, replay
        return replay(*arrays)[0]

    def text(self) -> str:
        """What is recorded, in words, or why nothing is."""
        if self.reason:
            return f"Steps are computed as they are: {self.reason}"
        if not self._plans:
            return f"Nothing is recorded yet: that is done after {_BEFORE} steps with batches of one shape."
        return "\n".join(str(plan.program) for plan in self._plans.values())

    def _recorded(self, parts: Parts, own: bool) -> _Plan:
        recorder = Recorder(recorded_over(self._adapter), self._clock)
        with recorder, recorder.adapter.serving():
            arrays = _arrays(parts)
            new = iter([recorder.wrapped(a) for a in arrays])
            answer = self._compute(_spread(parts, new))
        if any(all(reference() is not a for a in self._fixed) for reference, _ in recorder.outside):
            raise RecordingError("An array from outside takes part in the step.")
        program = recorder.program(len(arrays), [recorder.term(answer)])
        program = shortened(program, recorder.fixed, self._adapter)
        need_few_constants(program)
        bound = dict(enumerate(arrays[: len(arrays) - len(_changing(parts, True))])) if own else {}
        return _Plan(program, compiled(program, bound, self._adapter.ready))

    def _compared(self, plan: _Plan, parts: Parts, own: bool) -> Any:
        """The step as it is; an error where its program computes other bits."""
        answer = self._compute(parts)
        wanted = [_bits(leaf) for leaf in (*flatten(answer)[0], parts.gradient)]
        again = plan.replay(*_changing(parts, own))[0]
        found = [_bits(leaf) for leaf in (*flatten(again)[0], parts.gradient)]
        if wanted != found:
            raise ValueError("the recorded step does not compute the same bits")
        return answer


def _key(own: bool, given: Iterable[Array]) -> Any:
    """What steps with one program have in common."""
    return (own, *[None if a is None else (a.shape, a.dtype, a.strides) for a in given])


def _arrays(parts: Parts) -> list[Array]:
    """All arrays of a step, in order."""
    return [*parts.trained, *parts.places, parts.gradient, *parts.state, *_changing(parts, True)]


def _changing(parts: Parts, own: bool) -> list[Array]:
    """Those arrays of a step that may be others in the next one; with other weights than the own ones all."""
    return [a for a in (*parts.xs, *parts.ys, *parts.weights) if a is not None] if own else _arrays(parts)


def _spread(parts: Parts, new: Any) -> Parts:
    """The parts with new arrays in the places of :func:`_arrays`."""

    def of(some: Iterable[Array]) -> tuple[Array, ...]:
        return tuple(None if a is None else next(new) for a in some)

    trained, places = list(of(parts.trained)), list(of(parts.places))
    gradient, state = next(new), list(of(parts.state))
    return Parts(trained, places, gradient, state, of(parts.xs), of(parts.ys), of(parts.weights))


def _bits(leaf: Any) -> Any:
    """The bits of an array, with its type and shape."""
    return (leaf.dtype, leaf.shape, leaf.tobytes()) if hasattr(leaf, "tobytes") else leaf


def foreign(things: Iterable[Any]) -> str:
    """The first thing that is a user's own, in words; empty where nnx made all of them, and all inside."""
    todo, seen = list(things), set()
    while todo:
        thing = todo.pop()
        if id(thing) in seen or thing is None or isinstance(thing, str | int | float | complex | bytes):
            continue
        seen.add(id(thing))
        if isinstance(thing, Mapping):
            todo.extend(thing.values())
        elif isinstance(thing, list | tuple | set | frozenset):
            todo.extend(thing)
        elif isinstance(thing, type):
            continue
        elif callable(thing) or hasattr(type(thing), "__dataclass_fields__"):
            if not built_in(thing):
                made = getattr(thing, "function", thing)
                return f"{getattr(made, '__name__', None) or type(made).__name__} is not one of nnx's own"
            held = getattr(thing, "__dict__", {})
            todo.extend(value for name, value in held.items() if not name.endswith(_OF_WEIGHTS))
    return ""
