"""Room 2: losses. Each gives one number per example; :func:`reduce` takes their (weighted) mean.

``nnx.losses.get("mse")`` and ``nnx.losses.CategoricalCrossentropy(from_logits=True)`` are what a model is
compiled with; ``nnx.losses.huber(y_true, y_pred, delta=2.0)`` computes at once. A function
``(y_true, y_pred)`` → values of one's own (a method, a ``functools.partial``) is a loss as well: it gets the
targets as they come. ``@nnx.losses.registry.register(targets="indices")`` above it: it gets class numbers.
"""

from __future__ import annotations

from typing import Any

from nnx.losses.base import registry
from nnx.losses.crossentropies import (
    binary_crossentropy,
    categorical_crossentropy,
    kl_divergence,
    sparse_categorical_crossentropy,
)
from nnx.losses.hinges import categorical_hinge, hinge, squared_hinge
from nnx.losses.reduction import class_weights, reduce
from nnx.losses.regression import (
    cosine_similarity,
    huber,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
)

__all__ = [
    "binary_crossentropy",
    "categorical_crossentropy",
    "categorical_hinge",
    "class_weights",
    "cosine_similarity",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "reduce",
    "registry",
    "sparse_categorical_crossentropy",
    "squared_hinge",
]

get = registry.get


def __getattr__(name: str) -> Any:
    """``Huber`` → the maker of ``huber`` with options; also what was registered later."""
    own = [entry.target for entry in registry if entry.name == name]
    return own[0] if own else registry.factory(name)


def __dir__() -> list[str]:
    return sorted({*__all__, *registry.class_names()})
