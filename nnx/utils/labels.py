"""Class labels as one-hot rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnx.backend import device_of, given, namespace, to_numpy
from nnx.errors import DataError, DtypeError
from nnx.options import Number
from nnx.utils.arguments import float_dtype

Array = Any


def to_categorical(x: Any, num_classes: int | None = None) -> Array:
    """Returns the one-hot form of class labels: 1 at each label's place along a new last axis, else 0.

    ``x`` holds whole numbers 0 … num_classes − 1 in any shape (…); the result has shape
    (…, num_classes) and the current backend's floating-point type. As in Keras, a last axis of length 1
    is dropped first, so (n, 1) gives (n, num_classes), and ``num_classes`` is max(x) + 1 if not given.

    Raises :class:`nnx.errors.DataError` where a label is negative, too large, NaN or not a whole
    number, :class:`nnx.errors.DtypeError` where labels are not numbers, and
    :class:`nnx.errors.OptionError` where ``num_classes`` is not a positive whole number.
    Source: Keras' ``utils.to_categorical``.

    >>> nnx.utils.to_categorical([0, 2, 1], num_classes=3)
    array([[1., 0., 0.],
           [0., 0., 1.],
           [0., 1., 0.]], dtype=float32)
    """
    x = given(x, "to_categorical: labels", real=False, on_host=True)
    classes = _checked_labels(to_numpy(x), num_classes)
    xp = namespace(x)
    labels = xp.astype(x, xp.int64)
    if x.ndim > 1 and x.shape[-1] == 1:
        labels = xp.squeeze(labels, axis=-1)
    hot = xp.expand_dims(labels, axis=-1) == xp.arange(classes, dtype=xp.int64, device=device_of(x))
    return xp.astype(hot, float_dtype(x))


def _checked_labels(labels: np.ndarray, num_classes: int | None) -> int:
    """The number of classes, after every label was checked, on the host: a GPU would wrap bad ones."""
    if labels.dtype.kind not in "biuf":
        raise DtypeError(
            f"to_categorical: labels must be whole numbers, got dtype {labels.dtype}. Number the classes "
            "first, for example with np.unique(labels, return_inverse=True)[1]."
        )
    if num_classes is None:
        if labels.size == 0:
            raise DataError("to_categorical: there are no labels to count classes by: give num_classes.")
        limit: float = math.inf
    else:
        limit = Number(least=1, whole=True)("to_categorical", "num_classes", num_classes)
    bad = ~((labels >= 0) & (labels < limit))
    if labels.dtype.kind == "f":
        bad |= labels != np.floor(labels)
    if bad.any():
        place = tuple(np.argwhere(bad)[0].tolist())
        top = "" if num_classes is None else f" to {limit - 1} (num_classes={limit})"
        raise DataError(
            f"to_categorical: labels must be whole numbers from 0{top}, got {labels[place].item()!r} at "
            f"index {place} ({int(bad.sum())} of {labels.size} labels are wrong)."
        )
    return int(labels.max()) + 1 if num_classes is None else int(limit)
