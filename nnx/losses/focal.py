"""Cross-entropies that weigh a sample by how well it is met already: focal, and generalised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx.activations import sigmoid, softmax
from nnx.autodiff import fused
from nnx.backend import asarray, namespace
from nnx.errors import OptionError
from nnx.losses.base import EPSILON, registry
from nnx.losses.crossentropies import SMOOTHING, minus_chosen, smoothed
from nnx.losses.reduction import mean
from nnx.losses.shapes import AXIS, array_like, class_numbers, matched, need_axis
from nnx.options import Number, truth

Array = Any

_NOT_NEGATIVE = Number(least=0.0, arrays=True)


def _weights(where: str, name: str, value: Any) -> Any:
    """The check that an option is a number >= 0, or several of them, one for each class."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        if not value:
            raise OptionError(f"{where}: {name} must be a number or one for each class, got {value!r}.")
        return tuple(Number(least=0.0)(where, name, weight) for weight in value)
    return _NOT_NEGATIVE(where, name, value)


def _clipped(xp: Any, p: Array) -> Array:
    return xp.minimum(xp.maximum(p, EPSILON), 1.0 - EPSILON)


@registry.register(
    checks={
        "apply_class_balancing": truth,
        "from_logits": truth,
        "alpha": Number(least=0.0, most=1.0, arrays=True),
        "gamma": _NOT_NEGATIVE,
        "label_smoothing": SMOOTHING,
        "axis": AXIS,
    },
    formula=r"-\frac{1}{n} \sum_i (1 - p_i)^\gamma \ln p_i, \; p = y \hat y + (1 - y)(1 - \hat y)",
    task="binary",
    targets="same",
    use="Two classes, one of them rare: samples that are right already hardly count.",
    source="T.-Y. Lin et al., Focal loss for dense object detection, ICCV 2017",
)
def binary_focal_crossentropy(
    y_true: Array,
    y_pred: Array,
    *,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Array:
    """The mean along ``axis`` of (1 − p)^gamma·(binary cross-entropy), p the probability of the target.

    p is y_true·y_pred + (1 − y_true)(1 − y_pred). ``apply_class_balancing`` multiplies by ``alpha`` where the
    target is 1, by 1 − alpha where it is 0. ``y_pred`` holds probabilities, kept 1e−7 away from 0 and 1 in
    the logarithm, or with ``from_logits`` what goes into the sigmoid. ``label_smoothing`` s takes (1 −
    s)·y_true + s/2 as target.

    Raises :class:`nnx.errors.ShapeError` where the shapes differ, :class:`nnx.errors.AxisError` for an
    ``axis`` that they do not have.
    Shapes: (..., n), (..., n) → (...).
    Source: T.-Y. Lin et al., "Focal loss for dense object detection", ICCV 2017, equations 4 and 5.

    >>> y_true, y_pred = np.asarray([[0.0, 1.0]]), np.asarray([[0.5, 0.5]])
    >>> nnx.to_numpy(nnx.losses.binary_focal_crossentropy(y_true, y_pred)).round(6)
    array([0.173287])
    """
    truth("binary_focal_crossentropy", "from_logits", from_logits)
    truth("binary_focal_crossentropy", "apply_class_balancing", apply_class_balancing)
    xp, y, p = matched(y_true, y_pred)
    need_axis(p, axis)
    y = smoothed(y, label_smoothing, 0.5)
    p, other = (sigmoid(p), sigmoid(-p)) if from_logits else (p, 1.0 - p)
    safe = _clipped(xp, p)
    costs = -(y * xp.log(safe) + (1.0 - y) * xp.log1p(-safe))
    costs = (y * other + (1.0 - y) * p) ** gamma * costs
    if apply_class_balancing:
        costs = (y * alpha + (1.0 - y) * (1.0 - alpha)) * costs
    return mean(costs, axis=axis)


@registry.register(
    checks={
        "alpha": _weights,
        "gamma": _NOT_NEGATIVE,
        "from_logits": truth,
        "label_smoothing": SMOOTHING,
        "axis": AXIS,
    },
    formula=r"-\sum_i \alpha (1 - \hat y_i)^\gamma y_i \ln \hat y_i",
    task="categorical",
    targets="same",
    use="Classes, some of them rare: samples that are right already hardly count.",
    source="T.-Y. Lin et al., Focal loss for dense object detection, ICCV 2017",
)
def categorical_focal_crossentropy(
    y_true: Array,
    y_pred: Array,
    *,
    alpha: float | Sequence[float] = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Array:
    """−Σ alpha·(1 − y_pred)^gamma·y_true·ln(y_pred) along ``axis``, for one-hot targets.

    ``alpha`` is one weight, or one for each class on the last axis. ``y_pred`` holds probabilities, which are
    divided by their sum and kept 1e−7 away from 0 and 1, or with ``from_logits`` what goes into softmax.
    ``label_smoothing`` s takes (1 − s)·y_true + s/classes as target.

    Raises :class:`nnx.errors.ShapeError` where the shapes differ, :class:`nnx.errors.AxisError` for an
    ``axis`` that they do not have.
    Shapes: (..., classes), (..., classes) → (...).
    Source: T.-Y. Lin et al., "Focal loss for dense object detection", ICCV 2017.

    >>> y_true, y_pred = np.asarray([[0.0, 1.0]]), np.asarray([[0.5, 0.5]])
    >>> nnx.to_numpy(nnx.losses.categorical_focal_crossentropy(y_true, y_pred)).round(6)
    array([0.043322])
    """
    truth("categorical_focal_crossentropy", "from_logits", from_logits)
    xp, y, p = matched(y_true, y_pred)
    need_axis(p, axis)
    y = smoothed(y, label_smoothing, 1.0 / max(y.shape[-1], 1))
    p = softmax(p, axis=axis) if from_logits else p
    p = _clipped(xp, p / xp.sum(p, axis=axis, keepdims=True))
    weight = xp.astype(array_like(p, asarray(list(alpha))), p.dtype) if isinstance(alpha, Sequence) else alpha
    return xp.sum(weight * (1.0 - p) ** gamma * (-y * xp.log(p)), axis=axis)


def _shortfall_slope(xp: Any, p: Array, y: Array, q: Any) -> Array:
    return -(p ** (q - 1.0))


@fused(derivative=_shortfall_slope)
def _shortfall(p: Array, *, q: Any) -> Array:
    # (1 − p^q)/q, which would cancel near p = 1.
    xp, none = namespace(p), p == 0.0
    return xp.where(none, 1.0, 0.0 - xp.expm1(q * xp.log(xp.where(none, 1.0, p)))) / q


@registry.register(
    checks={"q": Number(above=0.0, below=1.0, arrays=True)},
    formula=r"(1 - \hat y_c^q) / q",
    task="sparse",
    targets="indices",
    use="Labels with errors: between cross-entropy (q → 0) and absolute error (q → 1).",
    source="Z. Zhang, M. Sabuncu, Generalized cross entropy loss for noisy labels, NeurIPS 2018",
)
def categorical_generalized_cross_entropy(y_true: Array, y_pred: Array, *, q: float = 0.5) -> Array:
    """(1 − y_pred[c]^q) / q over the last axis, where ``y_true`` holds the class numbers c; 0 < q < 1.

    ``y_pred`` holds probabilities; at probability 0 the derivative is infinite.

    Raises :class:`nnx.errors.ShapeError` where the shapes do not fit, :class:`nnx.errors.DtypeError` for
    class numbers of a type that is not real.
    Shapes: (...), (..., classes) → (...).
    Source: Z. Zhang, M. Sabuncu, "Generalized cross entropy loss for training deep neural networks with noisy
    labels", NeurIPS 2018, equation 6.

    >>> y_true, y_pred = np.asarray([0, 1]), np.asarray([[0.64, 0.36], [0.0, 1.0]])
    >>> nnx.to_numpy(nnx.losses.categorical_generalized_cross_entropy(y_true, y_pred)).round(12)
    array([0.4, 0. ])
    """
    _, labels = class_numbers(y_true, y_pred)
    return _shortfall(-minus_chosen(labels, y_pred), q=q)
