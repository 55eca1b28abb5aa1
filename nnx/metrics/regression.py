"""Metrics of numbers, beyond the losses (each of which is a metric too)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from nnx.backend import namespace
from nnx.errors import OptionError
from nnx.losses import mean_squared_error
from nnx.losses.reduction import weights_like
from nnx.losses.regression import cosine
from nnx.losses.shapes import matched
from nnx.metrics.base import Metric, ratio, registry, sums

Array = Any


@registry.register(task="regression", direction="up", use="Whether directions agree; 1 is best.")
def cosine_similarity(y_true: Array, y_pred: Array, *, axis: int = -1) -> Array:
    """The cosine of the angle between ``y_true`` and ``y_pred`` along ``axis`` (the loss is minus that).

    >>> nnx.metrics.cosine_similarity(np.asarray([[3.0, 4.0]]), np.asarray([[6.0, 8.0]])).round(12)
    array([1.])
    """
    xp, y_true, y_pred = matched(y_true, y_pred)
    return cosine(xp, y_true, y_pred, axis)


@registry.register(
    "rmse", "RMSE", task="regression", direction="down", use="The typical error, in the target's unit."
)
@dataclass(frozen=True)
class RootMeanSquaredError(Metric):
    """√(Σ w·(y_pred − y_true)² / Σ w) over all examples and outputs.

    >>> metric = nnx.metrics.RootMeanSquaredError()
    >>> metric.result(metric.statistics(np.asarray([[0.0], [0.0]]), np.asarray([[1.0], [7.0]])))
    5.0
    """

    name: str = field(default="root_mean_squared_error", kw_only=True)

    def statistics(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> Array:
        xp, y_true, y_pred = matched(y_true, y_pred)
        values = mean_squared_error(y_true, y_pred) if y_pred.ndim > 1 else (y_pred - y_true) ** 2
        return sums(xp, values, sample_weight, y_pred.shape[0] if y_pred.ndim else 1)

    def result(self, statistics: Array) -> Any:
        return math.sqrt(ratio(float(statistics[0]), float(statistics[1])))


@registry.register(
    "r2_score", task="regression", direction="up", use="The share of the variance that is explained."
)
@dataclass(frozen=True)
class R2Score(Metric):
    """1 − Σ(y_true − y_pred)² / Σ(y_true − mean)²: 1 is perfect, 0 as good as the mean, negative is worse.

    ``class_aggregation``: "uniform_average" of the outputs, "variance_weighted_average", or None for an
    array with one number per output. A constant target counts 1 if it is met exactly, else 0 (as in
    scikit-learn). The sums are float64: their differences would lose too much otherwise.

    >>> metric = nnx.metrics.R2Score()
    >>> metric.result(metric.statistics(np.asarray([1.0, 2.0, 3.0]), np.asarray([1.0, 2.0, 2.0])))
    0.5
    """

    class_aggregation: str | None = "uniform_average"
    name: str = field(default="r2_score", kw_only=True)

    def __post_init__(self) -> None:
        if self.class_aggregation not in (None, "uniform_average", "variance_weighted_average"):
            raise OptionError(
                "R2Score: class_aggregation is None, 'uniform_average' or 'variance_weighted_average', "
                f"got {self.class_aggregation!r}."
            )

    def statistics(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> Array:
        xp, y_true, y_pred = matched(y_true, y_pred)
        y, p = (xp.astype(xp.reshape(a, (a.shape[0], -1)), xp.float64) for a in (y_true, y_pred))
        w = xp.ones_like(y)
        if sample_weight is not None:
            w = w * weights_like(xp, sample_weight, y)
        return xp.stack([xp.sum(a, axis=0) for a in (w, w * y, w * y * y, w * (y - p) ** 2)])

    def result(self, statistics: Array) -> Any:
        xp = namespace(statistics)
        weight, first, second, residual = statistics
        total = second - first * ratio(first, weight)
        # What is left of a constant's variance by rounding counts as none.
        constant = total <= 1e-14 * second
        scores = xp.where(constant, residual == 0.0, 1.0 - ratio(residual, xp.where(constant, 0.0, total)))
        if self.class_aggregation is None:
            return scores
        if self.class_aggregation == "uniform_average":
            return float(scores.mean())
        return ratio(float((scores * total).sum()), float(total.sum()))
