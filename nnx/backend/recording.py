"""The operations of an elementwise function, recorded by running it once on symbols."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

_UNARY = {
    "negative": "-{0}", "sqrt": "np.sqrt({0})", "abs": "abs({0})",
    "sign": "np.sign({0})", "exp": "np.exp({0})", "logical_not": "not {0}",
}  # fmt: skip
_BINARY = {
    "add": "{0} + {1}", "subtract": "{0} - {1}", "multiply": "{0} * {1}", "divide": "{0} / {1}",
    "maximum": "max_({0}, {1})", "minimum": "min_({0}, {1})",
    "greater": "{0} > {1}", "greater_equal": "{0} >= {1}", "less": "{0} < {1}", "less_equal": "{0} <= {1}",
    "equal": "{0} == {1}", "not_equal": "{0} != {1}", "pow": "{0} ** {1}",
    "logical_and": "{0} and {1}", "logical_or": "{0} or {1}",
}  # fmt: skip
#: Operations whose results are bools.
LOGICAL = {
    "greater", "greater_equal", "less", "less_equal", "equal", "not_equal",
    "logical_and", "logical_or", "logical_not", "isnan", "isinf", "isfinite",
}  # fmt: skip
_CHOICE = {"where": "({1} if {0} else {2})"}
#: Operation → the expression that a compiled loop has for it.
FORMS = _UNARY | _BINARY | _CHOICE


class NotElementwise(Exception):
    """The function uses an operation that cannot be recorded."""


class Symbol:
    """A vector or scalar of the function while it is being recorded."""

    __array_ufunc__ = None

    def __init__(self, recorder: Recorder, value: int) -> None:
        self.recorder, self.value = recorder, value

    def __bool__(self) -> bool:
        return self.recorder.decide(self)


def _operator(name: str, swap: bool = False) -> Callable[..., Any]:
    def method(self: Symbol, *other: Any) -> Any:
        operands = (*other, self) if swap else (self, *other)
        return self.recorder.step(name, operands)

    return method


for _dunder, _name in {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "pow": "pow",
    "and": "logical_and", "or": "logical_or",
}.items():  # fmt: skip
    setattr(Symbol, f"__{_dunder}__", _operator(_name))
    setattr(Symbol, f"__r{_dunder}__", _operator(_name, swap=True))
for _dunder, _name in {
    "gt": "greater", "ge": "greater_equal", "lt": "less", "le": "less_equal", "eq": "equal",
    "ne": "not_equal", "neg": "negative", "abs": "abs", "invert": "logical_not",
}.items():  # fmt: skip
    setattr(Symbol, f"__{_dunder}__", _operator(_name))


@dataclass(frozen=True, eq=False)  # one object for each function: kernels are found by it
class Recording:
    """The operations in order. Value k < inputs is an argument, value inputs + i the result of step i."""

    vectors: int
    inputs: int
    steps: tuple[tuple[str, tuple[Any, ...]], ...]
    outputs: tuple[int, ...]

    def last_use(self) -> dict[int, int]:
        """For each value, the last step that reads it."""
        return {v: i for i, (_, operands) in enumerate(self.steps) for v in operands if isinstance(v, int)}

    def expressions(
        self, forms: Mapping[str, str], bools: Sequence[bool], literal: Callable[[float], str]
    ) -> list[tuple[bool, str]] | None:
        """Of each step whether its result is a bool, and its expression in the values ``v0, v1, ...``.

        ``bools`` says which arguments are bools; numbers have one type T, and so has each value in between:
        nothing is computed in a wider type. None where there is no form, or where bools alone are computed
        with as if they were numbers: libraries do not agree on that.
        """
        logical, found = list(bools), []
        for name, operands in self.steps:
            parts = operands[1:] if name == "where" else operands
            of_bools = all(isinstance(x, int) and logical[x] for x in parts)
            if name not in forms or (of_bools and name not in LOGICAL | {"where"}):
                return None
            numbers = [not name.startswith("logical")] * len(operands)
            if name == "where":
                numbers = [False, not of_bools, not of_bools]
            terms = [
                (f"T(v{x})" if number and logical[x] else f"v{x}") if isinstance(x, int) else literal(x)
                for x, number in zip(operands, numbers, strict=True)
            ]
            logical.append(of_bools or name in LOGICAL)
            found.append((logical[-1], forms[name].format(*terms)))
        return found


class Asked(NamedTuple):
    """What is asked of recorded calls on large arrays: outputs as they are, and then reductions of outputs.

    ``entries`` are numbers of outputs; with each number in ``reductions`` stands what the library's adapter
    knows of the reduction (:meth:`nnx.backend.programs.Programs.reduction`).
    """

    entries: tuple[int, ...]
    reductions: tuple[tuple[int, Any], ...] = ()


class Recorder:
    """Stands in for the array namespace while a function is being recorded.

    The site's live pages extend it (``docs_build/live``): to whole steps of an optimizer, and to branches.
    """

    def __init__(self, inputs: int) -> None:
        self.inputs = inputs
        self.steps: list[tuple[str, tuple[Any, ...]]] = []

    def step(self, name: str, operands: Sequence[Any]) -> Symbol:
        values: list[Any] = []
        for x in operands:
            if isinstance(x, Symbol):
                values.append(x.value)
            elif isinstance(x, float | int) and not isinstance(x, bool):
                values.append(float(x))
            else:
                raise NotElementwise(f"{name} of {type(x).__name__}")
        self.steps.append((name, tuple(values)))
        return Symbol(self, self.inputs + len(self.steps) - 1)

    def decide(self, symbol: Symbol) -> bool:
        """The answer where the function asks for the truth of a value: none here."""
        raise NotElementwise("a branch on values")

    def __getattr__(self, name: str) -> Callable[..., Symbol]:
        if name not in FORMS:
            raise NotElementwise(name)
        return lambda *operands: self.step(name, operands)


@cache
def record(function: Callable[..., Any], vectors: int, scalars: int) -> Recording | None:
    """The operations of ``function(xp, *vectors, *scalars)``; None where they cannot be recorded."""
    recorder = Recorder(vectors + scalars)
    given = [Symbol(recorder, i) for i in range(vectors + scalars)]
    try:
        results = function(recorder, *given)
    except (NotElementwise, TypeError):
        return None
    if not all(isinstance(r, Symbol) and r.value >= recorder.inputs for r in results):
        return None  # an input is a result: the caller's buffers would overlap
    return Recording(vectors, recorder.inputs, tuple(recorder.steps), tuple(r.value for r in results))
