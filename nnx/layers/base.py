"""What a layer is: a frozen description, from which building, counting, saving and running follow."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any, ClassVar, Self

from nnx.backend import Stream, as_seed
from nnx.errors import OptionError, ShapeError
from nnx.layers.per_sample import Back, by_directions
from nnx.registry import Registry, Traits

registry = Registry("layer", Traits)
register = registry.register
Shape = tuple[int, ...]
#: What other libraries, and older versions of Keras, call these arguments.
_ELSEWHERE = {
    "activity_regularizer": "kernel_regularizer (a penalty on outputs does not exist here)",
    "batch_input_shape": "input_shape, without the batch axis",
    "batch_shape": "input_shape (of Input: shape), without the batch axis",
    "dtype": "dtype of the model",
    "init": "kernel_initializer",
    "input_dim": "input_shape=(n,)",
    "nb_units": "units",
    "noise_shape": "nothing in its place (each number is dropped by itself)",
    "out_features": "units",
    "output_dim": "units",
    "p": "rate",
    "sigma": "stddev",
    "weights": "model.layers[i].set_weights",
}


@dataclass(frozen=True)
class Weight:
    """One array of numbers that a layer needs: its name, shape, and where its numbers come from."""

    name: str
    shape: Shape
    initializer: Any
    regularizer: Any = None
    constraint: Any = None
    trainable: bool = True


@dataclass(frozen=True)
class Spec:
    """What a layer becomes for inputs of a known shape; shapes are those of one sample."""

    output_shape: Shape
    weights: tuple[Weight, ...] = ()


@dataclass(frozen=True)
class Context:
    """What only random layers see of a step: whether it trains, and where its random numbers lie."""

    training: bool = False
    seed: int = 0
    step: int = 0
    index: int = 0

    def at(self, index: int) -> Context:
        """The same step as the layer number ``index`` sees it."""
        return Context(self.training, self.seed, self.step, index)

    def stream(self, purpose: int, seed: int | None = None) -> Stream:
        """The address of this step's random numbers for this layer, with a seed of its own if it has one."""
        return Stream(self.seed if seed is None else seed, purpose, self.index, self.step)


@dataclass(frozen=True, kw_only=True)
class Layer:
    """Base class of layers; derive a frozen dataclass from it to make your own.

    ``spec(input_shape)`` says which weights there are and what shape comes out, without touching arrays.
    ``forward(p, x)`` is a pure function of the named weights ``p`` and a batch ``x`` (first axis: samples),
    written with ``nnx.backend.namespace(x)``. A layer that needs randomness or behaves differently in
    training sets ``random = True`` and has ``forward(p, x, context)`` (see :class:`Context`). One in which
    a sample's output depends on the rest of the batch sets ``mixes_samples = True``.
    ``@nnx.layers.register()`` makes models with it savable.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Scale(nnx.layers.Layer):
    ...     start: float = 1.0
    ...     def spec(self, input_shape):
    ...         start = nnx.initializers.Constant(self.start)
    ...         return nnx.layers.Spec(input_shape, (nnx.layers.Weight("scale", input_shape, start),))
    ...     def forward(self, p, x):
    ...         return x * p["scale"]
    >>> model = nnx.Sequential([Scale(2.0, input_shape=(3,))])
    >>> model.predict(np.ones((1, 3), dtype="float32"))
    array([[2., 2., 2.]], dtype=float32)
    """

    kind: ClassVar[str] = "layer"
    random: ClassVar[bool] = False
    #: whether a sample's output depends on the other samples of its batch
    mixes_samples: ClassVar[bool] = False

    input_shape: Shape | None = None
    name: str | None = None
    trainable: bool = True

    def __new__(cls, *args: Any, **options: Any) -> Self:
        # A dataclass answers an unknown keyword with a bare TypeError from __init__; this runs before it.
        allowed = [f.name for f in fields(cls) if f.init]
        for option in options:
            if option not in allowed:
                near = difflib.get_close_matches(option, allowed, n=1)
                use = _ELSEWHERE.get(option) or (near[0] if near else "")
                hint = f" Use {use}." if use else ""
                raise OptionError(
                    f"{cls.__name__} has no argument '{option}'.{hint} Its arguments: {', '.join(allowed)}."
                )
        return super().__new__(cls)

    def __post_init__(self) -> None:
        if self.input_shape is not None:
            self._set("input_shape", shape_of_sample(self.input_shape, f"input_shape of {self.label}"))
        self._set("trainable", truth(self.trainable, f"trainable of {self.label}"))

    def spec(self, input_shape: Shape) -> Spec:
        """The weights and the output shape for samples of ``input_shape``."""
        return Spec(input_shape)

    def forward(self, p: Mapping[str, Any], x: Any) -> Any:
        """The layer's output for a batch ``x``."""
        raise NotImplementedError(f"{type(self).__name__} must define forward(self, p, x).")

    def per_sample(
        self, p: Mapping[str, Any], names: Sequence[str], x: Any, context: Context
    ) -> tuple[Any, Back]:
        """``(y, back)``: the output, and the way back sample by sample, for the weights called ``names``.

        ``back(g)`` of the gradient by y returns the gradient by x and a function that makes of a slice of the
        samples a dict with each one's gradient by each weight, of shape (n, *shape). This one serves every
        layer that does not mix samples; a layer with many weights has a faster one.
        """
        run = (lambda q, x: self.forward(q, x, context)) if self.random else self.forward  # type: ignore[call-arg]
        return by_directions(run, p, names, x)

    @property
    def label(self) -> str:
        """The name of the layer's class, for messages."""
        return type(self).__name__

    def _set(self, name: str, value: Any) -> None:
        """Normalises a field of the frozen dataclass; for ``__post_init__`` only."""
        object.__setattr__(self, name, value)


def shape_of_sample(shape: Any, what: str, may_have_batch: bool = False) -> Shape:
    """``shape`` as a tuple of positive integers; a leading None for the batch axis, if it may be, goes."""
    if may_have_batch and isinstance(shape, Sequence) and shape and shape[0] is None:
        shape = shape[1:]
    wanted = "a tuple of positive integers (one sample's shape: no batch axis, no None for lengths that vary)"
    return whole_numbers(shape, what, wanted, lambda n: n > 0)


def whole_numbers(
    value: Any, what: str, wanted: str, allowed: Callable[[int], bool] = lambda n: True
) -> tuple[int, ...]:
    """``value``, an integer or several, as a tuple, else :class:`nnx.errors.OptionError`."""
    parts = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
    if not all(isinstance(n, Integral) and not isinstance(n, bool) and allowed(int(n)) for n in parts):
        raise OptionError(f"{what} must be {wanted}, got {value!r}.")
    return tuple(map(int, parts))


def truth(value: Any, what: str) -> bool:
    """``value`` as True or False, else :class:`nnx.errors.OptionError`."""
    if not isinstance(value, Hashable) or value not in (True, False):
        raise OptionError(f"{what} must be True or False, got {value!r}.")
    return bool(value)


def positive(value: Any, what: str) -> int:
    """``value`` if it is a positive integer, else :class:`nnx.errors.OptionError`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < 1:
        raise OptionError(f"{what} must be a positive integer, got {value!r}.")
    return int(value)


def own_seed(value: Any, what: str) -> int | None:
    """``value`` if it is a seed or None, else :class:`nnx.errors.OptionError`."""
    return None if value is None else as_seed(what, value)


def fraction(value: Any, what: str) -> float:
    """``value`` if it lies in [0, 1), else :class:`nnx.errors.OptionError`."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0.0 <= float(value) < 1.0:
        raise OptionError(f"{what} must be a number in [0, 1), got {value!r}.")
    return float(value)


def need_features(label: str, input_shape: Shape) -> int:
    """The length of the last axis, or an error for samples that have none."""
    if not input_shape:
        raise ShapeError(
            f"{label} needs samples with at least one axis (features), got single numbers. "
            "Give x the shape (samples, features), for example with x.reshape(-1, 1)."
        )
    return input_shape[-1]
