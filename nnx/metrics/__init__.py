"""Room 2: metrics, as sums that add up over batches.

``nnx.metrics.get("accuracy")``, ``get("mse")`` (any loss) and ``get(my_function)`` give an object with
``statistics(y_true, y_pred, sample_weight=None)``, computed on the device without waiting for it, and
``result(statistics)``. ``nnx.metrics.F1Score(average="macro")`` and
``nnx.metrics.BinaryAccuracy(threshold=0.7)`` are such objects with options.
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
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from nnx.metrics.base import MeanOf, Metric, registry
from nnx.metrics.confusion import ConfusionMatrix, F1Score, Precision, Recall
from nnx.metrics.curves import AUC
from nnx.metrics.regression import R2Score, RootMeanSquaredError, cosine_similarity
from nnx.registry import Choice

__all__ = [
    "AUC",
    "ConfusionMatrix",
    "F1Score",
    "MeanOf",
    "Metric",
    "Precision",
    "R2Score",
    "Recall",
    "RootMeanSquaredError",
    "accuracy",
    "binary_accuracy",
    "categorical_accuracy",
    "cosine_similarity",
    "crossentropy",
    "get",
    "registry",
    "sparse_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "top_k_categorical_accuracy",
]


def get(spec: Any) -> Any:
    """The metric that a name, a class, a function, a loss or a configuration stands for; None stays None.

    A name is also what the metric is called in logs (``"acc"`` stays ``"acc"``), as in Keras. A function
    ``(y_true, y_pred)`` → values becomes its mean. Raises :class:`nnx.errors.UnknownName`.

    >>> nnx.metrics.get("mse").name, nnx.metrics.get("auc").name
    ('mse', 'auc')
    """
    if isinstance(spec, str):
        return _called(_by_name(spec), spec)
    if isinstance(spec, Mapping):
        spec = registry.get(spec)
    elif losses.registry.find(spec, getattr(spec, "__name__", "")):
        spec = losses.get(spec)
    found = registry.get(spec)
    return MeanOf(found) if isinstance(found, Choice) else found


def _by_name(name: str) -> Any:
    if name not in registry and name in losses.registry:
        return losses.get(name)
    try:
        return registry.get(name)
    except UnknownName as error:
        others = ", ".join(sorted(entry.name for entry in losses.registry))
        raise UnknownName(f"{error} Any loss is a metric too: {others}.") from None


def _called(found: Any, name: str) -> Any:
    return MeanOf(found, name=name) if isinstance(found, Choice) else type(found)(name=name)


def __getattr__(name: str) -> Any:
    """``BinaryAccuracy`` → the maker of that mean with options; also losses and later entries."""
    entries = [entry for own in (registry, losses.registry) for entry in own]
    for entry in entries:
        if name == entry.name or (name == entry.class_name and isinstance(entry.target, type)):
            return entry.target
    for entry in entries:
        if name == entry.class_name:

            def make(*args: Any, name: str = "", _create: Any = entry.create, **options: Any) -> MeanOf:
                return MeanOf(_create(*args, **options), name=name)

            return make
    raise AttributeError(f"There is no metric called '{name}'.")


def __dir__() -> list[str]:
    return sorted({*__all__, *registry.class_names(), *losses.registry.class_names()})
