"""Metrics of regression; every loss is a metric too."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from nnx.backend import namespace
from nnx.losses import mean_squared_error
from nnx.losses.reduction import weights_like
from nnx.losses.regression import cosine
from nnx.losses.shapes import AXIS, matched
from nnx.metrics.base import Metric, ratio, registry
from nnx.metrics.means import sums
from nnx.options import one_of, option, text

Array = Any


@registry.register(
    checks={"axis": AXIS}, task="regression", direction="up", use="Whether directions agree; 1 is best."
)
def cosine_similarity(y_true: Array, y_pred: Array, *, axis: int = -1) -> Array:
    """The cosine of the angle between ``y_true`` and ``y_pred`` along ``axis`` (the loss is minus that).

    Raises :class:`nnx.errors.ShapeError` where the shapes differ, :class:`nnx.errors.AxisError` for an
    ``axis`` that they do not have.
    Shapes: (..., n), (..., n) → (...). Source: Keras' ``metrics.CosineSimilarity``.

    >>> y_true, y_pred = np.asarray([[3.0, 4.0]]), np.asarray([[6.0, 8.0]])
    >>> nnx.to_numpy(nnx.metrics.cosine_similarity(y_true, y_pred)).round(12)
    array([1.])
    """
    xp, y_true, y_pred = matched(y_true, y_pred)
    return cosine(xp, y_true, y_pred, axis)


@registry.register(
    "rmse", "RMSE", task="regression", direction="down", use="The typical error, in the target's unit."
)
@dataclass(frozen=True)
class RootMeanSquaredError(Metric):
    """√(Σ w·(y_pred − y_true)² / Σ w) over all samples and outputs.

    Shapes: (...), (...) → (). Source: Keras' ``metrics.RootMeanSquaredError``.

    >>> metric = nnx.metrics.RootMeanSquaredError()
    >>> metric([[0.0], [0.0]], [[1.0], [7.0]])
    5.0
    """

    name: str | None = option(text, "root_mean_squared_error")

    def statistics(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> Array:
        xp, y_true, y_pred = matched(y_true, y_pred)
        values = mean_squared_error(y_true, y_pred) if y_pred.ndim > 1 else (y_pred - y_true) ** 2
        return sums(xp, values, sample_weight, y_pred.shape[0] if y_pred.ndim else 1)

    def value(self, sums: Array) -> Any:
        return math.sqrt(ratio(float(sums[0]), float(sums[1])))


@registry.register(
    "r2_score", task="regression", direction="up", use="The share of the variance that is explained."
)
@dataclass(frozen=True)
class R2Score(Metric):
    """1 − Σ(y_true − y_pred)² / Σ(y_true − mean)²: 1 is perfect, 0 as good as the mean, negative is worse.

    ``class_aggregation``: "uniform_average" of the outputs, "variance_weighted_average", or None for an
    array with one number per output. A constant target counts 1 if it is met exactly, else 0 (as in
    scikit-learn), and where all targets are constant, "variance_weighted_average" is the plain one.

    The sums are float64, of targets split into their first 16 bits and the rest, so that those of the large
    parts are exact: with b the ratio of a target's mean to its spread, R² is known to about 1e−20·b² of
    Σ(y_true − y_pred)²/Σ(y_true − mean)² for n up to a million examples. With weights that are not whole
    numbers it is 1e−16·b². A target whose variance is below n·3e−21 (1e−14) of its mean square counts as
    constant.

    Shapes: (n, outputs), (n, outputs) → (). Source: Keras' ``metrics.R2Score``.

    >>> metric = nnx.metrics.R2Score()
    >>> metric([1.0, 2.0, 3.0], [1.0, 2.0, 2.0])
    0.5
    """

    class_aggregation: str | None = one_of(
        "uniform_average", "variance_weighted_average", None, default="uniform_average"
    )
    name: str | None = option(text, "r2_score", kw_only=True)

    def statistics(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> Array:
        xp, y_true, y_pred = matched(y_true, y_pred)
        y, p = (xp.astype(xp.reshape(a, (a.shape[0], -1)), xp.float64) for a in (y_true, y_pred))
        w = xp.ones_like(y)
        if sample_weight is not None:
            w = w * weights_like(xp, sample_weight, y)
        high = _first_bits(y)
        low, large, rough = y - high, w * high, xp.astype(w != xp.floor(w), xp.float64)
        terms = (w, large, w * low, large * high, large * low, w * low * low, rough, w * (y - p) ** 2)
        # along the last axis NumPy adds pairwise, along others one by one
        return xp.sum(xp.stack([xp.matrix_transpose(t) for t in terms]), axis=-1)

    def value(self, sums: Array) -> Any:
        xp = namespace(sums)
        *about_targets, residual = sums
        total = xp.asarray(
            [_variation(*one) for one in zip(*(a.tolist() for a in about_targets), strict=True)]
        )
        constant = total == 0.0
        scores = xp.where(constant, residual == 0.0, 1.0 - ratio(residual, xp.where(constant, 0.0, total)))
        if self.class_aggregation is None:
            return scores
        if self.class_aggregation == "uniform_average" or not total.any():
            return float(scores.mean())
        return ratio(float((scores * total).sum()), float(total.sum()))


def _first_bits(y: Array) -> Array:
    """``y`` rounded to 16 of its 53 bits. Source: T. J. Dekker, Numer. Math. 18 (1971) 224–242."""
    t = y * (2.0**37 + 1.0)
    return t - (t - y)


def _variation(
    w: float, high: float, low: float, squares: float, products: float, rest: float, rough: float
) -> float:
    """Σ w·y² − (Σ w·y)²/Σ w from the sums of both parts of y, in exact arithmetic; 0 where it is rounding."""
    from fractions import Fraction  # here, because it takes 5 ms that `import nnx` need not spend

    second = squares + 2.0 * products + rest
    if not math.isfinite(second):
        return math.nan
    exact = Fraction(squares) + 2 * Fraction(products) + Fraction(rest)
    if w:
        exact -= (Fraction(high) + Fraction(low)) ** 2 / Fraction(w)
    noise = (1e-14 if rough else w * 2.0**-68) * second
    return float(exact) if exact > noise else 0.0
