"""What a metric is: sums over a batch, computed on the device, and what they mean at the end.

The sums of two batches are the sums of the entries: a training loop adds the statistics of its batches, and
reads them back once, when the number is to be shown. So a metric never waits for the device, and its
result does not depend on how the data were cut into batches (the mean of batch means would).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from nnx.backend import device_of, namespace
from nnx.losses.reduction import weights_like
from nnx.losses.shapes import class_numbers, matched
from nnx.registry import Check, Choice, Registry, need_known

Array = Any

#: The metrics by name: classes, and functions of ``(y_true, y_pred)`` whose weighted mean is the metric.
#: Declared with each: ``use``; ``task`` as of losses, or "labels" (one-hot rows or class numbers);
#: ``direction``, "up" where more is better, "down" where less is; ``ranks_only`` where only the order of a
#: sample's outputs counts.
registry = Registry("metric")

THRESHOLD = Check("a number between 0 and 1", lambda v: 0.0 <= v <= 1.0)
AT_LEAST_ONE = Check("a whole number ≥ 1", lambda v: v >= 1, whole=True)


@dataclass(frozen=True)
class Metric:
    """Base of all metrics. A metric of one's own derives from it, or is a function (see :class:`MeanOf`)."""

    kind: ClassVar[str] = "metric"

    #: What logs and history call it.
    name: str = field(default="", kw_only=True)

    def __new__(cls, *args: Any, **options: Any) -> Self:
        # A dataclass answers an unknown keyword with a bare TypeError from __init__; this runs before it.
        own = list(inspect.signature(cls.__init__).parameters.values())[1:]
        if not any(p.kind is p.VAR_KEYWORD for p in own):
            need_known(cls.__name__, [p.name for p in own], options)
        return super().__new__(cls)

    @property
    def direction(self) -> str | None:
        """``"up"`` where more is better, ``"down"`` where less is, None where that is not known."""
        facts: Mapping[str, Any] = next((e.facts for e in registry if e.target is type(self)), {})
        return facts.get("direction")

    @property
    def ranks_only(self) -> bool:
        """Whether only the order of a sample's outputs counts: what comes before a softmax serves as well."""
        return False

    def statistics(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> Array:
        """Sums over the batch, as an array whose shape does not depend on the batch's length."""
        raise NotImplementedError

    def result(self, statistics: Array) -> Any:
        """The metric from the sum of all batches' statistics, as a NumPy array: a float, or an array."""
        raise NotImplementedError


@registry.register(use="The mean of a function of one's own.")
@dataclass(frozen=True)
class MeanOf(Metric):
    """The weighted mean of ``function(y_true, y_pred)`` over all examples: Σ w·value / Σ w.

    The function returns one value per example (bool counts as 0 and 1), or per position in it, or one number
    for the batch, which counts as often as the batch has examples. The statistics are [Σ w·value, Σ w].

    >>> metric = nnx.metrics.get("mean_squared_error")
    >>> batch = metric.statistics(np.asarray([[0.0], [0.0]]), np.asarray([[1.0], [3.0]]))
    >>> batch, metric.result(batch)
    (array([10.,  2.]), 5.0)
    """

    function: Choice

    def __post_init__(self) -> None:
        if not isinstance(self.function, Choice):
            object.__setattr__(self, "function", registry.get(self.function))
        object.__setattr__(self, "name", self.name or self.function.name)

    @property
    def direction(self) -> str | None:
        return "down" if self.function.kind == "loss" else self.function.facts.get("direction")

    @property
    def ranks_only(self) -> bool:
        return bool(self.function.facts.get("ranks_only"))

    def statistics(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> Array:
        values = self.function(y_true, y_pred)
        xp = namespace(values, y_pred)
        if values.dtype != y_pred.dtype and not xp.isdtype(values.dtype, "real floating"):
            floating = xp.isdtype(y_pred.dtype, "real floating")
            values = xp.astype(values, y_pred.dtype if floating else xp.float32)
        return sums(xp, values, sample_weight, y_pred.shape[0] if y_pred.ndim else 1)

    def result(self, statistics: Array) -> Any:
        return ratio(float(statistics[0]), float(statistics[1]))


def sums(xp: Any, values: Array, sample_weight: Array | None, examples: int) -> Array:
    """[Σ w·value, Σ w], an array of two numbers."""
    if values.ndim == 0:  # one number for the batch
        values = xp.broadcast_to(values, (examples,))
    if sample_weight is None:
        both = xp.full((2,), float(math.prod(values.shape)), dtype=values.dtype, device=device_of(values))
        both[0] = xp.sum(values)
        return both
    weight = xp.broadcast_to(weights_like(xp, sample_weight, values), values.shape)
    return xp.concat([xp.sum(values * weight)[None], xp.sum(weight)[None]])


def ratio(part: Any, whole: Any) -> Any:
    """The quotient, and 0 where ``whole`` is 0; of floats or of NumPy arrays."""
    if isinstance(whole, float):
        return part / whole if whole else 0.0
    xp = namespace(whole)
    return xp.where(whole == 0, 0.0, part / xp.where(whole == 0, 1.0, whole))


def indicators(y_true: Array, y_pred: Array) -> tuple[Any, Array, Array]:
    """``(xp, y_true, y_pred)`` of one shape: class numbers for outputs of several classes become one-hot."""
    several = y_pred.ndim > 0 and y_pred.shape[-1] > 1
    if several and (y_true.ndim < y_pred.ndim or y_true.shape[-1] == 1):
        xp, labels = class_numbers(y_true, y_pred)
        return xp, xp.astype(is_class(xp, labels, y_pred), y_pred.dtype), y_pred
    return matched(y_true, y_pred)


def is_class(xp: Any, labels: Array, y_pred: Array) -> Array:
    """True at each label's place along a new last axis, as long as that of ``y_pred``."""
    classes = xp.arange(y_pred.shape[-1], dtype=labels.dtype, device=device_of(y_pred))
    return labels[..., None] == classes
