"""Targets as a loss takes them: their shape and their range, checked once before training."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from nnx.backend import namespace, to_numpy
from nnx.errors import DataError, ShapeError
from nnx.losses import Loss
from nnx.losses.base import RANGES
from nnx.models.network import Network

#: How far beyond their range targets may lie that were computed, in float32, by a softmax for example.
_ROUNDING = 1e-5


def fit_targets(y: Any, out: tuple[int, ...], loss: Loss, what: str, model: str) -> Any:
    """``y`` in the shape that the loss compares with outputs of shape ``out``; its values are checked."""
    if loss.traits.targets == "indices":
        if y.ndim == len(out) + 1 and y.shape[-1] == 1:
            y = namespace(y).squeeze(y, axis=-1)
        if tuple(y.shape[1:]) != out[:-1]:
            raise _other_places(y, out, loss, what, model)
        _check_labels(y, out[-1], loss, what)
        return y
    if y.ndim == 1 and out == (1,):
        y = namespace(y).expand_dims(y, axis=1)
    if loss.traits.targets is not None and tuple(y.shape[1:]) != out:
        hint = ""
        if y.ndim == 1 and loss.name == "categorical_crossentropy":
            hint = " For class numbers use sparse_categorical_crossentropy or nnx.utils.to_categorical(y)."
        raise ShapeError(
            f"{model} gives outputs of shape {out} for each sample, "
            f"got {what} of shape {tuple(y.shape)}.{hint}"
        )
    _check_range(y, loss, what)
    return y


def _other_places(y: Any, out: tuple[int, ...], loss: Loss, what: str, model: str) -> ShapeError:
    """The error for class numbers whose places are not those of the network's outputs."""
    if y.ndim == 1:
        return ShapeError(
            f"{model} gives outputs of shape {out} for each sample, so {loss.name} would need "
            f"{what} of shape (n, {', '.join(map(str, out[:-1]))}); got {what} of shape {tuple(y.shape)}, "
            "one class number for each sample. Is a Flatten() missing before the last layers?"
        )
    return ShapeError(
        f"{loss.name} needs one class number for each output of a sample ({what} of shape "
        f"{('n', *out[:-1])}), got {what} of shape {tuple(y.shape)}. For one-hot rows use "
        "categorical_crossentropy."
    )


def warn_of_one_unit(network: Network, heads: Sequence[Any], losses: Sequence[Loss | None]) -> None:
    """Warns where an output can learn nothing: softmax or categorical cross-entropy of a single unit."""
    for name, shape, head, loss in zip(
        network.output_names, network.output_shapes, heads, losses, strict=True
    ):
        reason = None if loss is None or shape[-1:] != (1,) else _why_nothing(head, loss)
        if reason is None:
            continue
        where = f" at its output '{name}'" if len(heads) > 1 else ""
        warnings.warn(
            f"{network.model} can learn nothing{where}: {reason}. For two classes use Dense(1, 'sigmoid') "
            "with binary_crossentropy, or an output for each class.",
            stacklevel=4,
        )


def _why_nothing(head: Any, loss: Loss) -> str | None:
    along = getattr(head, "options", {}).get("axis", -1)
    if getattr(head, "name", "") in ("softmax", "log_softmax") and along == -1:
        return "its output is a softmax of one unit, which is 1 whatever the weights are"
    if loss.name in ("categorical_crossentropy", "sparse_categorical_crossentropy"):
        return f"{loss.name} of one output is 0 whatever the weights are"
    return None


def extremes(a: Any) -> tuple[float, float]:
    """The smallest and the largest number of an array (of bools: 0 and 1, and so if there are none)."""
    xp = namespace(a)
    if xp.isdtype(a.dtype, "bool") or 0 in a.shape:
        return 0.0, 1.0
    return float(to_numpy(xp.min(a))), float(to_numpy(xp.max(a)))


def _check_labels(y: Any, classes: int, loss: Loss, what: str) -> None:
    # On the host: a GPU library would wrap a label that is out of range, and train on a wrong class.
    labels = to_numpy(y)
    wrong = (labels < 0) | (labels >= classes) | (labels != labels.astype("int64"))
    if wrong.any():
        i = int(wrong.reshape(len(labels), -1).any(axis=1).argmax())
        shifted = labels.min() == 1 and labels.max() == classes
        hint = f" Labels that start at 1: subtract 1 from {what}." if shifted else ""
        raise DataError(
            f"{loss.name}: {what}[{i}] is {labels[i]}, but the network has {classes} outputs, so class "
            f"numbers must be whole numbers from 0 to {classes - 1} ({int(wrong.sum())} of {wrong.size} are "
            f"not).{hint}"
        )


def _check_range(y: Any, loss: Loss, what: str) -> None:
    least, most = RANGES.get(loss.traits.task, (-math.inf, math.inf))
    if (least, most) == (-math.inf, math.inf):
        return
    low, high = extremes(y)
    if least - _ROUNDING <= low and high <= most + _ROUNDING:
        return
    allowed = f"of at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
    raise DataError(
        f"{loss.name} takes targets {allowed}, got {what} from {low:g} to {high:g}. "
        f"{_advice(low, high, most, what)}"
    )


def _advice(low: float, high: float, most: float, what: str) -> str:
    if (low, high) == (1.0, 2.0):
        return f"For labels 1 and 2: subtract 1 from {what}."
    if (low, high) == (-1.0, 1.0):
        return f"For labels -1 and 1: use ({what} + 1) / 2, or the loss hinge."
    if low >= 0.0:
        return (
            "For class numbers use sparse_categorical_crossentropy and an output for each class; "
            f"of other numbers up to {high:g}, divide {what} by {high:g}."
        )
    return "For numbers of any size use a loss of regression, such as mean_squared_error."
