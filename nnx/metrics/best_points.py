"""The best of one rate over the thresholds at which another rate reaches a bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnx.backend import namespace
from nnx.metrics.base import Metric, indicators, ratio, registry
from nnx.metrics.confusion import of_class
from nnx.metrics.curves import above_each, buckets
from nnx.options import number

Array = Any


class _BestPoint(Metric):
    # The fields are those of the classes below, so that the bound is the first argument, as in Keras.
    num_thresholds: int
    class_id: int | None

    def statistics(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> Array:
        xp, y_true, y_pred = indicators(y_true, y_pred)
        y_true, y_pred = of_class(self.class_id, str(self.name), y_true, y_pred)
        if self.num_thresholds > 1:
            return buckets(xp, y_true, y_pred, sample_weight, self.num_thresholds)
        # One threshold is 0.5: two buckets, below and above it.
        return buckets(xp, y_true, xp.astype(y_pred > 0.5, y_pred.dtype), sample_weight, 3)[:2, :]

    def value(self, sums: Array) -> Any:
        xp = namespace(sums)
        total = xp.sum(sums, axis=0)
        tp, fp = (a[-self.num_thresholds :] for a in above_each(xp, sums))
        bounded, least, wanted = self.rates(tp, fp, total[0] - tp, total[1] - fp)
        return float(xp.max(xp.where(bounded >= least, wanted, 0.0)))

    def rates(self, tp: Array, fp: Array, fn: Array, tn: Array) -> tuple[Array, float, Array]:
        """``(rate that is bounded, its bound, rate that is wanted)`` at each threshold."""
        raise NotImplementedError


def _bound() -> Any:
    return number(least=0.0, most=1.0)


def _count() -> Any:
    return number(200, least=1, whole=True)


def _class() -> Any:
    return number(None, least=0, whole=True, optional=True)


@registry.register(task="binary", direction="up", use="Positives found, few false alarms allowed.")
@dataclass(frozen=True)
class SensitivityAtSpecificity(_BestPoint):
    """The best sensitivity at a threshold where the specificity is at least ``specificity``; 0 without any.

    Sensitivity is TP / (TP + FN), specificity TN / (TN + FP). The thresholds are ``num_thresholds`` evenly
    spaced ones from 0 to 1 (one alone: 0.5); ``class_id`` counts one class only.

    Shapes: (...), (...) → (). Source: Keras' ``metrics.SensitivityAtSpecificity``.

    >>> round(nnx.metrics.SensitivityAtSpecificity(0.5)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8]), 4)
    0.5
    """

    specificity: float = _bound()
    num_thresholds: int = _count()
    class_id: int | None = _class()

    def rates(self, tp: Array, fp: Array, fn: Array, tn: Array) -> tuple[Array, float, Array]:
        return ratio(tn, tn + fp), self.specificity, ratio(tp, tp + fn)


@registry.register(task="binary", direction="up", use="Negatives left alone, most positives found.")
@dataclass(frozen=True)
class SpecificityAtSensitivity(_BestPoint):
    """The best specificity at a threshold where the sensitivity is at least ``sensitivity``; 0 without any.

    Specificity is TN / (TN + FP), sensitivity TP / (TP + FN). Options: see
    :class:`SensitivityAtSpecificity`.

    Shapes: (...), (...) → (). Source: Keras' ``metrics.SpecificityAtSensitivity``.

    >>> round(nnx.metrics.SpecificityAtSensitivity(0.5)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8]), 4)
    0.6667
    """

    sensitivity: float = _bound()
    num_thresholds: int = _count()
    class_id: int | None = _class()

    def rates(self, tp: Array, fp: Array, fn: Array, tn: Array) -> tuple[Array, float, Array]:
        return ratio(tp, tp + fn), self.sensitivity, ratio(tn, tn + fp)


@registry.register(task="binary", direction="up", use="Precision where most positives must be found.")
@dataclass(frozen=True)
class PrecisionAtRecall(_BestPoint):
    """The best precision at a threshold where the recall is at least ``recall``; 0 without any.

    Precision is TP / (TP + FP), recall TP / (TP + FN). Options: see
    :class:`SensitivityAtSpecificity`.

    Shapes: (...), (...) → (). Source: Keras' ``metrics.PrecisionAtRecall``.

    >>> round(nnx.metrics.PrecisionAtRecall(0.5)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8]), 4)
    0.5
    """

    recall: float = _bound()
    num_thresholds: int = _count()
    class_id: int | None = _class()

    def rates(self, tp: Array, fp: Array, fn: Array, tn: Array) -> tuple[Array, float, Array]:
        return ratio(tp, tp + fn), self.recall, ratio(tp, tp + fp)


@registry.register(task="binary", direction="up", use="Positives found where few may be wrong.")
@dataclass(frozen=True)
class RecallAtPrecision(_BestPoint):
    """The best recall at a threshold where the precision is at least ``precision``; 0 without any.

    Recall is TP / (TP + FN), precision TP / (TP + FP). Options: see
    :class:`SensitivityAtSpecificity`.

    Shapes: (...), (...) → (). Source: Keras' ``metrics.RecallAtPrecision``.

    >>> round(nnx.metrics.RecallAtPrecision(0.5)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8]), 4)
    1.0
    """

    precision: float = _bound()
    num_thresholds: int = _count()
    class_id: int | None = _class()

    def rates(self, tp: Array, fp: Array, fn: Array, tn: Array) -> tuple[Array, float, Array]:
        return ratio(tp, tp + fp), self.precision, ratio(tp, tp + fn)
