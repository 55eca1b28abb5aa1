"""Room 2: losses, as functions and as objects.

A function, ``nnx.losses.huber(y_true, y_pred, delta=2.0)``, gives one value per sample. An object,
``nnx.losses.Huber(2.0)``, is called with ``(y_true, y_pred, sample_weight=None)`` and gives one number: the
values weighted and reduced as its ``reduction`` says (see :func:`reduce`; by default the mean).

A model is compiled with a name, a function or an object. It minimises what the object would return for a
batch, so ``reduction="sum"`` multiplies loss and gradient by the number of samples in the batch; "none" is
refused. A function ``(y_true, y_pred)`` → values (or one number) of your own is a loss as well: it gets the
targets as they come. With ``@nnx.losses.registry.register(targets="indices")`` above it, it gets class
numbers.

In ``Shapes:`` lines ``...`` stands for any number of axes and a name for a length, as in
``(..., n), (..., n) → (...)``: two arrays are given, one comes back, without the last axis.
"""

from __future__ import annotations

from nnx import activations  # noqa: F401 (whole rooms first)
from nnx.losses.base import registry
from nnx.losses.crossentropies import (
    binary_crossentropy,
    categorical_crossentropy,
    kl_divergence,
    sparse_categorical_crossentropy,
)
from nnx.losses.embeddings import circle
from nnx.losses.focal import (
    binary_focal_crossentropy,
    categorical_focal_crossentropy,
    categorical_generalized_cross_entropy,
)
from nnx.losses.hinges import categorical_hinge, hinge, squared_hinge
from nnx.losses.objects import Loss, LossFunctionWrapper, as_loss
from nnx.losses.overlaps import dice, tversky
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
from nnx.losses.sequences import ctc

__all__ = [
    "Loss",
    "LossFunctionWrapper",
    "as_loss",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
    "circle",
    "class_weights",
    "cosine_similarity",
    "ctc",
    "dice",
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
    "tversky",
]

get = registry.get
__getattr__ = registry.attribute


def __dir__() -> list[str]:
    return sorted({*__all__, *registry.attributes()})
