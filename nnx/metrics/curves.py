"""The area under the ROC or the precision–recall curve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnx.activations import sigmoid
from nnx.backend import adapter_of, namespace
from nnx.losses.reduction import weights_like
from nnx.metrics.base import Metric, indicators, ratio, registry
from nnx.options import flag, number, one_of

Array = Any


def buckets(xp: Any, y_true: Array, y_pred: Array, sample_weight: Array | None, num_thresholds: int) -> Array:
    """How many positives and negatives have an output between two neighbouring thresholds, shape (n, 2).

    In bucket b lies what is above the thresholds 0 … b of those evenly spaced from 0 to 1: Keras' rule. An
    output NaN makes its counts NaN.
    """
    weight = xp.ones_like(y_pred)
    if sample_weight is not None:
        weight = weight * weights_like(xp, sample_weight, y_pred)
    p = xp.minimum(xp.maximum(y_pred, 0.0), 1.0)
    bucket = xp.maximum(xp.ceil(p * float(num_thresholds - 1)) - 1.0, 0.0)
    bucket = xp.astype(xp.where(xp.isnan(bucket), 0.0, bucket), xp.int64)
    weight = weight + 0.0 * p
    positive = xp.astype(y_true != 0.0, y_pred.dtype)
    values = xp.stack([xp.reshape(a, (-1,)) for a in (weight * positive, weight * (1.0 - positive))], axis=-1)
    return adapter_of(y_pred).scatter_add(num_thresholds, xp.reshape(bucket, (-1,)), values)


def above_each(xp: Any, buckets: Array) -> tuple[Array, Array]:
    """The true and false positives at each threshold."""
    above = xp.flip(xp.cumulative_sum(xp.flip(buckets, axis=0), axis=0), axis=0)
    tp, fp = xp.unstack(above, axis=1)
    return tp, fp


@registry.register(task="binary", direction="up", use="How well positives are ranked above negatives.")
@dataclass(frozen=True)
class AUC(Metric):
    """The area under the curve of true against false positives (ROC), or of precision against recall (PR).

    The curve is known at ``num_thresholds`` thresholds, evenly spaced from 0 to 1 as in Keras: the statistics
    are how many positives and negatives have an output between two neighbours. ``summation_method``
    "interpolation" is the trapezoidal rule (for PR, Davis and Goadrich's interpolation of the precision);
    "minoring" and "majoring" are the lower and upper sums. Outputs are probabilities (cut off at 0 and 1),
    or logits with ``from_logits``. An output NaN makes the result NaN.
    Shapes: (...), (...) → ().
    Source: J. Davis, M. Goadrich, "The relationship between precision-recall and ROC curves", ICML 2006.

    >>> round(nnx.metrics.AUC()([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 6)
    0.75
    """

    num_thresholds: int = number(200, least=2, whole=True)
    curve: str = one_of("ROC", "PR", default="ROC")
    summation_method: str = one_of("interpolation", "minoring", "majoring", default="interpolation")
    from_logits: bool = flag(False)

    def statistics(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> Array:
        xp, y_true, y_pred = indicators(y_true, y_pred)
        y_pred = sigmoid(y_pred) if self.from_logits else y_pred
        return buckets(xp, y_true, y_pred, sample_weight, self.num_thresholds)

    def value(self, sums: Array) -> Any:
        xp = namespace(sums)
        total = xp.sum(sums, axis=0)
        tp, fp = above_each(xp, sums)
        recall = ratio(tp, total[0] + 0.0 * tp)
        if self.curve == "ROC":
            return self._area(xp, ratio(fp, total[1] + 0.0 * fp), recall)
        if self.summation_method == "interpolation":
            return _interpolated_pr(xp, tp, fp, total[0])
        return self._area(xp, recall, ratio(tp, tp + fp))

    def _area(self, xp: Any, x: Array, y: Array) -> float:
        left, right = y[:-1], y[1:]
        if self.summation_method == "interpolation":
            height = (left + right) / 2.0
        else:
            height = (xp.minimum if self.summation_method == "minoring" else xp.maximum)(left, right)
        return float(xp.sum((x[:-1] - x[1:]) * height))


def _interpolated_pr(xp: Any, tp: Array, fp: Array, positives: Any) -> float:
    called = tp + fp
    slope = ratio(tp[:-1] - tp[1:], called[:-1] - called[1:])
    intercept = tp[1:] - slope * called[1:]
    both = (called[:-1] > 0) & (called[1:] > 0)
    logs = xp.log(xp.where(both, called[:-1], 1.0) / xp.where(both, called[1:], 1.0))
    area = slope * (tp[:-1] - tp[1:] + intercept * logs)
    return ratio(float(xp.sum(area)), float(positives))
