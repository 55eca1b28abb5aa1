"""Losses of sequences whose labels have no places: connectionist temporal classification."""

from __future__ import annotations

from typing import Any

from nnx.activations import log_softmax
from nnx.backend import device_of, namespace
from nnx.errors import ShapeError
from nnx.losses.base import registry

Array = Any

# The logarithm of no path: finite, because −∞ less −∞ in a derivative would be NaN.
_NEVER = -1e30


@registry.register(
    class_name="CTC",
    formula=r"-\ln \sum_{\pi \to y} \prod_t \hat y_{t, \pi_t}",
    task="other",
    use="Speech and handwriting: labels in order, but without their times.",
    source="A. Graves et al., Connectionist temporal classification, ICML 2006",
)
def ctc(y_true: Array, y_pred: Array) -> Array:
    """−ln of the probability of the labels ``y_true`` (n, longest) at any times, shape (n,).

    ``y_pred`` (n, times, classes) holds what goes into softmax. Class 0 is the blank, and fills the labels up
    at their end. Labels that need more times than there are (with a blank between equal neighbours) cost inf,
    with derivative 0. The forward recursion in logarithms, with one step for each time.

    Raises :class:`nnx.errors.ShapeError` for other numbers of axes and for another number of samples.
    Shapes: (n, longest), (n, times, classes) → (n,).
    Source: A. Graves, S. Fernández, F. Gomez, J. Schmidhuber, "Connectionist temporal classification", ICML
    2006, section 4.1.

    >>> y_pred = np.log(np.asarray([[[0.5, 0.5], [0.5, 0.5]]]))
    >>> np.exp(-nnx.losses.ctc(np.asarray([[1]]), y_pred)).round(12)  # the paths 1-1, 0-1 and 1-0
    array([0.75])
    """
    xp = namespace(y_pred, y_true)
    if y_true.ndim != 2 or y_pred.ndim != 3 or y_true.shape[0] != y_pred.shape[0]:
        raise ShapeError(
            "ctc needs labels of shape (samples, longest) and outputs of shape (samples, times, classes), "
            f"got {tuple(y_true.shape)} and {tuple(y_pred.shape)}."
        )
    n, longest = y_true.shape
    labels = xp.astype(y_true, xp.int64)
    blanks = xp.zeros_like(labels)
    # The states: blank, label, blank, label, ..., blank.
    states = xp.reshape(xp.stack([blanks, labels], axis=2), (n, 2 * longest))
    states = xp.concat([states, blanks[:, :1] if longest else xp.zeros((n, 1), **_like(xp, labels))], axis=1)
    place = xp.arange(2 * longest + 1, **_like(xp, labels))[None, :]
    last = 2 * xp.sum(xp.astype(labels != 0, xp.int64), axis=1)[:, None]
    before = xp.concat([xp.zeros((n, 2), **_like(xp, labels)), states[:, :-2]], axis=1) if longest else states
    may_skip = (states != 0) & (states != before) & (place >= 2)

    chosen = states[:, None, :] == xp.arange(y_pred.shape[2], **_like(xp, labels))[None, :, None]
    emitted = log_softmax(y_pred, axis=-1) @ xp.astype(chosen, y_pred.dtype)  # (n, times, states)
    gap = xp.full((n, 2), _NEVER, dtype=y_pred.dtype, device=device_of(y_pred))
    paths = xp.where(place < 2, emitted[:, 0, :], _NEVER)
    for t in range(1, y_pred.shape[1]):
        shifted = xp.concat([gap, paths], axis=1)
        step, skip = shifted[:, 1:-1], xp.where(may_skip, shifted[:, :-2], _NEVER)
        paths = xp.logaddexp(xp.logaddexp(paths, step), skip) + emitted[:, t, :]
    ends = [xp.sum(xp.where(place == last - k, paths, 0.0), axis=1) for k in (0, 1)]
    ends[1] = xp.where(last[:, 0] > 0, ends[1], _NEVER)  # no labels: all blanks
    cost = -xp.logaddexp(*ends)
    return xp.where(cost < -0.5 * _NEVER, cost, float("inf"))


def _like(xp: Any, labels: Array) -> dict[str, Any]:
    return {"dtype": xp.int64, "device": device_of(labels)}
