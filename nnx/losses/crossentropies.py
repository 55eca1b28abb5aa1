"""Losses of classification: cross-entropies, from probabilities and from logits, and KL divergence."""

from __future__ import annotations

from typing import Any

from nnx.activations import log_softmax, sigmoid
from nnx.autodiff import fused
from nnx.backend import device_of, namespace, summed
from nnx.losses.base import EPSILON, registry
from nnx.losses.reduction import mean
from nnx.losses.shapes import AXIS, class_numbers, matched, need_axis
from nnx.options import Number, truth

Array = Any


SMOOTHING = Number(least=0.0, most=1.0, arrays=True)


def smoothed(y_true: Array, label_smoothing: float, share: float) -> Array:
    """Targets moved towards equal shares: (1 − s)·y + s·share."""
    if not label_smoothing:
        return y_true
    SMOOTHING("A cross-entropy", "label_smoothing", label_smoothing)
    return (1.0 - label_smoothing) * y_true + label_smoothing * share


def _log_shares(xp: Any, y_pred: Array, axis: int) -> Array:
    """The logarithms of positive numbers divided by their sum, kept 1e−7 away from 0 and 1."""
    p = y_pred / xp.sum(y_pred, axis=axis, keepdims=True)
    return xp.log(xp.minimum(xp.maximum(p, EPSILON), 1.0 - EPSILON))


# -- the steps with a hand-written pullback ------------------------------------------------------------
#
# From logits, −Σ t·log_softmax(z): the pullback of the sum gives −t, that of log_softmax turns it into
# softmax(z)·Σt − t, which for targets with sum 1 is (BP1): δ = a − y.


def _along(xp: Any, g: Array, axis: int) -> Array:
    return g[..., None] if axis == -1 else xp.expand_dims(g, axis=axis)


def _expected_back(
    xp: Any, g: Array, needs: Any, y: Array, t: Array, values: Array, axis: int = -1
) -> tuple[Array | None, Array | None]:
    g = -_along(xp, g, axis)
    return g * values if needs[0] else None, g * t if needs[1] else None


@fused(reverse=_expected_back, samples=True)
def _minus_expected(t: Array, values: Array, *, axis: int = -1) -> Array:
    """−Σ t·values along ``axis``."""
    return -summed(t * values, axis)


def _is_chosen(xp: Any, labels: Array, values: Array, axis: int) -> Array:
    """True at each label's place along ``axis``; a look-up by index is slower, and wraps on a GPU."""
    classes = xp.arange(values.shape[axis], dtype=xp.int64, device=device_of(values))
    if axis != -1:
        classes = xp.reshape(classes, (-1,) + (1,) * (values.ndim - 1 - axis % values.ndim))
    return _along(xp, labels, axis) == classes


def _chosen_back(
    xp: Any, g: Array, needs: Any, y: Array, labels: Array, values: Array, axis: int = -1
) -> tuple[None, Array]:
    # Not a product: where g is infinite, the others' share of it is 0 all the same.
    return None, xp.where(_is_chosen(xp, labels, values, axis), -_along(xp, g, axis), 0.0)


@fused(reverse=_chosen_back, samples=True)
def minus_chosen(labels: Array, values: Array, *, axis: int = -1) -> Array:
    """−values[label] along ``axis``; the other values do not matter, be they infinite."""
    xp = namespace(values)
    return -xp.sum(xp.where(_is_chosen(xp, labels, values, axis), values, 0.0), axis=axis)


def _sigmoid_loss_back(
    xp: Any, g: Array, needs: Any, y: Array, t: Array, z: Array
) -> tuple[Array | None, Array | None]:
    return -g * z if needs[0] else None, g * (sigmoid(z) - t) if needs[1] else None


@fused(reverse=_sigmoid_loss_back, samples=True)
def _sigmoid_loss(t: Array, z: Array) -> Array:
    # −t ln σ(z) − (1 − t) ln(1 − σ(z)), arranged so that nothing overflows or cancels.
    xp = namespace(t, z)
    return xp.maximum(z, 0.0) - t * z + xp.log1p(xp.exp(-xp.abs(z)))


# -- the losses ----------------------------------------------------------------------------------------


@registry.register(
    checks={"from_logits": truth, "label_smoothing": SMOOTHING, "axis": AXIS},
    formula=r"-\sum_i y_i \ln \hat y_i",
    task="categorical",
    targets="same",
    canonical_activation="softmax",
    use="Classes that exclude each other, as one-hot rows; the output is a softmax.",
)
def categorical_crossentropy(
    y_true: Array,
    y_pred: Array,
    *,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Array:
    """−Σ y_true·ln(y_pred) along ``axis``, for one-hot (or any) probabilities ``y_true``.

    ``y_pred`` holds probabilities, which are divided by their sum and kept 1e−7 away from 0 and 1; with
    ``from_logits`` it holds what goes into softmax: accurate for logits of any size, with the gradient
    softmax(y_pred) − y_true. A model that ends in softmax computes its loss from the logits too, so that it
    has no upper bound; as a metric this function stops at −ln 1e−7 = 16.1, as Keras' loss does.
    ``label_smoothing`` s takes (1 − s)·y_true + s/classes as target, with the length of ``axis`` as number of
    classes (Keras takes that of the last axis). Logits must be finite (−∞ at a class with target 0 gives nan
    here, but works in the sparse loss). Raises :class:`nnx.errors.ShapeError` where the shapes differ.

    Shapes: (..., classes), (..., classes) → (...). Source: Keras' ``losses.categorical_crossentropy``.

    >>> y = np.asarray([[0.0, 1.0]])
    >>> nnx.losses.categorical_crossentropy(y, np.asarray([[0.5, 0.5]]))
    array([0.69314718])
    >>> nnx.losses.categorical_crossentropy(y, np.asarray([[1e4, 0.0]]), from_logits=True)
    array([10000.])
    """
    truth("categorical_crossentropy", "from_logits", from_logits)
    xp, y_true, y_pred = matched(y_true, y_pred)
    need_axis(y_pred, axis)
    y_true = smoothed(y_true, label_smoothing, 1.0 / max(y_true.shape[axis], 1))
    log_p = log_softmax(y_pred, axis=axis) if from_logits else _log_shares(xp, y_pred, axis)
    return _minus_expected(y_true, log_p, axis=axis)


@registry.register(
    checks={"from_logits": truth, "axis": AXIS},
    formula=r"-\ln \hat y_c",
    task="sparse",
    targets="indices",
    canonical_activation="softmax",
    use="Classes that exclude each other, as class numbers; the output is a softmax.",
)
def sparse_categorical_crossentropy(
    y_true: Array, y_pred: Array, *, from_logits: bool = False, axis: int = -1
) -> Array:
    """−ln(y_pred[c]) along ``axis``, where ``y_true`` holds the class numbers c (0 … classes − 1).

    ``y_true`` has the shape of ``y_pred`` without ``axis``, or with length 1 there. Otherwise as
    :func:`categorical_crossentropy` of one-hot targets, also in a model.
    A number outside of the classes costs 0 and moves nothing: a model checks its labels on the host instead.

    Raises :class:`nnx.errors.ShapeError` where the shapes do not fit, :class:`nnx.errors.AxisError` for an
    ``axis`` that ``y_pred`` does not have, :class:`nnx.errors.DtypeError` for class numbers of a type that is
    not real.
    Shapes: (...), (..., classes) → (...). Source: Keras' ``losses.sparse_categorical_crossentropy``.

    >>> nnx.losses.sparse_categorical_crossentropy(np.asarray([1]), np.asarray([[0.5, 0.5]]))
    array([0.69314718])
    """
    truth("sparse_categorical_crossentropy", "from_logits", from_logits)
    xp, labels = class_numbers(y_true, y_pred, axis)
    log_p = log_softmax(y_pred, axis=axis) if from_logits else _log_shares(xp, y_pred, axis)
    return minus_chosen(labels, log_p, axis=axis)


@registry.register(
    "bce",
    "BCE",
    checks={"from_logits": truth, "label_smoothing": SMOOTHING, "axis": AXIS},
    formula=r"-\frac{1}{n} \sum_i (y_i \ln \hat y_i + (1 - y_i) \ln(1 - \hat y_i))",
    task="binary",
    targets="same",
    canonical_activation="sigmoid",
    use="Two classes, or several labels that may hold together; the output is a sigmoid.",
)
def binary_crossentropy(
    y_true: Array,
    y_pred: Array,
    *,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Array:
    """The mean of −(y_true·ln(y_pred) + (1 − y_true)·ln(1 − y_pred)) along ``axis``, for targets in [0, 1].

    ``y_pred`` holds probabilities, kept 1e−7 away from 0 and 1; with ``from_logits`` it holds what goes into
    the sigmoid: accurate for finite logits of any size. A model that ends in a sigmoid computes its loss from
    the logits too, so that it has no upper bound; as a metric this function stops at −ln 1e−7 = 16.1 per
    entry, as Keras' loss does. ``label_smoothing`` s takes (1 − s)·y_true + s/2 as target. Raises
    :class:`nnx.errors.ShapeError` where the shapes differ.

    Shapes: (..., n), (..., n) → (...). Source: Keras' ``losses.binary_crossentropy``.

    >>> nnx.losses.binary_crossentropy(np.asarray([[1.0, 0.0]]), np.asarray([[0.5, 0.5]]))
    array([0.69314718])
    >>> nnx.losses.binary_crossentropy(np.asarray([[0.0]]), np.asarray([[1e4]]), from_logits=True)
    array([10000.])
    """
    truth("binary_crossentropy", "from_logits", from_logits)
    xp, y_true, y_pred = matched(y_true, y_pred)
    need_axis(y_pred, axis)
    y_true = smoothed(y_true, label_smoothing, 0.5)
    if from_logits:
        values = _sigmoid_loss(y_true, y_pred)
    else:
        p = xp.minimum(xp.maximum(y_pred, EPSILON), 1.0 - EPSILON)
        values = -(y_true * xp.log(p) + (1.0 - y_true) * xp.log1p(-p))
    return mean(values, axis=axis)


@registry.register(
    "kld",
    "KLD",
    "kullback_leibler_divergence",
    class_name="KLDivergence",
    formula=r"\sum_i y_i \ln \frac{y_i}{\hat y_i}",
    task="categorical",
    targets="same",
    use="Distributions: how far ŷ is from y. Cross-entropy less the entropy of y.",
)
def kl_divergence(y_true: Array, y_pred: Array) -> Array:
    """Σ y_true·ln(y_true / y_pred) over the last axis; both are kept between 1e−7 and 1.

    Raises :class:`nnx.errors.ShapeError` where the shapes differ.
    Shapes: (..., n), (..., n) → (...). Source: Keras' ``losses.kl_divergence``.

    >>> nnx.losses.kl_divergence(np.asarray([[0.5, 0.5]]), np.asarray([[0.25, 0.75]]))
    array([0.14384104])
    """
    xp, y_true, y_pred = matched(y_true, y_pred)
    y_true = xp.minimum(xp.maximum(y_true, EPSILON), 1.0)
    y_pred = xp.minimum(xp.maximum(y_pred, EPSILON), 1.0)
    return xp.sum(y_true * xp.log(y_true / y_pred), axis=-1)
