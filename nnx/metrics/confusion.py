"""Metrics that count which answers are confused with which."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nnx.errors import OptionError, ShapeError
from nnx.losses.reduction import weights_like
from nnx.metrics.base import AT_LEAST_ONE, THRESHOLD, Metric, indicators, is_class, ratio, registry
from nnx.registry import Check

Array = Any


_TOP_K = replace(AT_LEAST_ONE, words="a whole number ≥ 1, or None", optional=True)
_CLASS = Check("a whole number ≥ 0, or None", lambda v: v >= 0, whole=True, optional=True)
_CUT = Check("a number in (0, 1], or None", lambda v: 0.0 < v <= 1.0, optional=True)


@dataclass(frozen=True)
class _AtThresholds(Metric):
    """True positives and their like at one or several thresholds, over all outputs together."""

    thresholds: float | Sequence[float] | None = None
    top_k: int | None = None
    class_id: int | None = None

    def __post_init__(self) -> None:
        label = type(self).__name__
        if self.thresholds is not None:
            if isinstance(self.thresholds, str) or not self._limits():
                raise OptionError(
                    f"{label}: thresholds must be one number or several, got {self.thresholds!r}."
                )
            for limit in self._limits():
                THRESHOLD(label, "thresholds", limit)
        _TOP_K(label, "top_k", self.top_k)
        _CLASS(label, "class_id", self.class_id)

    def _limits(self) -> tuple[float, ...]:
        if self.thresholds is None:
            return (0.5,) if self.top_k is None else (-float("inf"),)
        return tuple(self.thresholds) if isinstance(self.thresholds, Iterable) else (self.thresholds,)

    def _chosen(self, y_true: Array, y_pred: Array) -> tuple[Any, Array, Array]:
        """Targets as 0 and 1, and outputs, of the class asked for; those not among the top k are −∞."""
        xp, y_true, y_pred = indicators(y_true, y_pred)
        if self.top_k is not None:
            least = xp.sort(y_pred, axis=-1)[..., -min(self.top_k, y_pred.shape[-1])]
            y_pred = xp.where(y_pred >= least[..., None], y_pred, -float("inf"))
        if self.class_id is not None:
            if y_pred.ndim < 2 or not 0 <= self.class_id < y_pred.shape[-1]:
                shape = tuple(y_pred.shape)
                raise ShapeError(
                    f"{self.name}: there is no class {self.class_id} in outputs of shape {shape}."
                )
            y_true, y_pred = y_true[..., self.class_id], y_pred[..., self.class_id]
        return xp, xp.astype(y_true != 0.0, y_pred.dtype), y_pred

    def _counts(
        self, y_true: Array, y_pred: Array, sample_weight: Array | None
    ) -> tuple[Any, Array, Array, Array]:
        """``(xp, true positives, called positive, positive)``, the first two for each threshold."""
        xp, positive, y_pred = self._chosen(y_true, y_pred)
        weight = 1.0 if sample_weight is None else weights_like(xp, sample_weight, y_pred)
        called = [weight * xp.astype(y_pred > t, y_pred.dtype) for t in self._limits()]
        right = xp.stack([xp.sum(c * positive) for c in called])
        return xp, right, xp.stack([xp.sum(c) for c in called]), xp.sum(weight * positive)

    def result(self, statistics: Array) -> Any:
        found = ratio(statistics[0], statistics[1])
        return float(found[0]) if len(self._limits()) == 1 else found


@registry.register(task="binary", direction="up", use="Of what was called positive, the share that is.")
@dataclass(frozen=True)
class Precision(_AtThresholds):
    """True positives / called positive: TP / (TP + FP), and 0 if nothing was called positive.

    An output above a threshold is called positive (``thresholds``: 0.5, or several, which give an array).
    ``top_k`` calls the k best of each example positive instead, and all that tie with the k-th; ``class_id``
    looks at one class only. Targets are 0 and 1 in the shape of the outputs, or class numbers.

    >>> metric = nnx.metrics.Precision()
    >>> batch = metric.statistics(np.asarray([0.0, 1.0, 1.0]), np.asarray([0.9, 0.8, 0.1]))
    >>> metric.result(batch)
    0.5
    """

    name: str = field(default="precision", kw_only=True)

    def statistics(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> Array:
        xp, right, called, _ = self._counts(y_true, y_pred, sample_weight)
        return xp.stack([right, called])


@registry.register(task="binary", direction="up", use="Of what is positive, the share that was found.")
@dataclass(frozen=True)
class Recall(_AtThresholds):
    """True positives / positive: TP / (TP + FN), and 0 if nothing is. Options: see :class:`Precision`.

    >>> metric = nnx.metrics.Recall()
    >>> batch = metric.statistics(np.asarray([1.0, 1.0, 1.0]), np.asarray([0.9, 0.8, 0.1]))
    >>> round(metric.result(batch), 4)
    0.6667
    """

    name: str = field(default="recall", kw_only=True)

    def statistics(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> Array:
        xp, right, _, positive = self._counts(y_true, y_pred, sample_weight)
        return xp.stack([right, xp.broadcast_to(positive, right.shape)])


@registry.register("f1_score", task="labels", direction="up", use="Precision and recall in one number.")
@dataclass(frozen=True)
class F1Score(Metric):
    """The harmonic mean of precision and recall, 2·TP / (2·TP + FP + FN), for each class.

    ``average`` None gives an array with one number per class; "macro" is their mean, "weighted" their mean
    by the number of examples of each class, "micro" counts all classes together. An output above
    ``threshold`` is called positive; None calls the best output of each example positive (with one output
    alone: the threshold is 0.5). Raises :class:`nnx.errors.OptionError` for other options.

    >>> metric = nnx.metrics.F1Score(average="macro")
    >>> y_pred = np.asarray([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    >>> round(metric.result(metric.statistics(np.asarray([0, 1, 1]), y_pred)), 4)
    0.6667
    """

    average: str | None = None
    threshold: float | None = None
    name: str = field(default="f1_score", kw_only=True)

    def __post_init__(self) -> None:
        if self.average not in (None, "micro", "macro", "weighted"):
            raise OptionError(
                f"F1Score: average is None, 'micro', 'macro' or 'weighted', got {self.average!r}."
            )
        _CUT("F1Score", "threshold", self.threshold)

    def statistics(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> Array:
        xp, y_true, y_pred = indicators(y_true, y_pred)
        classes = y_pred.shape[-1] if y_pred.ndim > 1 else 1
        weight = xp.ones_like(y_pred)
        if sample_weight is not None:
            weight = weight * weights_like(xp, sample_weight, y_pred)
        weight, y_true, y_pred = (xp.reshape(a, (-1, classes)) for a in (weight, y_true, y_pred))
        if self.threshold is None and classes > 1:
            called = (y_pred >= xp.max(y_pred, axis=-1, keepdims=True)) & (xp.abs(y_pred) > 1e-9)
        else:
            called = y_pred > (self.threshold or 0.5)
        called = weight * xp.astype(called, y_pred.dtype)
        return xp.stack([xp.sum(a, axis=0) for a in (called * y_true, called, weight * y_true)])

    def result(self, statistics: Array) -> Any:
        if self.average == "micro":
            statistics = statistics.sum(axis=1, keepdims=True)
        right, called, positive = statistics
        scores = ratio(2.0 * right, called + positive)
        if self.average is None:
            return scores
        if self.average == "weighted":
            return ratio(float((scores * positive).sum()), float(positive.sum()))
        return float(scores.mean())


@registry.register(task="labels", use="How often each class is taken for each other one.")
@dataclass(frozen=True)
class ConfusionMatrix(Metric):
    """The (weighted) number of examples of class i (row) that were taken for class j (column), as an array.

    With one output the classes are 0 and 1, parted at 0.5. Its trace over its sum is the accuracy.

    >>> metric = nnx.metrics.ConfusionMatrix()
    >>> y_pred = np.asarray([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    >>> metric.result(metric.statistics(np.asarray([0, 1, 1]), y_pred))
    array([[1., 0.],
           [1., 1.]])
    """

    name: str = field(default="confusion_matrix", kw_only=True)

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

    def result(self, statistics: Array) -> Any:
        return statistics
