"""Losses of segmentation: how little of what is there was found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx.losses.base import EPSILON, registry
from nnx.losses.shapes import matched, need_axis
from nnx.options import Number, Numbers

Array = Any

_AXES = Numbers("an axis or several, whole numbers, or None for all", optional=True)
_WEIGHT = Number(least=0.0, arrays=True)


def _sums(xp: Any, axis: int | Sequence[int] | None, *arrays: Array) -> list[Array]:
    axes = axis if axis is None or isinstance(axis, int) else tuple(axis)
    for one in () if axes is None else (axes,) if isinstance(axes, int) else axes:
        need_axis(arrays[0], one)
    return [xp.sum(a, axis=axes) for a in arrays]


@registry.register(
    checks={"axis": _AXES},
    formula=r"1 - \frac{2 \sum_i y_i \hat y_i}{\sum_i y_i + \sum_i \hat y_i}",
    task="binary",
    targets="same",
    use="Segmentation, where few pixels are of the class.",
)
def dice(y_true: Array, y_pred: Array, *, axis: int | Sequence[int] | None = None) -> Array:
    """1 − 2 Σ y_true·y_pred / (Σ y_true + Σ y_pred + 1e−7) over the axes ``axis``.

    None takes all axes: one number for the whole batch. With pictures (n, rows, columns, 1), axes (1, 2, 3)
    give one number per sample.

    Raises :class:`nnx.errors.ShapeError` where the shapes differ, :class:`nnx.errors.AxisError` for an
    ``axis`` that they do not have.
    Shapes: (...), (...) → ().
    Source: F. Milletari, N. Navab, S. Ahmadi, "V-Net", 3DV 2016 (without the squares of its denominator).

    >>> y_true, y_pred = np.asarray([[1.0, 1.0, 0.0]]), np.asarray([[1.0, 0.0, 0.0]])
    >>> nnx.to_numpy(nnx.losses.dice(y_true, y_pred, axis=-1)).round(6)
    array([0.333333])
    """
    xp, y, p = matched(y_true, y_pred)
    wrong, own, found = _sums(xp, axis, y * (1.0 - p) + (1.0 - y) * p, y, p)
    return (wrong + EPSILON) / (own + found + EPSILON)  # 1 − a/b is (b − a)/b without cancellation


@registry.register(
    checks={"alpha": _WEIGHT, "beta": _WEIGHT, "axis": _AXES},
    formula=r"1 - \frac{\sum_i y_i \hat y_i}{\sum_i y_i \hat y_i + \alpha \sum_i y_i (1 - \hat y_i)"
    r" + \beta \sum_i (1 - y_i) \hat y_i}",
    task="binary",
    targets="same",
    use="Segmentation, where misses and false alarms do not cost the same.",
)
def tversky(
    y_true: Array,
    y_pred: Array,
    *,
    alpha: float = 0.5,
    beta: float = 0.5,
    axis: int | Sequence[int] | None = None,
) -> Array:
    """1 − TP / (TP + alpha·FN + beta·FP + 1e−7), with sums over ``axis`` (None: all) in place of counts.

    TP is Σ y_true·y_pred, FN (what was missed) Σ y_true·(1 − y_pred), FP (false alarms) Σ (1 −
    y_true)·y_pred. ``alpha`` weighs the misses, as Keras computes it (its documentation calls them false
    positives). With alpha = beta = 1/2 it is :func:`dice`.

    Raises :class:`nnx.errors.ShapeError` where the shapes differ, :class:`nnx.errors.AxisError` for an
    ``axis`` that they do not have.
    Shapes: (...), (...) → ().
    Source: S. Salehi, D. Erdogmus, A. Gholipour, "Tversky loss function for image segmentation", MLMI 2017.

    >>> y_true, y_pred = np.asarray([[1.0, 1.0, 0.0]]), np.asarray([[1.0, 0.0, 0.0]])
    >>> nnx.to_numpy(nnx.losses.tversky(y_true, y_pred, alpha=1.0, axis=-1)).round(6)
    array([0.5])
    """
    xp, y, p = matched(y_true, y_pred)
    both, missed, alarms = _sums(xp, axis, y * p, y * (1.0 - p), (1.0 - y) * p)
    wrong = alpha * missed + beta * alarms + EPSILON
    return wrong / (both + wrong)  # 1 − a/b is (b − a)/b without cancellation
