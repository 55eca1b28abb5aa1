"""Losses as objects: called, they give one number, the weighted mean of their function's values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from nnx.backend import namespace
from nnx.errors import OptionError
from nnx.losses.base import LossTraits, registry
from nnx.losses.reduction import REDUCTIONS, divisor, reduce
from nnx.losses.shapes import as_arrays
from nnx.options import Options, one_of, option, text
from nnx.registry import Choice, Entry
from nnx.registry.classes import function_class

Array = Any


@dataclass(frozen=True)
class Loss(Options):
    """Base class of losses as objects. Yours derives from it and has ``call(y_true, y_pred)``.

    ``call`` returns one value per sample; the object, called with ``(y_true, y_pred, sample_weight=None)``,
    returns them weighted and reduced to one number, as ``reduction`` says (see :func:`reduce`). ``name`` is
    what messages call it. Lists are taken as arrays of the current backend, whole numbers in ``y_pred`` as
    floating-point ones. Raises :class:`nnx.errors.DtypeError` for what is no array of numbers.

    >>> class Cubic(nnx.losses.Loss):
    ...     def __init__(self, scale=1.0, **options):
    ...         super().__init__(**options)
    ...         self.scale = scale
    ...     def call(self, y_true, y_pred):
    ...         return self.scale * abs(y_pred - y_true) ** 3
    >>> float(Cubic(2.0, reduction="sum")(np.asarray([0.0, 0.0]), np.asarray([1.0, 2.0])))
    18.0
    """

    kind: ClassVar[str] = "loss"
    renamed: ClassVar[Mapping[str, str]] = {
        "dtype": "nothing in its place (a loss is computed in the type of y_pred)",
        "ignore_class": "sample_weight, with 0 where the class is to be left out",
    }

    name: str | None = option(text, None)
    reduction: str | None = one_of(*REDUCTIONS, default="sum_over_batch_size")

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """One value per sample, from arrays."""
        raise NotImplementedError(f"{type(self).__name__} must define call(self, y_true, y_pred).")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Array:
        y_true, y_pred, sample_weight = as_arrays(y_true, y_pred, sample_weight)
        return self.reduce(self.call(y_true, y_pred), sample_weight)

    def reduce(self, values: Array, sample_weight: Array | None = None) -> Array:
        """The values of samples as one number, weighted: what a model minimises.

        Raises :class:`nnx.errors.ShapeError` for a ``sample_weight`` that does not fit. Shapes: as
        :func:`nnx.losses.reduce`.
        """
        return reduce(values, sample_weight, self.reduction)

    @property
    def traits(self) -> LossTraits:
        """What was declared with its function; nothing, for a user's class."""
        return LossTraits()

    @property
    def options(self) -> Mapping[str, Any]:
        """The options of its function."""
        return {}

    @property
    def residual(self) -> Callable[..., Array] | None:
        """``(y_true, y_pred, sample_weight=None)`` → the r whose sum of squares is the loss; None without."""
        return self._residual if self.traits.residual is not None else None

    def _residual(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> Array:
        assert self.traits.residual is not None
        r = self.traits.residual(y_true, y_pred, sample_weight)
        if self.reduction == "sum_over_batch_size":
            return r
        # The sum of squares is a mean over the samples: more axes than one are those of positions in a
        # sample.
        shape = tuple(y_pred.shape[:-1])
        scale = math.prod(shape) / divisor(shape, sample_weight, self.reduction)
        return r * (math.sqrt(scale) if isinstance(scale, float) else namespace(scale).sqrt(scale))


@registry.register(use="A function, with how its values become one number.")
@dataclass(frozen=True)
class LossFunctionWrapper(Loss):
    """A function ``(y_true, y_pred)`` → one value per sample (or one number), as a loss object.

    Raises :class:`nnx.errors.OptionError` where ``fn`` cannot be called.
    Shapes: (n, ...), (n, ...) → (). Source: Keras' class of this name, which it does not export.

    >>> loss = nnx.losses.LossFunctionWrapper(lambda y_true, y_pred: abs(y_pred - y_true))
    >>> float(loss(np.asarray([0.0, 0.0]), np.asarray([1.0, 2.0])))
    1.5
    """

    function: Choice[LossTraits] = field(kw_only=True)

    def __init__(
        self,
        fn: Any,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        **options: Any,
    ) -> None:
        function = fn if isinstance(fn, Choice) else registry.get(fn)
        if isinstance(function, LossFunctionWrapper):
            function = function.function
        if not isinstance(function, Choice):
            raise OptionError(f"LossFunctionWrapper: fn must be a function (y_true, y_pred), got {fn!r}.")
        if options:
            function = replace(function, options={**function.options, **options})
        object.__setattr__(self, "function", function)
        super().__init__(name or function.name, reduction)

    def call(self, y_true: Array, y_pred: Array, **options: Any) -> Array:
        """One value per sample; ``options`` go to the function."""
        return self.function(y_true, y_pred, **options)

    @property
    def traits(self) -> LossTraits:
        traits: LossTraits = self.function.traits
        return traits

    @property
    def options(self) -> Mapping[str, Any]:
        options: Mapping[str, Any] = self.function.options
        return options


def _class_of(entry: Entry[LossTraits]) -> type:
    return function_class(entry, LossFunctionWrapper, "nnx.losses", ("reduction", "name"))


registry.class_of = _class_of


def as_loss(spec: Any) -> Any:
    """The loss object that a name, a function, a class, an object or a configuration stands for.

    >>> nnx.losses.as_loss("mse")
    MeanSquaredError(reduction='sum_over_batch_size', name='mean_squared_error')
    """
    found = registry.get(spec)
    if not isinstance(found, Choice):
        return found
    entry = registry.find(found.function)
    if entry is None:
        return LossFunctionWrapper(found)
    return registry.class_for(entry)(**found.options)
