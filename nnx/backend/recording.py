"""The operations of an elementwise function, recorded by running it once on symbols."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

_UNARY = {
    "negative": "-{0}", "sqrt": "np.sqrt({0})", "abs": "abs({0})",
    "sign": "np.sign({0})", "exp": "np.exp({0})",
}  # fmt: skip
_BINARY = {
    "add": "{0} + {1}", "subtract": "{0} - {1}", "multiply": "{0} * {1}", "divide": "{0} / {1}",
    "maximum": "max_({0}, {1})", "minimum": "min_({0}, {1})",
    "greater": "{0} > {1}", "greater_equal": "{0} >= {1}", "less": "{0} < {1}", "less_equal": "{0} <= {1}",
    "equal": "{0} == {1}", "not_equal": "{0} != {1}",
}  # fmt: skip
#: Operations whose results are bools.
COMPARISONS = {"greater", "greater_equal", "less", "less_equal", "equal", "not_equal"}
_CHOICE = {"where": "({1} if {0} else {2})"}
#: Operation → the expression that a compiled loop has for it.
FORMS = _UNARY | _BINARY | _CHOICE


class _NotElementwise(Exception):
    """The function uses an operation that cannot be recorded."""


class _Symbol:
    """A vector or scalar of the function while it is being recorded."""

    __array_ufunc__ = None

    def __init__(self, recorder: _Recorder, value: int) -> None:
        self.recorder, self.value = recorder, value

    def __bool__(self) -> bool:
        raise _NotElementwise("a branch on values")


def _operator(name: str, swap: bool = False) -> Callable[..., Any]:
    def method(self: _Symbol, *other: Any) -> Any:
        operands = (*other, self) if swap else (self, *other)
        return self.recorder.step(name, operands)

    return method


for _dunder, _name in {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide",
}.items():  # fmt: skip
    setattr(_Symbol, f"__{_dunder}__", _operator(_name))
    setattr(_Symbol, f"__r{_dunder}__", _operator(_name, swap=True))
for _dunder, _name in {
    "gt": "greater", "ge": "greater_equal", "lt": "less", "le": "less_equal", "eq": "equal",
    "ne": "not_equal", "neg": "negative", "abs": "abs",
}.items():  # fmt: skip
    setattr(_Symbol, f"__{_dunder}__", _operator(_name))


@dataclass(frozen=True)
class Recording:
    """The operations in order. Value k < inputs is an argument, value inputs + i the result of step i."""

    vectors: int
    inputs: int
    steps: tuple[tuple[str, tuple[Any, ...]], ...]
    outputs: tuple[int, ...]

    def last_use(self) -> dict[int, int]:
        """For each value, the last step that reads it."""
        return {v: i for i, (_, operands) in enumerate(self.steps) for v in operands if isinstance(v, int)}


class _Recorder:
    """Stands in for the array namespace while a function is being recorded."""

    def __init__(self, inputs: int) -> None:
        self.inputs = inputs
        self.steps: list[tuple[str, tuple[Any, ...]]] = []

    def step(self, name: str, operands: Sequence[Any]) -> _Symbol:
        values: list[Any] = []
        for x in operands:
            if isinstance(x, _Symbol):
                values.append(x.value)
            elif isinstance(x, float | int) and not isinstance(x, bool):
                values.append(float(x))
            else:
                raise _NotElementwise(f"{name} of {type(x).__name__}")
        self.steps.append((name, tuple(values)))
        return _Symbol(self, self.inputs + len(self.steps) - 1)

    def __getattr__(self, name: str) -> Callable[..., _Symbol]:
        if name not in FORMS:
            raise _NotElementwise(name)
        return lambda *operands: self.step(name, operands)


@cache
def record(function: Callable[..., Any], vectors: int, scalars: int) -> Recording | None:
    """The operations of ``function(xp, *vectors, *scalars)``; None where they cannot be recorded."""
    recorder = _Recorder(vectors + scalars)
    given = [_Symbol(recorder, i) for i in range(vectors + scalars)]
    try:
        results = function(recorder, *given)
    except (_NotElementwise, TypeError):
        return None
    if not all(isinstance(r, _Symbol) and r.value >= recorder.inputs for r in results):
        return None  # an input is a result: the caller's buffers would overlap
    return Recording(vectors, recorder.inputs, tuple(recorder.steps), tuple(r.value for r in results))
