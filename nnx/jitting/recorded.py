"""Arrays that write down what is done with them."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any, NoReturn

from nnx.autodiff.array import Traced
from nnx.autodiff.batching.array import Batched
from nnx.backend import register_carrier
from nnx.jitting.functions import (
    COMPARISONS,
    DESCRIBING,
    ESCAPES,
    ESCAPING,
    FLAGS,
    IN_PLACE_METHODS,
    OPERATORS,
    UNARY,
    targets,
)
from nnx.jitting.program import Attribute, Method
from nnx.jitting.recorder import Recorder, active
from nnx.jitting.values import kind_of


class Recorded:
    """An array of a function that is being recorded: a value, and its place in the program.

    Functions of its library, NumPy's functions, operators and methods compute the value and are written down.
    What depends on shape and data type alone is there at once; numbers are not, for they are others when the
    program runs again.
    """

    __slots__ = ("recorder", "slot", "value")

    def __init__(self, value: Any, slot: int, recorder: Recorder) -> None:
        self.value, self.slot, self.recorder = value, slot, recorder

    @property
    def adapter(self) -> Any:
        """The library of recorded arrays."""
        return self.recorder.adapter

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """That of the value, for ``isinstance(x, np.ndarray)``."""
        return type(self.value)

    def __array_namespace__(self, /, *, api_version: str | None = None) -> Any:
        return self.adapter.xp

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = getattr(self.value, name)
        if name in ESCAPES:
            self.asks(f"x.{name}")
        if name in DESCRIBING:
            return found
        if name == "flags":
            return _Flags(self)
        if not callable(found):
            return active().call(Attribute(name), (self,))

        def method(*args: Any, **kwargs: Any) -> Any:
            into = (self,) if name in IN_PLACE_METHODS else targets(None, args, kwargs)
            return active().call(Method(name), (self, *args), kwargs, into)

        return method

    def __setattr__(self, name: str, value: Any) -> None:
        if name in Recorded.__slots__:
            object.__setattr__(self, name, value)
        elif name in ("shape", "dtype", "strides"):
            self.recorder.refuse(
                f"x.{name} = ... of an array under nnx.jit: take x.reshape or x.view instead."
            )
        else:
            active().call(_set_attribute, (self, name, value), {}, (self,))

    def __repr__(self) -> str:
        return f"Recorded(v{self.slot}: {kind_of(self.value)})"

    # -- indexing ------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[Any]:
        return (self[k] for k in range(len(self.value)))

    def __getitem__(self, key: Any) -> Any:
        return active().call(operator.getitem, (self, _plain(key)))

    def __setitem__(self, key: Any, value: Any) -> None:
        if type(value) in _HIGHER:
            value = value.as_constant("x[key] = value") if type(value) is Traced else value
        active().call(operator.setitem, (self, _plain(key), value), {}, (self,))

    # -- what is known only when the program runs ----------------------------------------------------

    def asks(self, what: str) -> NoReturn:
        """Raises the error for who asks for numbers."""
        self.recorder.refuse(
            f"{what} of an array under nnx.jit asks for its numbers, which are others whenever the program "
            "runs. Choose with np.where, keep to array functions, leave this part out of the function under "
            "jit, or make the argument static (static_argnums)."
        )

    def __float__(self) -> float:
        self.asks("float(x)")

    def __int__(self) -> int:
        self.asks("int(x)")

    def __index__(self) -> int:
        self.asks("x as an index of a list or as a count")

    def __complex__(self) -> complex:
        self.asks("complex(x)")

    def __bool__(self) -> bool:
        self.asks("bool(x), `if x`")

    def __contains__(self, item: Any) -> bool:
        self.asks("`item in x`")

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        self.asks("np.asarray(x), np.array([x]) or a call that takes plain arrays")

    def __dlpack__(self, **options: Any) -> Any:
        self.asks("from_dlpack(x)")

    def __reduce__(self) -> Any:
        self.asks("pickle")

    def __format__(self, spec: str) -> str:
        return repr(self) if not spec else self.asks("format(x)")

    def __round__(self, digits: int | None = None) -> Any:
        self.asks("round(x)")

    def __hash__(self) -> int:
        raise TypeError("unhashable type: an array under nnx.jit")

    def __deepcopy__(self, memo: Any) -> Any:
        return active().call(Method("copy"), (self,))

    # -- NumPy's protocols ---------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if any(type(x) in _HIGHER for x in inputs):
            return NotImplemented
        into = targets(None, inputs, kwargs)
        if method == "at":
            into = inputs[:1]
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        return active().call(function, inputs, kwargs, into)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if any(kind in _HIGHER for kind in types):
            return NotImplemented
        if func.__name__ in ESCAPING:
            self.asks(f"np.{func.__name__}")
        return active().call(func, args, kwargs, targets(func, args, kwargs))


class _Flags:
    """``x.flags`` of a recorded array, as far as it follows from shape and strides."""

    def __init__(self, x: Recorded) -> None:
        self._x = x

    def __getattr__(self, name: str) -> Any:
        return getattr(self._x.value.flags, name) if name in FLAGS else self._x.asks(f"x.flags.{name}")

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name.lower())


#: arrays that compute with recorded ones, and not the other way round
_HIGHER = (Traced, Batched)


def _plain(key: Any) -> Any:
    """An index without arrays of the differentiable namespace that are constants."""
    if type(key) is Traced:
        return key.as_constant("x[key]")
    return tuple(map(_plain, key)) if type(key) is tuple else key


def _set_attribute(x: Any, name: str, value: Any) -> None:
    setattr(x, name, value)


def _operator(dunder: str, function: Any, swap: bool = False) -> None:
    def method(self: Recorded, *other: Any) -> Any:
        if other and type(other[0]) in _HIGHER:
            return NotImplemented
        return active().call(function, (*other, self) if swap else (self, *other))

    setattr(Recorded, dunder, method)


def _in_place(dunder: str, function: Any) -> None:
    def method(self: Recorded, other: Any) -> Any:
        if type(other) in _HIGHER:
            return NotImplemented
        return active().call(function, (self, other), {}, (self,))

    setattr(Recorded, dunder, method)


for _op in OPERATORS:
    _short = _op.rstrip("_")
    _operator(f"__{_short}__", getattr(operator, _op))
    _operator(f"__r{_short}__", getattr(operator, _op), swap=True)
    _in_place(f"__i{_short}__", getattr(operator, f"i{_short}"))
_operator("__divmod__", divmod)
_operator("__rdivmod__", divmod, swap=True)
for _op in (*COMPARISONS, *UNARY):
    _operator(f"__{_op}__", getattr(operator, _op))

register_carrier(Recorded)
