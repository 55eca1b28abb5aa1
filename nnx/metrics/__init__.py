"""Room 2: metrics, as sums that add up over batches.

``nnx.metrics.get("accuracy")``, ``get("mse")`` (any loss) and ``get(my_function)`` give an object with the
pure functions ``statistics(y_true, y_pred, sample_weight=None)``, computed on the device without waiting for
it, and ``value(sums)``: what a model uses. On its own a metric has Keras' ``update_state``, ``result`` and
``reset_state``. ``nnx.metrics.F1Score(average="macro")`` and ``nnx.metrics.BinaryAccuracy(threshold=0.7)``
are such objects with options.

In ``Shapes:`` lines ``...`` stands for any number of axes and a name for a length, as in
``(..., n), (..., n) → (...)``: two arrays are given, one comes back, without the last axis.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnx import losses
from nnx.errors import UnknownName
from nnx.metrics.accuracies import (
    accuracy,
    binary_accuracy,
    categorical_accuracy,
    crossentropy,
    equality,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from nnx.metrics.base import Metric, registry
from nnx.metrics.best_points import (
    PrecisionAtRecall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
)
from nnx.metrics.confusion import (
    ConfusionMatrix,
    FalseNegatives,
    FalsePositives,
    Precision,
    Recall,
    TrueNegatives,
    TruePositives,
)
from nnx.metrics.correlations import concordance_correlation, pearson_correlation
from nnx.metrics.curves import AUC
from nnx.metrics.f_scores import F1Score, FBetaScore
from nnx.metrics.means import Mean, MeanMetricWrapper, OfValues, Sum
from nnx.metrics.overlaps import BinaryIoU, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU
from nnx.metrics.regression import R2Score, RootMeanSquaredError, cosine_similarity
from nnx.registry import Choice, Entry

__all__ = [
    "AUC",
    "BinaryIoU",
    "ConfusionMatrix",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "IoU",
    "Mean",
    "MeanIoU",
    "MeanMetricWrapper",
    "Metric",
    "OfValues",
    "OneHotIoU",
    "OneHotMeanIoU",
    "Precision",
    "PrecisionAtRecall",
    "R2Score",
    "Recall",
    "RecallAtPrecision",
    "RootMeanSquaredError",
    "SensitivityAtSpecificity",
    "SpecificityAtSensitivity",
    "Sum",
    "TrueNegatives",
    "TruePositives",
    "accuracy",
    "binary_accuracy",
    "categorical_accuracy",
    "concordance_correlation",
    "cosine_similarity",
    "crossentropy",
    "equality",
    "get",
    "pearson_correlation",
    "registry",
    "sparse_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "top_k_categorical_accuracy",
]


def _adopt(entry: Entry[Any]) -> None:
    """Makes a loss, which is a function, a metric too: less is better."""
    # Keras has other names for the metric: that of its class, and those made of it.
    keras = {"log_cosh": ("LogCoshError", "logcosh", "log_cosh_error")}
    class_name, label, *more = keras.get(entry.name, (entry.class_name, ""))
    registry.register(
        *entry.aliases,
        *more,
        class_name=class_name,
        checks=entry.checks,
        formula=entry.traits.formula,
        use=entry.traits.use,
        source=entry.traits.source,
        task=entry.traits.task,
        direction="down",
        label=label,
    )(entry.target)


for _entry in losses.registry:
    if not isinstance(_entry.target, type) and _entry.name not in registry:
        _adopt(_entry)


def get(spec: Any) -> Any:
    """The metric that a name, a class, a function, a loss or a configuration stands for; None stays None.

    A name is also what the metric is called in logs (``"acc"`` stays ``"acc"``), as in Keras. A function
    ``(y_true, y_pred)`` → values becomes its mean, as does a loss. Raises :class:`nnx.errors.UnknownName`.

    >>> nnx.metrics.get("mse").name, nnx.metrics.get("auc").name
    ('mse', 'auc')
    """
    name = spec if isinstance(spec, str) else None
    if isinstance(spec, Mapping):
        spec = registry.get(spec)
    elif losses.registry.find(spec) is not None or (
        name and name not in registry and name in losses.registry
    ):
        spec = losses.get(spec)
    if isinstance(spec, losses.Loss):
        name, spec = spec.name, _function_of(spec)
    try:
        found = registry.get(spec)
    except UnknownName as error:
        raise UnknownName(f"{error} (Losses are metrics too.)") from None
    if isinstance(found, Choice):
        entry = registry.find(found.function)
        if entry is None:
            return MeanMetricWrapper(found, name)
        return registry.class_for(entry)(name=name, **found.options)
    return type(found)(name=name) if name is not None and isinstance(found, Metric) else found


def _function_of(loss: losses.Loss) -> Choice[Any]:
    """The function whose mean over samples the loss is; else the loss itself, one number for the batch."""
    if isinstance(loss, losses.LossFunctionWrapper) and loss.reduction in ("sum_over_batch_size", "mean"):
        return loss.function
    return Choice("loss", str(loss.name), loss, traits=loss.traits)


def __getattr__(name: str) -> Any:
    """What is registered under ``name``; losses that were registered later too."""
    try:
        return registry.attribute(name)
    except AttributeError:
        entry = next((e for e in losses.registry if name in (e.name, *e.aliases)), None)
        if entry is None:
            raise
        return entry.target


def __dir__() -> list[str]:
    return sorted({*__all__, *registry.attributes()})
