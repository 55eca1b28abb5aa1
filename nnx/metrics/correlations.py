"""How well outputs and targets vary together."""

from __future__ import annotations

from typing import Any

from nnx.losses.base import EPSILON
from nnx.losses.shapes import AXIS, matched, need_axis
from nnx.metrics.base import registry

Array = Any


@registry.register(
    checks={"axis": AXIS},
    formula=r"\operatorname{cov}(y, \hat y) / (\sigma_y \sigma_{\hat y})",
    task="regression",
    direction="up",
    use="Whether outputs are a rising straight line of the targets; 1 is best.",
)
def pearson_correlation(y_true: Array, y_pred: Array, *, axis: int = -1) -> Array:
    """Pearson's coefficient of correlation of targets and outputs along ``axis``, from −1 to 1.

    NaN where targets or outputs are constant.

    Raises :class:`nnx.errors.ShapeError` where the shapes differ, :class:`nnx.errors.AxisError` for an
    ``axis`` that they do not have.
    Shapes: (..., n), (..., n) → (...). Source: Keras' ``metrics.pearson_correlation``.

    >>> y_true, y_pred = np.asarray([[0.0, 1.0]]), np.asarray([[1.0, 3.0]])
    >>> nnx.to_numpy(nnx.metrics.pearson_correlation(y_true, y_pred)).round(12)
    array([1.])
    """
    xp, y, p = matched(y_true, y_pred)
    need_axis(p, axis)
    y = y - xp.mean(y, axis=axis, keepdims=True)
    p = p - xp.mean(p, axis=axis, keepdims=True)
    lengths = xp.sqrt(xp.sum(y * y, axis=axis)) * xp.sqrt(xp.sum(p * p, axis=axis))
    return xp.sum(y * p, axis=axis) / lengths


@registry.register(
    checks={"axis": AXIS},
    formula=r"2 \operatorname{cov}(y, \hat y) / (\sigma_y^2 + \sigma_{\hat y}^2 + (\mu_y - \mu_{\hat y})^2)",
    task="regression",
    direction="up",
    use="Whether outputs are the targets, by correlation and by scale and position; 1 is best.",
)
def concordance_correlation(y_true: Array, y_pred: Array, *, axis: int = -1) -> Array:
    """The concordance coefficient of targets and outputs along ``axis``, from −1 to 1; 1e−7 is added below.

    Raises :class:`nnx.errors.ShapeError` where the shapes differ, :class:`nnx.errors.AxisError` for an
    ``axis`` that they do not have.
    Shapes: (..., n), (..., n) → (...).
    Source: L. I. Lin, "A concordance correlation coefficient to evaluate reproducibility", Biometrics 45
    (1989).

    >>> y_true, y_pred = np.asarray([[0.0, 1.0]]), np.asarray([[0.0, 2.0]])
    >>> nnx.to_numpy(nnx.metrics.concordance_correlation(y_true, y_pred)).round(4)
    array([0.6667])
    """
    xp, y, p = matched(y_true, y_pred)
    need_axis(p, axis)
    mean_y, mean_p = (xp.mean(a, axis=axis, keepdims=True) for a in (y, p))
    y, p = y - mean_y, p - mean_p
    spread = xp.mean(y * y, axis=axis) + xp.mean(p * p, axis=axis)
    shift = xp.squeeze((mean_y - mean_p) ** 2, axis=axis)
    return 2.0 * xp.mean(y * p, axis=axis) / (spread + shift + EPSILON)
