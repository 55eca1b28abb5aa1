"""An array library that computes nothing: it writes down what nnx asks it to compute.

nnx runs on any library that has an adapter. On the arrays of this one, an optimizer's step, a function's
gradient or an activation leaves its operations in order on a :class:`Tape`, whose text in JavaScript
:mod:`docs_build.live.javascript` writes. The elementwise part is :mod:`nnx.backend.recording`, of which the
kernels for the CPU are made; here come whole arrays (sums, copies, assignment) and the cost of a problem.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from nnx.backend import selection
from nnx.backend.recording import FORMS, LOGICAL, NotElementwise, Recorder, Symbol, record
from nnx.backend.reference import Adapter

Shape = tuple[int, ...]

#: elementwise operations that no kernel of nnx needs, but gradients and activations do
ELEMENTWISE = {*FORMS, "expm1", "log", "log1p", "tanh", "hypot", "isnan", "isinf", "isfinite"}
_LOGICAL = {*LOGICAL, "isnan", "isinf", "isfinite"}
#: operations that make one number of a vector
REDUCTIONS = {"sum", "mean"}
#: the cost and its gradient at a vector
CALLS = {"value", "gradient"}

#: steps without operands: their text, or a number
INPUTS = {"constant", "scalar", "vector"}

_tapes: ContextVar[Tape] = ContextVar("tapes")


class Recorded(Symbol):
    """An array on a tape: the number of the value that it holds now, its shape and its data type."""

    device = "tape"

    def __init__(self, tape: Tape, value: int, shape: Shape, dtype: str) -> None:
        super().__init__(tape, value)
        self.tape = tape
        self.shape, self.dtype = shape, dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        return NAMESPACE

    def __getitem__(self, key: Any) -> Recorded:
        if key is ... or (isinstance(key, slice) and key.indices(self.shape[0]) == (0, self.shape[0], 1)):
            return self
        raise NotElementwise(f"the part {key} of an array")

    def __setitem__(self, key: Any, new: Any) -> None:
        if key is not ...:
            raise NotElementwise(f"an assignment to the part {key} of an array")
        self.value = _on(self.tape, new).value

    def __hash__(self) -> int:
        return hash(bool(self))  # the key of a table: a branch

    def __repr__(self) -> str:
        return f"«{self.value}»"  # in the text of an error, where the page puts the value


class Tape(Recorder):
    """Records what is computed while it is :meth:`in_use`. Equal operations are recorded once.

    ``decisions`` are the answers where Python asks for the truth of a value; :class:`Undecided` is raised
    where they do not suffice.
    """

    def __init__(self, decisions: Sequence[bool] = ()) -> None:
        super().__init__(0)
        self.decisions = decisions
        self._known: dict[tuple[Any, ...], int] = {}
        self._decided: dict[int, bool] = {}

    @contextmanager
    def in_use(self) -> Iterator[Tape]:
        """Arrays made of plain numbers go to this tape."""
        token = _tapes.set(self)
        try:
            yield self
        finally:
            _tapes.reset(token)

    def input(self, text: str, shape: Shape = ()) -> Recorded:
        """A value from outside, ``text`` in JavaScript (of a vector: the text of one entry)."""
        return self._note("vector" if shape else "scalar", (text,), shape, "float64")

    def step(self, name: str, operands: Sequence[Any]) -> Any:
        """The result of an operation; NotImplemented where another kind of array must answer."""
        if any(hasattr(x, "__array_namespace__") and not isinstance(x, Recorded) for x in operands):
            return NotImplemented
        if name == "equal" and any(isinstance(x, bool) for x in operands):
            truth, x = sorted(operands, key=lambda x: not isinstance(x, bool))
            return x if truth else self.step("logical_not", (x,))
        values = [_on(self, x) for x in operands]
        shape: Shape = () if name in REDUCTIONS | {"value"} else max((x.shape for x in values), key=len)
        if name == "multiply":
            for one, other in (values, values[::-1]):
                if self.steps[one.value] == ("constant", (1.0,)):
                    return Recorded(self, other.value, shape, other.dtype)
        kind = values[1].dtype if name == "where" else "bool" if name in _LOGICAL else "float64"
        return self._note(name, tuple(x.value for x in values), shape, kind)

    def constant(self, x: float | bool, shape: Shape = ()) -> Recorded:
        """An array of one number."""
        if not isinstance(x, bool | int | float):
            raise NotElementwise(f"an array made of {type(x).__name__}")
        is_bool = isinstance(x, bool)
        return self._note("constant", (x if is_bool else float(x),), shape, "bool" if is_bool else "float64")

    def decide(self, symbol: Symbol) -> bool:
        name, operands = self.steps[symbol.value]
        if name == "logical_not":
            return not self.decide(Symbol(self, operands[0]))
        if symbol.value not in self._decided:
            if len(self._decided) == len(self.decisions):
                raise Undecided(symbol.value)
            self._decided[symbol.value] = self.decisions[len(self._decided)]
        return self._decided[symbol.value]

    def _note(self, name: str, operands: tuple[Any, ...], shape: Shape, dtype: str) -> Recorded:
        key = (name, *((type(x), repr(x)) for x in operands))
        if key not in self._known:
            self.steps.append((name, operands))
            self._known[key] = len(self.steps) - 1
        return Recorded(self, self._known[key], shape, dtype)


class Undecided(BaseException):
    """The truth of a value is asked for, and the tape has no decision left."""

    def __init__(self, value: int) -> None:
        super().__init__(value)
        self.value = value


def _on(tape: Any, x: Any) -> Recorded:
    return x if isinstance(x, Recorded) else tape.constant(x)


class _Namespace:
    """The part of the array API that can be recorded: elementwise functions, sums, creation."""

    float32, float64, int64 = "float32", "float64", "int64"

    def __getattr__(self, name: str) -> Any:
        if name == "bool":
            return name
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*operands: Any, **options: Any) -> Any:
            if name not in ELEMENTWISE or options:
                raise NotElementwise(name)
            return _tapes.get().step(name, operands)

        return call

    def isdtype(self, dtype: str, kind: Any) -> bool:
        kinds = {"float64": ("real floating", "numeric"), "bool": ("bool",)}[dtype]
        return any(k in kinds for k in (kind if isinstance(kind, tuple) else (kind,)))

    def asarray(self, x: Any, *, dtype: Any = None, device: Any = None, copy: Any = None) -> Recorded:
        x = _on(_tapes.get(), x)
        return Recorded(x.tape, x.value, x.shape, x.dtype) if copy else x

    def astype(self, x: Recorded, dtype: str, *, copy: bool = True) -> Recorded:
        if x.dtype == "bool" and dtype != "bool":
            return x.tape.step("where", (x, 1.0, 0.0))
        return self.asarray(x, copy=copy)

    def clip(self, x: Recorded, least: float, most: float) -> Recorded:
        return x.tape.step("minimum", (x.tape.step("maximum", (x, least)), most))

    def full(self, shape: Any, fill: Any, *, dtype: Any = None, device: Any = None) -> Recorded:
        x = _on(_tapes.get(), fill)
        return Recorded(x.tape, x.value, (shape,) if isinstance(shape, int) else tuple(shape), x.dtype)

    def full_like(self, x: Recorded, fill: Any, *, dtype: Any = None, device: Any = None) -> Recorded:
        return self.full(x.shape, fill)

    def zeros(self, shape: Any, *, dtype: Any = None, device: Any = None) -> Recorded:
        return self.full(shape, 0.0)

    empty = zeros

    def zeros_like(self, x: Recorded, *, dtype: Any = None, device: Any = None) -> Recorded:
        return self.full(x.shape, 0.0)

    def ones_like(self, x: Recorded, *, dtype: Any = None, device: Any = None) -> Recorded:
        return self.full(x.shape, 1.0)

    def reshape(self, x: Recorded, shape: Any, *, copy: Any = None) -> Recorded:
        if tuple(shape) not in (x.shape, (-1,) if x.shape else ()):
            raise NotElementwise(f"{x.shape} in the shape {shape}")
        return x

    def broadcast_to(self, x: Recorded, shape: Any) -> Recorded:
        return Recorded(x.tape, x.value, tuple(shape), x.dtype)

    def sum(self, x: Recorded, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Recorded:
        return self._reduced("sum", x, axis)

    def mean(self, x: Recorded, *, axis: Any = None, keepdims: bool = False) -> Recorded:
        return self._reduced("mean", x, axis)

    def _reduced(self, name: str, x: Recorded, axis: Any) -> Recorded:
        if not x.shape:
            return x
        if axis is not None:
            raise NotElementwise(f"{name} over one axis")
        return x.tape.step(name, (x,))


NAMESPACE = _Namespace()


class TapeAdapter(Adapter):
    """Recorded arrays as one more library of nnx."""

    name = "docs_build"

    def to_numpy(self, x: Any) -> Any:
        return x

    def shares_memory(self, y: Any, x: Any) -> bool:
        return y is x

    def mapping(
        self, function: Callable[..., Any], read: Any, write: Any, scalars: int
    ) -> Callable[[tuple[Any, ...]], None]:
        """Puts on the tape what the kernels for the CPU are made of: nnx's recording of the function."""
        recording = record(function, len(read), scalars)
        if recording is None:  # then the function itself is evaluated, as NumPy's adapter does
            return super().mapping(function, read, write, scalars)

        def evaluate(given: tuple[Any, ...]) -> None:
            values = [*read, *given]
            for name, operands in recording.steps:
                parts = [values[x] if isinstance(x, int) else x for x in operands]
                values.append(getattr(self.xp, name)(*parts))
            for target, value in zip(write, recording.outputs, strict=True):
                target[...] = values[value]

        return evaluate


def load() -> Adapter:
    """The adapter, for :mod:`nnx.backend.selection`."""
    return TapeAdapter(NAMESPACE)


@contextmanager
def known_to_nnx() -> Iterator[None]:
    """Makes recorded arrays one of the libraries that nnx knows (by the top package of their class)."""
    selection.LIBRARIES["docs_build"] = (__name__, "nothing")
    try:
        yield
    finally:
        del selection.LIBRARIES["docs_build"]
