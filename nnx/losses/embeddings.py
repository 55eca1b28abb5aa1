"""Losses of embeddings: samples of one class shall lie together."""

from __future__ import annotations

from typing import Any

from nnx.activations import softplus
from nnx.backend import device_of, namespace
from nnx.errors import OptionError, ShapeError
from nnx.losses.base import registry
from nnx.options import Number, truth

Array = Any


def _log_sum_exp(xp: Any, values: Array, mask: Array) -> Array:
    """Ln Σ exp(values) over the masked entries of each row; a number without meaning for rows without any."""
    inside = xp.where(mask, values, 0.0)
    most = xp.max(xp.where(mask, values, -float("inf")), axis=1, keepdims=True)
    most = xp.where(xp.isfinite(most), most, 0.0)
    total = xp.sum(xp.where(mask, xp.exp(xp.where(mask, inside - most, 0.0)), 0.0), axis=1)
    return xp.log(xp.where(total > 0.0, total, 1.0)) + xp.squeeze(most, axis=1)


def _array(where: str, name: str, value: Any) -> Any:
    """The check that an option is an array or None."""
    if value is not None and not (hasattr(value, "ndim") and hasattr(value, "dtype")):
        raise OptionError(f"{where}: {name} must be an array or None, got {value!r}.")
    return value


@registry.register(
    checks={
        "gamma": Number(above=0.0, arrays=True),
        "margin": Number(arrays=True),
        "remove_diagonal": truth,
        "ref_labels": _array,
        "ref_embeddings": _array,
    },
    formula=r"\ln \Bigl(1 + \sum_+ e^{-\gamma (m + d)(m - d)}"
    r" \sum_- e^{\gamma \max(1 + m - d, 0) (1 - m - d)}\Bigr), \; d = 1 - \cos",
    task="other",
    use="Embeddings of unit length: classes together, and apart from each other.",
    source="Y. Sun et al., Circle loss, CVPR 2020",
)
def circle(
    y_true: Array,
    y_pred: Array,
    *,
    gamma: float = 80.0,
    margin: float = 0.4,
    remove_diagonal: bool = True,
    ref_labels: Array | None = None,
    ref_embeddings: Array | None = None,
) -> Array:
    """The circle loss of each sample, shape (n,), from class numbers (n,) and embeddings (n, d) of length 1.

    With distances d = 1 − cos it is softplus(ln Σ₊ exp(−γ(m + d)(m − d)) + ln Σ₋ exp(γ(1 + m − d)₊(1 − m −
    d))), summed over the samples of the same class (₊; without the sample itself, if ``remove_diagonal``) and
    of other classes (₋): γ is ``gamma``, m ``margin``. A sample for which one of the two is empty costs 0.
    The samples are compared with ``ref_embeddings`` of the classes ``ref_labels``, if given, else with each
    other: then the loss of one sample depends on the whole batch.

    Raises :class:`nnx.errors.ShapeError` where the outputs are no matrix, and where there is not one class
    number for each row.
    Shapes: (n,), (n, d) → (n,).
    Source: Y. Sun et al., "Circle loss: a unified perspective of pair similarity optimization", CVPR 2020.

    >>> y_pred = np.asarray([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    >>> nnx.to_numpy(nnx.losses.circle(np.asarray([0, 0, 1]), y_pred, gamma=1.0)).round(4)
    array([0.5629, 0.7339, 0.    ])
    """
    truth("circle", "remove_diagonal", remove_diagonal)
    xp = namespace(y_pred, y_true)
    others = y_pred if ref_embeddings is None else ref_embeddings
    labels = y_true if ref_labels is None else ref_labels
    if y_pred.ndim != 2 or others.ndim != 2:
        raise ShapeError(
            f"circle needs one vector for each sample, got outputs of shape {tuple(y_pred.shape)}."
        )
    labels, y_true = (xp.reshape(xp.astype(a, xp.int64), (-1,)) for a in (labels, y_true))
    if y_true.shape[0] != y_pred.shape[0] or labels.shape[0] != others.shape[0]:
        raise ShapeError(
            f"circle needs one class number for each sample, got {y_true.shape[0]} for {y_pred.shape[0]} "
            f"(and {labels.shape[0]} for {others.shape[0]} to compare with)."
        )
    d = xp.maximum(1.0 - y_pred @ xp.matrix_transpose(others), 0.0)
    same = y_true[:, None] == labels[None, :]
    positive, negative = same, ~same
    if remove_diagonal:
        positive = positive & ~xp.eye(*d.shape, dtype=xp.bool, device=device_of(y_pred))
    near = -gamma * xp.maximum(margin + d, 0.0) * (margin - d)
    far = gamma * xp.maximum(1.0 + margin - d, 0.0) * (1.0 - margin - d)
    both = xp.any(positive, axis=1) & xp.any(negative, axis=1)
    total = _log_sum_exp(xp, near, positive) + _log_sum_exp(xp, far, negative)
    return xp.where(both, softplus(total), 0.0)
