"""Means and sums: of what a function of targets and outputs gives, and of values that are there already."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any

from nnx.backend import adapter_of, asarray, device_of, namespace, summed
from nnx.errors import DtypeError, OptionError
from nnx.losses.reduction import weights_like
from nnx.losses.shapes import array_like
from nnx.metrics.base import Metric, MetricTraits, ratio, registry, wide
from nnx.options import option, text
from nnx.registry import Choice, Entry
from nnx.registry.classes import function_class

Array = Any


@registry.register(use="The mean of your own function.")
@dataclass(frozen=True)
class MeanMetricWrapper(Metric):
    """The weighted mean of ``fn(y_true, y_pred, **options)`` over all samples: Σ w·value / Σ w.

    The function returns one value per sample (bool counts as 0 and 1), or per position in it, or one number
    for the batch, which counts as often as the batch has samples: an array, or a number of Python's or
    NumPy's, as all of scikit-learn's metrics do. It is given arrays of the model's library, where they lie:
    on a GPU, a function that needs NumPy's calls ``nnx.to_numpy`` on them (which waits for the device). What
    it returns may belong to another library. The statistics are [Σ w·value, Σ w].

    Raises :class:`nnx.errors.OptionError` where ``fn`` cannot be called, and in use
    :class:`nnx.errors.DtypeError` where it returns no real numbers.
    Shapes: (n, ...), (n, ...) → (). Source: Keras' ``metrics.MeanMetricWrapper``.

    >>> def within(y_true, y_pred, tolerance=0.5):
    ...     return abs(y_true - y_pred) < tolerance
    >>> metric = nnx.metrics.MeanMetricWrapper(within, tolerance=1.5)
    >>> metric.name, metric(np.asarray([0.0, 0.0]), np.asarray([1.0, 2.0]))
    ('within', 0.5)
    """

    function: Choice[Any] = field(kw_only=True)

    def __init__(self, fn: Any, name: str | None = None, **options: Any) -> None:
        function = fn if isinstance(fn, Choice) else registry.get(fn)
        if isinstance(function, MeanMetricWrapper):
            function = function.function
        if not isinstance(function, Choice):
            raise OptionError(f"MeanMetricWrapper: fn must be a function (y_true, y_pred), got {fn!r}.")
        if options:
            function = replace(function, options={**function.options, **options})
        object.__setattr__(self, "function", function)
        object.__setattr__(self, "name", name or function.name)
        super().__post_init__()

    @property
    def traits(self) -> MetricTraits:
        known = self.function.traits
        if isinstance(known, MetricTraits):
            return known
        return MetricTraits(task=known.task, direction="down")  # a loss

    def statistics(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> Array:
        try:
            values = self.function(y_true, y_pred)
        except Exception as error:
            if (library := adapter_of(y_pred).name) != "numpy":
                error.add_note(
                    f"  in the metric '{self.name}', which got arrays of {library} on {device_of(y_pred)}; a "
                    "function that needs NumPy's calls nnx.to_numpy on them."
                )
            raise
        values = _as_values(self.name, values, y_pred)
        return sums(namespace(values), values, sample_weight, y_pred.shape[0] if y_pred.ndim else 1)

    def value(self, sums: Array) -> Any:
        return ratio(float(sums[0]), float(sums[1]))


def _as_values(name: str | None, values: Any, y_pred: Array) -> Array:
    """What a metric's function returned, as a floating-point array of the library of ``y_pred``."""
    xp, adapter = namespace(y_pred), adapter_of(y_pred)
    if type(values) is type(y_pred) and adapter.is_floating(values.dtype):
        return values
    floating = y_pred.dtype if adapter.is_floating(y_pred.dtype) else xp.float32
    if isinstance(values, Real):
        return xp.full((), float(values), dtype=floating, device=device_of(y_pred))
    if isinstance(values, list | tuple):
        values = asarray(values)
    if not hasattr(values, "dtype") or namespace(values).isdtype(values.dtype, "complex floating"):
        raise DtypeError(
            f"The metric '{name}' must return real numbers: one, or an array with one for each sample, got "
            f"{values!r}."
        )
    if adapter_of(values) is not adapter:
        values = array_like(y_pred, values)
    return values if adapter.is_floating(values.dtype) else xp.astype(values, floating)


def sums(xp: Any, values: Array, sample_weight: Array | None, samples: int) -> Array:
    """[Σ w·value, Σ w], an array of two numbers, float32 at least."""
    values = wide(values)
    if values.ndim == 0:  # one number for the batch
        values = xp.broadcast_to(values, (samples,))
    if sample_weight is None:
        both = xp.full((2,), float(math.prod(values.shape)), dtype=values.dtype, device=device_of(values))
        both[0] = summed(values)
        return both
    weight = xp.broadcast_to(weights_like(xp, sample_weight, values), values.shape)
    return xp.concat([summed(values * weight)[None], summed(weight)[None]])


def _class_of(entry: Entry[MetricTraits]) -> type:
    return function_class(entry, MeanMetricWrapper, "nnx.metrics", ("name",))


registry.class_of = _class_of


# -- of values ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OfValues(Metric):
    """Base class of metrics of given values (losses, times); a model takes no such metric.

    Shapes: (...) → ().

    >>> metric = nnx.metrics.Mean()
    >>> metric([1.0, 3.0])
    2.0
    >>> metric.reset_state()
    >>> isinstance(metric, nnx.metrics.OfValues), metric.result()
    (True, 0.0)
    """

    def statistics(self, values: Array, sample_weight: Array | None = None) -> Array:  # type: ignore[override]
        """[Σ w·value, Σ w] of the values."""
        return sums(namespace(values), values, sample_weight, 1)

    def update_state(self, values: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Adds values, a number or an array, to what has been seen."""
        xp, floating = namespace(values := asarray(values)), adapter_of(values).is_floating(values.dtype)
        values = values if floating else xp.astype(values, xp.float64)
        weight = None if sample_weight is None else array_like(values, asarray(sample_weight))
        self._add(self.statistics(values, weight))


@registry.register(task="values", use="The mean of losses, or of anything else, over batches.")
@dataclass(frozen=True)
class Mean(OfValues):
    """Σ w·value / Σ w of the values that it is given.

    Shapes: (...) → (). Source: Keras' ``metrics.Mean``.

    >>> metric = nnx.metrics.Mean("loss")
    >>> metric.update_state([1.0, 3.0, 5.0, 7.0], sample_weight=[1.0, 1.0, 0.0, 0.0])
    >>> metric.result()
    2.0
    """

    name: str | None = option(text, "mean")

    def value(self, sums: Array) -> Any:
        return ratio(float(sums[0]), float(sums[1]))


@registry.register(task="values", use="A count, or any other total, over batches.")
@dataclass(frozen=True)
class Sum(OfValues):
    """Σ w·value of the values that it is given.

    Shapes: (...) → (). Source: Keras' ``metrics.Sum``.

    >>> metric = nnx.metrics.Sum()
    >>> metric([1.0, 3.0, 5.0, 7.0])
    16.0
    """

    name: str | None = option(text, "sum")

    def value(self, sums: Array) -> Any:
        return float(sums[0])
