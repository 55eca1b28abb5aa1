"""Losses of regression."""

from __future__ import annotations

import math
from typing import Any

from nnx.autodiff import fused
from nnx.backend import namespace
from nnx.losses.base import EPSILON, registry
from nnx.losses.reduction import mean, weights_like
from nnx.losses.shapes import AXIS, matched, need_axis
from nnx.options import Number

Array = Any


def _mean_square_back(xp: Any, g: Array, needs: Any, y: Array, error: Array) -> tuple[Array]:
    return (((2.0 / max(error.shape[-1], 1)) * g)[..., None] * error,)


@fused(reverse=_mean_square_back, samples=True)
def _mean_square(error: Array) -> Array:
    xp = namespace(error)
    return xp.sum(error * error, axis=-1) / max(error.shape[-1], 1)


def _vector(xp: Any, error: Array, sample_weight: Array | None) -> Array:
    """The errors, scaled so that the sum of their squares is the weighted mean of squares."""
    residual = error * (1.0 / math.sqrt(max(math.prod(error.shape), 1)))
    if sample_weight is not None:
        residual = residual * xp.sqrt(weights_like(xp, sample_weight, error))
    return xp.reshape(residual, (-1,))


def _errors(y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> Array:
    xp, y_true, y_pred = matched(y_true, y_pred)
    return _vector(xp, y_pred - y_true, sample_weight)


@registry.register(
    "mse",
    "MSE",
    formula=r"\frac{1}{n} \sum_i (\hat y_i - y_i)^2",
    task="regression",
    targets="same",
    residual=_errors,
    use="Regression: the mean of the targets given the inputs is learned.",
)
def mean_squared_error(y_true: Array, y_pred: Array) -> Array:
    """The mean of (y_pred − y_true)² over the last axis: shape (...) from (..., n).

    Raises :class:`nnx.errors.ShapeError` where the shapes differ.
    Shapes: (..., n), (..., n) → (...). Source: Keras' ``losses.mean_squared_error``.

    >>> nnx.losses.mean_squared_error(np.asarray([[0.0, 1.0]]), np.asarray([[1.0, 3.0]]))
    array([2.5])
    """
    _, y_true, y_pred = matched(y_true, y_pred)
    return _mean_square(y_pred - y_true)


@fused(derivative=lambda xp, x, y: xp.sign(x))
def _size(x: Array) -> Array:
    """``abs(x)`` whose slope at 0 is 0, a constant: so that Newton's methods pass a residual of 0."""
    return namespace(x).abs(x)


@registry.register(
    "mae",
    "MAE",
    formula=r"\frac{1}{n} \sum_i |\hat y_i - y_i|",
    task="regression",
    targets="same",
    use="Regression with outliers: the median is learned.",
)
def mean_absolute_error(y_true: Array, y_pred: Array) -> Array:
    """The mean of abs(y_pred − y_true) over the last axis. The derivatives at 0 count as 0.

    Raises :class:`nnx.errors.ShapeError` where the shapes differ.
    Shapes: (..., n), (..., n) → (...). Source: Keras' ``losses.mean_absolute_error``.

    >>> nnx.losses.mean_absolute_error(np.asarray([[0.0, 1.0]]), np.asarray([[1.0, 3.0]]))
    array([1.5])
    """
    _, y_true, y_pred = matched(y_true, y_pred)
    return mean(_size(y_pred - y_true), axis=-1)


@registry.register(
    "mape",
    "MAPE",
    formula=r"\frac{100}{n} \sum_i \frac{|\hat y_i - y_i|}{\max(|y_i|, \epsilon)}",
    task="regression",
    targets="same",
    use="Regression where relative errors matter and targets are not near 0.",
)
def mean_absolute_percentage_error(y_true: Array, y_pred: Array) -> Array:
    """100 times the mean of abs(y_pred − y_true) / max(abs(y_true), 1e−7) over the last axis.

    Raises :class:`nnx.errors.ShapeError` where the shapes differ.
    Shapes: (..., n), (..., n) → (...). Source: Keras' ``losses.mean_absolute_percentage_error``.

    >>> nnx.losses.mean_absolute_percentage_error(np.asarray([[4.0, 10.0]]), np.asarray([[3.0, 10.0]]))
    array([12.5])
    """
    xp, y_true, y_pred = matched(y_true, y_pred)
    return 100.0 * mean(_size((y_pred - y_true) / xp.maximum(xp.abs(y_true), EPSILON)), axis=-1)


def _log_ratio_back(
    xp: Any, g: Array, needs: Any, y: Array, p: Array, t: Array
) -> tuple[Array | None, Array | None]:
    return g / (1.0 + p) if needs[0] else None, -g / (1.0 + t) if needs[1] else None


@fused(reverse=_log_ratio_back, samples=True)
def _log_ratio(p: Array, t: Array) -> Array:
    # ln(1 + p) − ln(1 + t), which would cancel where p is close to t.
    xp = namespace(p, t)
    size = xp.log1p(xp.abs(p - t) / (1.0 + xp.minimum(p, t)))
    return xp.where(p < t, -size, size)


def _log_error(xp: Any, y_true: Array, y_pred: Array) -> Array:
    return _log_ratio(xp.maximum(y_pred, EPSILON), xp.maximum(y_true, EPSILON))


def _log_errors(y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> Array:
    xp, y_true, y_pred = matched(y_true, y_pred)
    return _vector(xp, _log_error(xp, y_true, y_pred), sample_weight)


@registry.register(
    "msle",
    "MSLE",
    formula=r"\frac{1}{n} \sum_i (\ln(1 + \hat y_i) - \ln(1 + y_i))^2",
    task="positive",
    targets="same",
    residual=_log_errors,
    use="Regression of positive numbers over several orders of magnitude.",
)
def mean_squared_logarithmic_error(y_true: Array, y_pred: Array) -> Array:
    """The mean of (ln(1 + y_pred) − ln(1 + y_true))² over the last axis; values below 1e−7 count as 1e−7.

    Raises :class:`nnx.errors.ShapeError` where the shapes differ.
    Shapes: (..., n), (..., n) → (...). Source: Keras' ``losses.mean_squared_logarithmic_error``.

    >>> y_true, y_pred = np.asarray([[0.0]]), np.asarray([[np.e - 1.0]])
    >>> nnx.to_numpy(nnx.losses.mean_squared_logarithmic_error(y_true, y_pred)).round(6)
    array([1.])
    """
    xp, y_true, y_pred = matched(y_true, y_pred)
    return _mean_square(_log_error(xp, y_true, y_pred))


_DELTA = Number(above=0.0, finite=False, arrays=True)


@registry.register(
    checks={"delta": _DELTA},
    formula=r"\frac{1}{n} \sum_i \begin{cases} \frac{1}{2} e_i^2 & |e_i| \le \delta \\"
    r" \delta |e_i| - \frac{1}{2} \delta^2 & |e_i| > \delta \end{cases}, \; e = \hat y - y",
    task="regression",
    targets="same",
    use="Regression with outliers: squares near 0, absolute values far out.",
)
def huber(y_true: Array, y_pred: Array, *, delta: float = 1.0) -> Array:
    """The mean over the last axis of e²/2 where abs(e) ≤ δ, else δ(abs(e) − δ/2), with e = y_pred − y_true.

    Raises :class:`nnx.errors.OptionError` for δ ≤ 0, :class:`nnx.errors.ShapeError` where the shapes differ.
    Shapes: (..., n), (..., n) → (...).
    Source: P. J. Huber, "Robust estimation of a location parameter", Ann. Math. Stat. 35 (1964) 73–101.

    >>> nnx.losses.huber(np.asarray([[0.0, 0.0]]), np.asarray([[0.5, 3.0]]))
    array([1.3125])
    """
    _DELTA("huber", "delta", delta)
    xp, y_true, y_pred = matched(y_true, y_pred)
    e = y_pred - y_true
    c = xp.minimum(xp.maximum(e, -delta), delta)  # not of abs(e), whose kink at 0 would spoil Hessians
    return mean(c * (e - 0.5 * c), axis=-1)


@fused(derivative=lambda xp, x, y: xp.tanh(x))
def _ln_cosh(x: Array) -> Array:
    # |x| − ln 2 far out: cosh itself would overflow. Near 0 that would cancel: ½ ln(1 + sinh²) there.
    xp = namespace(x)
    a = xp.abs(x)
    s = xp.sinh(xp.minimum(a, 1.0))
    far = a + xp.log1p(xp.exp(-2.0 * a)) - math.log(2.0)
    return xp.where(a < 1.0, 0.5 * xp.log1p(s * s), far)


@registry.register(
    "logcosh",
    formula=r"\frac{1}{n} \sum_i \ln \cosh(\hat y_i - y_i)",
    task="regression",
    targets="same",
    use="As Huber's loss, but smooth to every order.",
)
def log_cosh(y_true: Array, y_pred: Array) -> Array:
    """The mean of ln cosh(y_pred − y_true) over the last axis, without overflow.

    Raises :class:`nnx.errors.ShapeError` where the shapes differ.
    Shapes: (..., n), (..., n) → (...). Source: Keras' ``losses.log_cosh``.

    >>> nnx.losses.log_cosh(np.asarray([[0.0, 0.0]]), np.asarray([[0.0, 1e4]]))
    array([4999.65342641])
    """
    _, y_true, y_pred = matched(y_true, y_pred)
    return mean(_ln_cosh(y_pred - y_true), axis=-1)


@registry.register(
    formula=r"\frac{1}{n} \sum_i (\hat y_i - y_i \ln \hat y_i)",
    task="positive",
    targets="same",
    use="Counts: the negative log-likelihood of a Poisson distribution with mean ŷ.",
)
def poisson(y_true: Array, y_pred: Array) -> Array:
    """The mean of y_pred − y_true·ln(y_pred + 1e−7) over the last axis; ``y_pred`` must not be negative.

    Raises :class:`nnx.errors.ShapeError` where the shapes differ.
    Shapes: (..., n), (..., n) → (...). Source: Keras' ``losses.poisson``.

    >>> nnx.to_numpy(nnx.losses.poisson(np.asarray([[2.0]]), np.asarray([[1.0]]))).round(6)
    array([1.])
    """
    xp, y_true, y_pred = matched(y_true, y_pred)
    return mean(y_pred - y_true * xp.log(y_pred + EPSILON), axis=-1)


@registry.register(
    checks={"axis": AXIS},
    formula=r"-\frac{\sum_i y_i \hat y_i}{\lVert y \rVert \, \lVert \hat y \rVert}",
    task="regression",
    targets="same",
    use="Directions, such as embeddings, whose length does not matter.",
)
def cosine_similarity(y_true: Array, y_pred: Array, *, axis: int = -1) -> Array:
    """Minus the cosine of the angle between y_true and y_pred along ``axis``: −1 is best, 1 is worst.

    A vector shorter than 1e−7 is divided by 1e−7 instead of its length; the zero vector gives 0. (The metric
    of the same name is the cosine itself.)

    Raises :class:`nnx.errors.ShapeError` where the shapes differ, :class:`nnx.errors.AxisError` for an
    ``axis`` that they do not have.
    Shapes: (..., n), (..., n) → (...). Source: Keras' ``losses.cosine_similarity``.

    >>> y_true, y_pred = np.asarray([[3.0, 4.0]]), np.asarray([[6.0, 8.0]])
    >>> nnx.to_numpy(nnx.losses.cosine_similarity(y_true, y_pred)).round(12)
    array([-1.])
    """
    xp, y_true, y_pred = matched(y_true, y_pred)
    return -cosine(xp, y_true, y_pred, axis)


def cosine(xp: Any, a: Array, b: Array, axis: int) -> Array:
    """The cosine of the angle between two arrays' vectors along ``axis``."""
    need_axis(a, axis)

    def square_of_length(x: Array) -> Array:
        return xp.maximum(xp.sum(x * x, axis=axis), EPSILON * EPSILON)

    return xp.sum(a * b, axis=axis) / (xp.sqrt(square_of_length(a)) * xp.sqrt(square_of_length(b)))
