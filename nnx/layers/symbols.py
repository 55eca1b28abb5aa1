"""Samples that are not there yet: calling layers on them draws the graph of a network."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING, Any, NoReturn

from nnx.backend import register_traced
from nnx.errors import DerivativeError, OptionError
from nnx.options import Numbers, need_known, text
from nnx.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Sequence

Shape = tuple[int, ...]

SHAPE = Numbers(
    "a tuple of positive integers (one sample's shape: no batch axis, no None for lengths that vary)",
    lambda n: n > 0,
)


@dataclass(frozen=True, eq=False)
class Symbol:
    """A placeholder for a sample: its shape, and the layer that computes it from other symbols.

    :func:`nnx.Input` gives one without a layer; a layer called on symbols gives another, as do ``+``, ``-``
    and ``*`` (the layers ``Add``, ``Subtract``, ``Multiply``; with a number: ``Rescaling``). A layer of
    several outputs gives as many symbols: ``count`` ≥ 1 is their number, and ``output``, from 0 to
    ``count`` − 1, says which one this is.

    >>> x = nnx.Input((4,))
    >>> y = nnx.layers.Dense(3)(x)
    >>> y.shape, (y + y).shape
    ((3,), (3,))
    >>> y.call is y, y.inputs == (x,)
    (True, True)
    """

    shape: Shape
    layer: Any = None
    inputs: tuple[Symbol, ...] = ()
    name: str | None = None
    #: how the layer was called: False where it computes as in prediction always
    training: bool | None = None
    #: what else the call said, by name
    options: Mapping[str, Any] = field(default_factory=dict)
    #: how many outputs the call has that it comes from, which one this is, and the first one of them
    count: int = 1
    output: int = 0
    first: Symbol | None = None

    @property
    def call(self) -> Symbol:
        """The symbol that stands for the call it comes from: the first output, itself where there is one."""
        return self if self.first is None else self.first

    def __add__(self, other: Any) -> Symbol:
        return self._joined("add", other, offset=other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Symbol:
        return self._joined("subtract", other, offset=_number(other, lambda n: -n))

    def __rsub__(self, other: Any) -> Symbol:
        return -self + other

    def __mul__(self, other: Any) -> Symbol:
        return self._joined("multiply", other, scale=other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Symbol:
        if isinstance(other, Symbol):
            self._refuse()
        return self * _number(other, lambda n: 1.0 / n if n else math.inf)

    def __neg__(self) -> Symbol:
        return self * -1.0

    def __pos__(self) -> Symbol:
        return self

    def __repr__(self) -> str:
        made = "an input" if self.layer is None else f"made by {self.layer.described}"
        return f"<Symbol of shape {(None, *self.shape)}, {made}>"

    def _joined(self, kind: str, other: Any, **numbers: Any) -> Symbol:
        layers = Registry.kinds["layer"]
        if isinstance(other, Symbol):
            return layers.entry(kind).create()(self, other)
        if isinstance(other, bool) or not isinstance(other, Real):
            raise OptionError(
                f"A symbol can be joined with another symbol or with a number, got {type(other).__name__}. "
                "Make arrays an input of the model."
            )
        return layers.entry("rescaling").create(**{"scale": 1.0, **numbers})(self)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Symbol:
        # NumPy asks here first where a number (or an array) of its own stands on the left.
        name = {"add": "__radd__", "subtract": "__rsub__", "multiply": "__rmul__"}.get(ufunc.__name__)
        if name is None or method != "__call__" or len(inputs) != 2 or isinstance(inputs[0], Symbol):
            self._refuse()
        joined: Symbol = getattr(self, name)(inputs[0])
        return joined

    def _refuse(self, *args: Any, **options: Any) -> NoReturn:
        raise DerivativeError(
            "A symbol (what Input gives, and layers called on it) has a shape and no numbers: only layers, "
            "and +, -, * take it. Use a layer, such as nnx.layers.Activation('tanh'), or one of your own."
        )

    #: an array's way to say where it belongs: functions of arrays find here that a symbol is none
    space = value = property(_refuse)
    __array_namespace__ = __array__ = __array_function__ = _refuse
    __bool__ = __float__ = __int__ = __len__ = __iter__ = __getitem__ = _refuse
    __matmul__ = __rmatmul__ = __pow__ = __rpow__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = _refuse
    __mod__ = __rmod__ = __lt__ = __le__ = __gt__ = __ge__ = __abs__ = __round__ = _refuse


register_traced(Symbol)


def _number(other: Any, change: Callable[[Any], Any]) -> Any:
    """A number changed; whatever else as it is."""
    return change(other) if isinstance(other, Real) and not isinstance(other, bool) else other


_ELSEWHERE = {
    "batch_input_shape": "shape, without the batch axis",
    "batch_shape": "shape, without the batch axis",
    "batch_size": "batch_size of fit, and of a stateful layer",
    "dtype": "dtype of the model",
    "input_shape": "shape",
    "sparse": "dense arrays (x.toarray())",
    "tensor": "nothing in its place (a model is a function: model(x))",
}


def Input(shape: int | Sequence[int] | None = None, name: str | None = None, **others: Any) -> Symbol:  # noqa: N802
    """A :class:`Symbol` for one sample of ``shape``: where a graph of layers starts.

    ``shape`` holds whole numbers ≥ 1, without the axis of the samples. ``name`` is the key under which a dict
    of inputs holds it. As the first thing of a ``Sequential`` it says the shape of the samples. Raises
    :class:`nnx.errors.OptionError` for a shape that is none.

    Source: Keras' ``Input``.

    >>> nnx.Sequential([nnx.Input((4,)), nnx.layers.Dense(3)]).output_shape
    (None, 3)
    >>> left, right = nnx.Input((4,)), nnx.Input((4,))
    >>> nnx.Model([left, right], nnx.layers.Dense(1)(left + right)).output_shape
    (None, 1)
    """
    need_known("Input", ("shape", "name"), others, _ELSEWHERE)
    found: Any = SHAPE("Input", "shape", shape)
    return Symbol(found, name=text("Input", "name", name))
