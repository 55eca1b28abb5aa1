"""Neighbouring entry-by-entry calls on large arrays become one call: what lies between never goes to memory.

The calls of a chain have results of one shape; the library's adapter makes one function of them
(``Adapter.joined``). Other calls in between are made before, where they need nothing of the chain.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from nnx.backend.recording import LOGICAL, Asked, Recording
from nnx.jitting.program import Constant, Method, Program, Slot, Step, slots
from nnx.jitting.unwritten import without_writes
from nnx.jitting.values import Kind, kind_of

Term = Any


class Joined:
    """One function in the place of several: what it computes, and the function itself."""

    def __init__(self, recording: Recording, asked: Asked, function: Callable[..., Any]) -> None:
        self.recording, self.asked, self._function = recording, asked, function
        self.__name__ = "joined"

    def __call__(self, *arrays: Any) -> Any:
        return self._function(*arrays)

    def lines(self) -> list[str]:
        """The calls as a program writes them, with a, b, ... for arguments and t0, t1, ... for results."""
        r = self.recording

        def term(x: Any) -> str:
            return repr(x) if isinstance(x, float) else f"a{x}" if x < r.inputs else f"t{x - r.inputs}"

        lines = [f"t{i} = {name}({', '.join(map(term, xs))})" for i, (name, xs) in enumerate(r.steps)]
        return lines + [f"{of.name} of {term(r.outputs[k])}" for k, of in self.asked.reductions]


@dataclass
class _Chain:
    """Steps that may become one."""

    kind: Kind
    steps: list[tuple[Step, str, list[Term]]] = field(default_factory=list)
    reads: set[int] = field(default_factory=set)
    results: set[int] = field(default_factory=set)
    #: sums of results, and the like: the step, the slot of what is summed, what the adapter says of it
    reductions: list[tuple[Step, int, Any]] = field(default_factory=list)

    def calls(self) -> list[Step]:
        """What becomes one step."""
        return [step for step, *_ in (*self.steps, *self.reductions)]


class Joining:
    """The pass over one program."""

    def __init__(self, program: Program, below: Any, exact: bool) -> None:
        self._program, self._below, self._exact = program, below, exact
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
            if call is not None:
                self._add(step, *call)
            elif not self._reduced(step):
                self._pass(step)
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
        kinds = [self._kind(term) for term in args]
        call = self._below.entrywise(step.function, args, dict(step.kwargs), kinds)
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

    def _reduced(self, step: Step) -> bool:
        """Whether the step is a sum of a result of the chain, or the like, and has become a part of it."""
        chain, x = self._chain, step.args[0] if step.args else None
        if (
            chain is None
            or step.result is None
            or step.writes
            or step.shape is not None
            or type(x) is not Slot
        ):
            return False
        if step.reads != {x.number} or x.number not in {old.result for old, _, _ in chain.steps}:
            return False
        function: Any = step.function
        function = function.name if type(function) is Method else function
        kind = self._kinds[x.number]
        found = self._below.reduction(function, step.args[1:], dict(step.kwargs), kind)
        if found is None or kind.dtype != chain.kind.dtype:
            return False
        chain.reductions.append((step, x.number, found))
        chain.results.add(step.result)
        return True

    def _add(self, step: Step, name: str, operands: list[Term]) -> None:
        kind = self._kinds[step.result]  # type: ignore[index]
        floats = {k.dtype for k in map(self._kind, operands) if k is not None and k.dtype.kind == "f"}
        floats |= {kind.dtype} if kind.dtype.kind == "f" else set()
        chain = self._chain
        if chain is not None and (
            chain.kind.shape != kind.shape
            or not floats <= {chain.kind.dtype}
            or any(old.result in step.reads for old, _, _ in chain.reductions)
        ):
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
        if len(chain.calls()) == 1 or not self._join(chain):
            self._steps.extend(chain.calls())

    def _join(self, chain: _Chain) -> bool:
        """Whether the chain has become one step."""
        inputs, recording, asked, outputs = self._recorded(chain)
        kinds: list[Any] = [self._kind(term) for term in inputs]
        given = [(kind.shape, kind.dtype.kind == "b") for kind in kinds]
        function = self._below.joined(
            recording, given, chain.kind.shape, chain.kind.dtype, asked, self._exact
        )
        if function is None:
            return False
        call: Any = Joined(recording, asked, function)
        if len(outputs) == 1:
            self._steps.append(Step(call, tuple(inputs), {}, outputs[0]))
            return True
        whole = len(self._kinds)
        while whole in self._kinds:
            whole += 1
        self._kinds[whole], self._memory[whole] = Kind(tuple), whole
        self._steps.append(Step(call, tuple(inputs), {}, whole))
        for k, i in enumerate(outputs):
            self._steps.append(Step(operator.getitem, (Slot(whole), k), {}, i, pure=True))
        return True

    def _recorded(self, chain: _Chain) -> tuple[list[Term], Recording, Asked, list[int]]:
        """The arguments of the chain, its calls, what is asked of them, and the slots of what is returned."""
        inputs: dict[Term, int] = {}
        for _, _, operands in chain.steps:
            for term in operands:
                if type(term) is Constant or (type(term) is Slot and term.number not in chain.results):
                    inputs.setdefault(term, len(inputs))
        values: dict[Term, int] = dict(inputs)
        steps = []
        outputs: list[Any] = []
        for k, (step, name, operands) in enumerate(chain.steps):
            steps.append((name, tuple(values[t] if t in values else float(t) for t in operands)))
            values[Slot(step.result)] = len(inputs) + k  # type: ignore[arg-type]
            if self._later.get(step.result, -1) >= self._at:  # type: ignore[arg-type]
                outputs.append(step.result)
        made = list(dict.fromkeys([*outputs, *(i for _, i, _ in chain.reductions)]))
        found = tuple(values[Slot(i)] for i in made)
        asked = Asked(
            tuple(range(len(outputs))), tuple((made.index(i), what) for _, i, what in chain.reductions)
        )
        outputs += [step.result for step, _, _ in chain.reductions]
        return list(inputs), Recording(len(inputs), len(inputs), tuple(steps), found), asked, outputs


def with_joined_steps(program: Program, below: Any, exact: bool) -> Program:
    """The program with chains of entry-by-entry calls on large arrays joined; ``below`` is the adapter.

    Where ``exact`` the bits are those of the calls in any case.
    """
    if not below.worth_joining:
        return program
    return Joining(without_writes(program, below), below, exact).program()
