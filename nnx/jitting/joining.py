"""Neighbouring entry-by-entry calls on large arrays become one call: what lies between never goes to memory.

The calls of a chain have results of one shape; the library's adapter makes one function of them
(``Adapter.joined``). Other calls in between are made before, where they need nothing of the chain.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from nnx.backend.recording import LOGICAL, Recording
from nnx.jitting.program import (
    Constant,
    Program,
    Slot,
    Step,
    slots,
    substituted,
    with_terms,
)
from nnx.jitting.values import Kind, kind_of

Term = Any


class Joined:
    """One function in the place of several: what it computes, and the function itself."""

    def __init__(self, recording: Recording, function: Callable[..., Any]) -> None:
        self.recording, self._function = recording, function
        self.__name__ = "joined"

    def __call__(self, *arrays: Any) -> Any:
        return self._function(*arrays)

    def lines(self) -> list[str]:
        """The calls as a program writes them, with a, b, ... for arguments and t0, t1, ... for results."""
        r = self.recording

        def term(x: Any) -> str:
            return repr(x) if isinstance(x, float) else f"a{x}" if x < r.inputs else f"t{x - r.inputs}"

        return [f"t{i} = {name}({', '.join(map(term, xs))})" for i, (name, xs) in enumerate(r.steps)]


@dataclass
class _Chain:
    """Steps that may become one."""

    kind: Kind
    steps: list[tuple[Step, str, list[Term]]] = field(default_factory=list)
    reads: set[int] = field(default_factory=set)
    results: set[int] = field(default_factory=set)


class Joining:
    """The pass over one program."""

    def __init__(self, program: Program, below: Any) -> None:
        self._program, self._below = program, below
        self._kinds, self._memory = dict(program.kinds), dict(program.memory)
        self._steps: list[Step] = []
        self._chain: _Chain | None = None
        self._later: dict[int, int] = {}  # for each slot the last step that reads it
        for k, step in enumerate(program.steps):
            self._later.update(dict.fromkeys(step.reads, k))
        self._later.update(dict.fromkeys(slots(program.outputs), len(program.steps)))
        self._at = 0

    def program(self) -> Program:
        """The program with chains joined."""
        for k, step in enumerate(self._program.steps):
            self._at = k
            call = self._call(step)
            if call is None:
                self._pass(step)
            else:
                self._add(step, *call)
        self._at = len(self._program.steps)
        self._flush()
        return replace(self._program, steps=tuple(self._steps), kinds=self._kinds, memory=self._memory)

    # -- steps ---------------------------------------------------------------------------------------

    def _call(self, step: Step) -> tuple[str, list[Term]] | None:
        """Name and operands of an entry-by-entry call on large arrays; None for other steps."""
        i = step.result
        if i is None or step.writes or step.shape is not None:
            return None
        kind = self._kinds[i]
        if not kind.owner or not kind.in_order or not kind.shape or kind.nbytes < self._below.worth_joining:
            return None
        args = [self._number(term) for term in step.args]
        call = self._below.entrywise(step.function, args, dict(step.kwargs))
        if call is None or (call[0] in LOGICAL) != (kind.dtype.kind == "b"):
            return None
        return call if all(self._fits(term, kind) for term in call[1]) else None

    def _number(self, term: Term) -> Term:
        """The number that fills a constant whose entries share one place; other terms as they are."""
        if type(term) is not Constant:
            return term
        x = self._program.constants[term.number]
        kind = kind_of(x)
        if not kind.strides or any(kind.strides) or not kind.size or kind.dtype.kind != "f":
            return term
        return float(x[(0,) * len(kind.strides)])

    def _fits(self, term: Term, result: Kind) -> bool:
        if type(term) is float or type(term) is int:
            return abs(term) < 2**53
        kind = self._kind(term)
        if kind is None or kind.shape is None or (kind.type is not result.type and kind.shape):
            return False
        if getattr(kind.dtype, "kind", "") not in "fb" or len(kind.shape) > len(result.shape or ()):
            return False
        return kind.in_order

    def _kind(self, term: Term) -> Kind | None:
        if type(term) is Slot:
            return self._kinds[term.number]
        return kind_of(self._program.constants[term.number]) if type(term) is Constant else None

    def _pass(self, step: Step) -> None:
        """A step that stays as it is: before the chain, or, where it needs it, after."""
        chain = self._chain
        if chain is not None and (step.writes or step.reads & chain.results):
            self._flush()
        self._steps.append(step)

    def _add(self, step: Step, name: str, operands: list[Term]) -> None:
        kind = self._kinds[step.result]  # type: ignore[index]
        floats = {k.dtype for k in map(self._kind, operands) if k is not None and k.dtype.kind == "f"}
        floats |= {kind.dtype} if kind.dtype.kind == "f" else set()
        chain = self._chain
        if chain is not None and (chain.kind.shape != kind.shape or not floats <= {chain.kind.dtype}):
            self._flush()
            chain = None
        if chain is None:
            if len(floats) != 1:
                self._steps.append(step)
                return
            chain = self._chain = _Chain(kind._replace(dtype=next(iter(floats))))
        chain.steps.append((step, name, operands))
        chain.reads |= step.reads
        chain.results.add(step.result)  # type: ignore[arg-type]

    # -- chains --------------------------------------------------------------------------------------

    def _flush(self) -> None:
        """The end of the chain: one step in the place of several, if that pays."""
        chain, self._chain = self._chain, None
        if chain is None:
            return
        olds = [step for step, _, _ in chain.steps]
        function = recording = None
        if len(olds) > 1:
            inputs, recording, outputs = self._recorded(chain)
            shapes = [self._kind(term).shape for term in inputs]  # type: ignore[union-attr]
            function = self._below.joined(recording, shapes, chain.kind.shape, chain.kind.dtype)
        if function is None or recording is None:
            self._steps.extend(olds)
            return
        call: Any = Joined(recording, function)
        if len(outputs) == 1:
            self._steps.append(Step(call, tuple(inputs), {}, outputs[0]))
            return
        whole = len(self._kinds)
        while whole in self._kinds:
            whole += 1
        self._kinds[whole], self._memory[whole] = Kind(tuple), whole
        self._steps.append(Step(call, tuple(inputs), {}, whole))
        for k, i in enumerate(outputs):
            self._steps.append(Step(operator.getitem, (Slot(whole), k), {}, i, pure=True))

    def _recorded(self, chain: _Chain) -> tuple[list[Term], Recording, list[int]]:
        """The arguments of the chain, its calls, and the slots of the results that others need."""
        inputs: dict[Term, int] = {}
        for _, _, operands in chain.steps:
            for term in operands:
                if type(term) is Constant or (type(term) is Slot and term.number not in chain.results):
                    inputs.setdefault(term, len(inputs))
        values: dict[Term, int] = dict(inputs)
        steps, outputs = [], []
        for k, (step, name, operands) in enumerate(chain.steps):
            steps.append((name, tuple(values[t] if t in values else float(t) for t in operands)))
            values[Slot(step.result)] = len(inputs) + k  # type: ignore[arg-type]
            if self._later.get(step.result, -1) >= self._at:  # type: ignore[arg-type]
                outputs.append(step.result)
        inside = {step.result for step, _, _ in chain.steps}
        own = {i: k for k, i in enumerate(step.result for step, _, _ in chain.steps)}
        found = tuple(len(inputs) + own[i] for i in outputs if i in inside)
        return list(inputs), Recording(len(inputs), len(inputs), tuple(steps), found), outputs  # type: ignore[return-value]


def with_joined_steps(program: Program, below: Any) -> Program:
    """The program with chains of entry-by-entry calls on large arrays joined; ``below`` is the adapter."""
    if not below.worth_joining:
        return program
    return Joining(without_writes(program, below.worth_joining), below).program()


#: what writes its result into its first argument, and what makes a new array of it
_WRITES: dict[Any, Any] = {
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    operator.itruediv: operator.truediv,
}


def without_writes(program: Program, least: int) -> Program:
    """The program with new arrays for sums and the like that go into an array of ``least`` bytes or more.

    Only into one that the program has made, of which there is no view: nobody else sees what was there.
    """
    kinds, memory = dict(program.kinds), dict(program.memory)
    sharing = Counter(memory.values())
    made = {step.result for step in program.steps}
    numbers = count(max(kinds, default=-1) + 1)
    now: dict[Any, Any] = {}
    steps = []
    for old in program.steps:
        step, call = with_terms(old, now), _WRITES.get(old.function)
        j = old.args[0].number if call is not None and type(old.args[0]) is Slot else -1
        alone = j in made and sharing[memory[j]] == 1 and kinds[j].owner and kinds[j].nbytes >= least
        if call and alone and not old.kwargs and _keeps_kind(program, kinds[j], old.args[1]):
            i = next(numbers)
            kinds[i], memory[i] = kinds[j], i
            step = Step(call, step.args, {}, i, pure=True)
            now[Slot(j)] = Slot(i)
        elif step.writes:
            step = step.but(writes=frozenset(now.get(Slot(k), Slot(k)).number for k in step.writes))
        steps.append(step)
    outputs = substituted(program.outputs, now)
    return replace(program, steps=tuple(steps), outputs=outputs, kinds=kinds, memory=memory)


def _keeps_kind(program: Program, kind: Kind, term: Term) -> bool:
    """Whether the sum of an array of that kind and the term has that kind as well."""
    if type(term) in (int, float):
        return bool(kind.dtype.kind == "f")
    if type(term) is Slot:
        other = program.kinds[term.number]
    elif type(term) is Constant:
        other = kind_of(program.constants[term.number])
    else:
        return False
    return bool(other.dtype == kind.dtype and other.shape == kind.shape and other.in_order and kind.in_order)
