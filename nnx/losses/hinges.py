"""Losses of support vector machines: right answers by a margin cost nothing."""

from __future__ import annotations

from typing import Any

from nnx.losses.base import registry
from nnx.losses.reduction import mean
from nnx.losses.shapes import matched

Array = Any


def _shortfall(y_true: Array, y_pred: Array) -> Array:
    """max(1 − y·ŷ, 0). As in Keras, targets that are all 0 or 1 are read as −1 and 1 (no host sync)."""
    xp, y_true, y_pred = matched(y_true, y_pred)
    binary = xp.all((y_true == 0.0) | (y_true == 1.0))
    y_true = xp.where(binary, 2.0 * y_true - 1.0, y_true)
    return xp.maximum(1.0 - y_true * y_pred, 0.0)


@registry.register(
    formula=r"\frac{1}{n} \sum_i \max(1 - y_i \hat y_i, 0)",
    task="signs",
    targets="same",
    use="Two classes, −1 and 1, kept apart by a margin.",
)
def hinge(y_true: Array, y_pred: Array) -> Array:
    """The mean of max(1 − y_true·y_pred, 0) over the last axis, for targets −1 and 1.

    A batch of targets that are all 0 or 1 is read as −1 and 1. At the kink the derivative is half that of
    the slope.

    Raises :class:`nnx.errors.ShapeError` where the shapes differ.
    Shapes: (..., n), (..., n) → (...). Source: Keras' ``losses.hinge``.

    >>> nnx.losses.hinge(np.asarray([[-1.0, 1.0]]), np.asarray([[0.5, 2.0]]))
    array([0.75])
    """
    return mean(_shortfall(y_true, y_pred), axis=-1)


@registry.register(
    formula=r"\frac{1}{n} \sum_i \max(1 - y_i \hat y_i, 0)^2",
    task="signs",
    targets="same",
    use="As hinge, but smooth, and harder on large errors.",
)
def squared_hinge(y_true: Array, y_pred: Array) -> Array:
    """The mean of max(1 − y_true·y_pred, 0)² over the last axis, for targets −1 and 1 (or all 0 or 1).

    Raises :class:`nnx.errors.ShapeError` where the shapes differ.
    Shapes: (..., n), (..., n) → (...). Source: Keras' ``losses.squared_hinge``.

    >>> nnx.losses.squared_hinge(np.asarray([[-1.0, 1.0]]), np.asarray([[0.5, 2.0]]))
    array([1.125])
    """
    short = _shortfall(y_true, y_pred)
    return mean(short * short, axis=-1)


@registry.register(
    formula=r"\max(0, \; 1 + \max_i (1 - y_i) \hat y_i - \sum_i y_i \hat y_i)",
    task="categorical",
    targets="same",
    use="Several classes: the right one must lead by a margin of 1.",
)
def categorical_hinge(y_true: Array, y_pred: Array) -> Array:
    """max(1 + (the best of the wrong classes) − (the right class), 0), for one-hot targets (..., classes).

    Raises :class:`nnx.errors.ShapeError` where the shapes differ.
    Shapes: (..., classes), (..., classes) → (...). Source: Keras' ``losses.categorical_hinge``.

    >>> nnx.losses.categorical_hinge(np.asarray([[0.0, 1.0]]), np.asarray([[0.25, 1.0]]))
    array([0.25])
    """
    xp, y_true, y_pred = matched(y_true, y_pred)
    right = xp.sum(y_true * y_pred, axis=-1)
    best_wrong = xp.max((1.0 - y_true) * y_pred, axis=-1)
    return xp.maximum(best_wrong - right + 1.0, 0.0)
