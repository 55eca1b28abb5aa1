"""Metrics that count which answers are confused with which."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from nnx.errors import OptionError, ShapeError
from nnx.losses.reduction import weights_like
from nnx.metrics.base import THRESHOLD, Metric, indicators, is_class, ratio, registry
from nnx.options import Number, number, option

Array = Any


def _limits(where: str, name: str, value: Any) -> Any:
    """The check that an option is None, a number from 0 to 1, or several of them."""
    if value is None or not isinstance(value, Iterable):
        return Number(least=0.0, most=1.0, optional=True)(where, name, value)
    if isinstance(value, str) or not list(value):
        raise OptionError(f"{where}: {name} must be one number or several, got {value!r}.")
    return tuple(THRESHOLD(where, name, limit) for limit in value)


@dataclass(frozen=True)
class _AtThresholds(Metric):
    """Counts at one or several thresholds, over all outputs together."""

    thresholds: float | Sequence[float] | None = option(_limits, None)

    @property
    def limits(self) -> tuple[float, ...]:
        """The thresholds, one or more."""
        given = 0.5 if self.thresholds is None else self.thresholds
        return tuple(given) if isinstance(given, Iterable) else (given,)

    def chosen(self, y_true: Array, y_pred: Array) -> tuple[Any, Array, Array]:
        """``(xp, y_true, y_pred)``, the entries that count: here all.

        Raises :class:`nnx.errors.ShapeError` and :class:`nnx.errors.DtypeError` for targets and outputs that
        do not fit.
        """
        return indicators(y_true, y_pred)

    def counts(
        self, y_true: Array, y_pred: Array, sample_weight: Array | None
    ) -> tuple[Any, Array, Array, Array, Array]:
        """``(xp, true positives, called positive, positive, all)``, one of each for every threshold.

        Raises :class:`nnx.errors.ShapeError` and :class:`nnx.errors.DtypeError` for targets and outputs that
        do not fit.
        """
        xp, y_true, y_pred = self.chosen(y_true, y_pred)
        positive = xp.astype(y_true != 0.0, y_pred.dtype)
        weight = xp.ones_like(y_pred)
        if sample_weight is not None:
            weight = weight * weights_like(xp, sample_weight, y_pred)
        called = [weight * xp.astype(y_pred > t, y_pred.dtype) for t in self.limits]
        right = xp.stack([xp.sum(c * positive) for c in called])
        of_each = (xp.broadcast_to(xp.sum(a), right.shape) for a in (weight * positive, weight))
        return xp, right, xp.stack([xp.sum(c) for c in called]), *of_each

    def scores(self, found: Array) -> Any:
        """A number, or with several thresholds an array."""
        return float(found[0]) if len(self.limits) == 1 else found

    def value(self, sums: Array) -> Any:
        return self.scores(ratio(sums[0], sums[1]))


@dataclass(frozen=True)
class _Count(_AtThresholds):
    def value(self, sums: Array) -> Any:
        return self.scores(sums)


@registry.register(task="binary", direction="up", use="How many positives were found.")
@dataclass(frozen=True)
class TruePositives(_Count):
    """The (weighted) number of positives with an output above the threshold.

    ``thresholds`` is 0.5, or another number, or several, which give an array. Targets are 0 and 1.

    Shapes: (...), (...) → (). Source: Keras' ``metrics.TruePositives``.

    >>> nnx.metrics.TruePositives()([0, 1, 1, 1], [1, 0, 1, 1])
    2.0
    """

    def statistics(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> Array:
        return self.counts(y_true, y_pred, sample_weight)[1]


@registry.register(task="binary", direction="down", use="How many negatives were taken for positives.")
@dataclass(frozen=True)
class FalsePositives(_Count):
    """The (weighted) number of negatives with an output above the threshold; see :class:`TruePositives`.

    Shapes: (...), (...) → (). Source: Keras' ``metrics.FalsePositives``.

    >>> nnx.metrics.FalsePositives()([0, 1, 0, 0], [0, 0, 1, 1])
    2.0
    """

    def statistics(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> Array:
        _, right, called, _, _ = self.counts(y_true, y_pred, sample_weight)
        return called - right


@registry.register(task="binary", direction="up", use="How many negatives were taken for negatives.")
@dataclass(frozen=True)
class TrueNegatives(_Count):
    """The (weighted) number of negatives with an output up to the threshold; see :class:`TruePositives`.

    Shapes: (...), (...) → (). Source: Keras' ``metrics.TrueNegatives``.

    >>> nnx.metrics.TrueNegatives()([0, 1, 0, 0], [1, 1, 0, 0])
    2.0
    """

    def statistics(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> Array:
        _, right, called, positive, total = self.counts(y_true, y_pred, sample_weight)
        return (total - positive) - (called - right)


@registry.register(task="binary", direction="down", use="How many positives were missed.")
@dataclass(frozen=True)
class FalseNegatives(_Count):
    """The (weighted) number of positives with an output up to the threshold; see :class:`TruePositives`.

    Shapes: (...), (...) → (). Source: Keras' ``metrics.FalseNegatives``.

    >>> nnx.metrics.FalseNegatives()([0, 1, 1, 1], [0, 1, 0, 0])
    2.0
    """

    def statistics(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> Array:
        _, right, _, positive, _ = self.counts(y_true, y_pred, sample_weight)
        return positive - right


@dataclass(frozen=True)
class _OfSome(_AtThresholds):
    """Counts among the top k outputs of each sample, or of one class."""

    top_k: int | None = number(None, least=1, whole=True, optional=True)
    class_id: int | None = number(None, least=0, whole=True, optional=True)

    @property
    def limits(self) -> tuple[float, ...]:
        return (-float("inf"),) if self.thresholds is None and self.top_k is not None else super().limits

    def chosen(self, y_true: Array, y_pred: Array) -> tuple[Any, Array, Array]:
        xp, y_true, y_pred = indicators(y_true, y_pred)
        if self.top_k is not None:
            least = xp.sort(y_pred, axis=-1)[..., -min(self.top_k, y_pred.shape[-1])]
            y_pred = xp.where(y_pred >= least[..., None], y_pred, -float("inf"))
        return xp, *of_class(self.class_id, str(self.name), y_true, y_pred)


def of_class(class_id: int | None, name: str, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
    """Targets and outputs of one class; None: of all."""
    if class_id is None:
        return y_true, y_pred
    if y_pred.ndim < 2 or not 0 <= class_id < y_pred.shape[-1]:
        raise ShapeError(f"{name}: there is no class {class_id} in outputs of shape {tuple(y_pred.shape)}.")
    return y_true[..., class_id], y_pred[..., class_id]


@registry.register(task="binary", direction="up", use="The share that is true of what was called positive.")
@dataclass(frozen=True)
class Precision(_OfSome):
    """True positives / called positive: TP / (TP + FP), and 0 if nothing was called positive.

    An output above a threshold is called positive (``thresholds``: 0.5, or several, which give an array).
    ``top_k`` calls the k best of each sample positive instead, and all that tie with the k-th; ``class_id``
    counts one class only. Targets are 0 and 1 in the shape of the outputs, or class numbers.

    Shapes: (...), (...) → (). Source: Keras' ``metrics.Precision``.

    >>> nnx.metrics.Precision()([0, 1, 1], [0.9, 0.8, 0.1])
    0.5
    """

    def statistics(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> Array:
        xp, right, called, _, _ = self.counts(y_true, y_pred, sample_weight)
        return xp.stack([right, called])


@registry.register(task="binary", direction="up", use="The share of the positives that was found.")
@dataclass(frozen=True)
class Recall(_OfSome):
    """True positives / positive: TP / (TP + FN), and 0 if nothing is. Options: see :class:`Precision`.

    Shapes: (...), (...) → (). Source: Keras' ``metrics.Recall``.

    >>> round(nnx.metrics.Recall()([1, 1, 1], [0.9, 0.8, 0.1]), 4)
    0.6667
    """

    def statistics(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> Array:
        xp, right, _, positive, _ = self.counts(y_true, y_pred, sample_weight)
        return xp.stack([right, positive])


@registry.register(task="labels", use="How often each class is taken for each other one.")
@dataclass(frozen=True)
class ConfusionMatrix(Metric):
    """The (weighted) number of samples of class i (row) that were taken for class j (column), as an array.

    With one output the classes are 0 and 1, parted at 0.5. Its trace over its sum is the accuracy.

    Shapes: (n,), (n, classes) → (classes, classes).
    Source: scikit-learn's ``confusion_matrix``.

    >>> nnx.metrics.ConfusionMatrix()([0, 1, 1], [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    array([[1., 0.],
           [1., 1.]], dtype=float32)
    """

    def statistics(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> Array:
        xp, y_true, y_pred = indicators(y_true, y_pred)
        if y_pred.ndim < 2 or y_pred.shape[-1] == 1:
            y_true, y_pred = (xp.reshape(a, (-1,)) for a in (y_true, y_pred))
            y_true, called = y_true > 0.5, y_pred > 0.5
            actual, found = (xp.stack([~a, a], axis=-1) for a in (y_true, called))
        else:
            actual, found = (
                is_class(xp, xp.reshape(xp.argmax(a, axis=-1), (-1,)), y_pred) for a in (y_true, y_pred)
            )
        actual, found = (xp.astype(a, y_pred.dtype) for a in (actual, found))
        if sample_weight is not None:
            actual = actual * xp.reshape(weights_like(xp, sample_weight, actual[:, 0]), (-1, 1))
        return xp.matmul(xp.matrix_transpose(actual), found)

    def value(self, sums: Array) -> Any:
        return sums
