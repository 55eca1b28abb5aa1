"""Precision and recall in one number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnx.losses.reduction import weights_like
from nnx.metrics.base import Metric, indicators, ratio, registry
from nnx.options import number, one_of, option, text

Array = Any


@dataclass(frozen=True)
class _FScore(Metric):
    beta = 1.0

    average: str | None = one_of(None, "micro", "macro", "weighted", default=None)

    def called(self, xp: Any, y_pred: Array, threshold: float | None) -> Array:
        """Whether an output is called positive: above the threshold, or the best of its sample.

        ``threshold`` is a number; None: the best, and with one output alone above 0.5.
        """
        if threshold is None and y_pred.shape[-1] > 1:
            return (y_pred >= xp.max(y_pred, axis=-1, keepdims=True)) & (xp.abs(y_pred) > 1e-9)
        return y_pred > (0.5 if threshold is None else threshold)

    def counts(
        self, y_true: Array, y_pred: Array, sample_weight: Array | None, threshold: float | None
    ) -> Array:
        """[true positives, called positive, positive], each with one number per class.

        ``threshold``: a number or None, as in :meth:`called`. Raises :class:`nnx.errors.ShapeError` and
        :class:`nnx.errors.DtypeError` for targets and outputs that do not fit.
        """
        xp, y_true, y_pred = indicators(y_true, y_pred)
        classes = y_pred.shape[-1] if y_pred.ndim > 1 else 1
        weight = xp.ones_like(y_pred)
        if sample_weight is not None:
            weight = weight * weights_like(xp, sample_weight, y_pred)
        weight, y_true, y_pred = (xp.reshape(a, (-1, classes)) for a in (weight, y_true, y_pred))
        called = weight * xp.astype(self.called(xp, y_pred, threshold), y_pred.dtype)
        return xp.stack([xp.sum(a, axis=0) for a in (called * y_true, called, weight * y_true)])

    def value(self, sums: Array) -> Any:
        if self.average == "micro":
            sums = sums.sum(axis=1, keepdims=True)
        right, called, positive = sums
        square = self.beta**2
        scores = ratio((1.0 + square) * right, called + square * positive)
        if self.average is None:
            return scores
        if self.average == "weighted":
            return ratio(float((scores * positive).sum()), float(positive.sum()))
        return float(scores.mean())


@registry.register(
    "f_beta_score",
    task="labels",
    direction="up",
    use="Precision and recall in one number, one of them weighted more.",
)
@dataclass(frozen=True)
class FBetaScore(_FScore):
    """(1 + β²)·TP / ((1 + β²)·TP + β²·FN + FP) for each class: recall counts β times as much as precision.

    ``average`` None gives an array with one number per class; "macro" is their mean, "weighted" their mean by
    the number of samples of each class, "micro" counts all classes together. An output above ``threshold`` is
    called positive; None calls the best output of each sample positive (with one output alone: the threshold
    is 0.5).

    Shapes: (n,), (n, classes) → (classes,). Source: Keras' ``metrics.FBetaScore``.

    >>> metric = nnx.metrics.FBetaScore("macro", beta=2.0)
    >>> round(metric([0, 1, 1], [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]), 4)
    0.6944
    """

    beta: float = number(1.0, above=0.0)
    threshold: float | None = number(None, above=0.0, most=1.0, optional=True)
    name: str | None = option(text, "fbeta_score", kw_only=True)

    def statistics(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> Array:
        return self.counts(y_true, y_pred, sample_weight, self.threshold)


@registry.register("f1_score", task="labels", direction="up", use="Precision and recall in one number.")
@dataclass(frozen=True)
class F1Score(_FScore):
    """The harmonic mean of precision and recall, 2·TP / (2·TP + FP + FN), for each class.

    Options: see :class:`FBetaScore`, with β = 1.

    Shapes: (n,), (n, classes) → (classes,). Source: Keras' ``metrics.F1Score``.

    >>> metric = nnx.metrics.F1Score(average="macro")
    >>> round(metric([0, 1, 1], [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]), 4)
    0.6667
    """

    threshold: float | None = number(None, above=0.0, most=1.0, optional=True)
    name: str | None = option(text, "f1_score", kw_only=True)

    def statistics(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> Array:
        return self.counts(y_true, y_pred, sample_weight, self.threshold)
