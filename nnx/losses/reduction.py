"""From one value per sample to one number: the weighted mean and its relatives, in one place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

from nnx.autodiff import fused
from nnx.backend import device_of, namespace, summed, to_numpy
from nnx.errors import DataError, OptionError, ShapeError
from nnx.options import OneOf

Array = Any


def _mean_back(
    xp: Any, g: Array, needs: Any, y: Array, values: Array, axis: int | None = None
) -> tuple[Array]:
    share = g * (1.0 / _count(values, axis))
    if axis is not None:
        share = share[..., None] if axis == -1 else xp.expand_dims(share, axis=axis)
    return (xp.zeros_like(values) + share,)


@fused(reverse=_mean_back, samples=True)
def mean(values: Array, *, axis: int | None = None) -> Array:
    """The mean of all entries, or along one axis; 0 where there are none. One step on the tape."""
    return summed(values, axis) / _count(values, axis)


def _count(values: Array, axis: int | None) -> int:
    return max(math.prod(values.shape) if axis is None else values.shape[axis], 1)


#: what may become of the values of samples
REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)
_REDUCTION = OneOf(REDUCTIONS)


def reduce(
    values: Array, sample_weight: Array | None = None, reduction: str | None = "sum_over_batch_size"
) -> Array:
    """Σ w·values / (number of values), a 0-d array: Keras' ``sum_over_batch_size``.

    ``values`` has one value per sample, shape (n,), or more, (n, ...); ``sample_weight`` has the same
    shape or only its first axes. The divisor is not the sum of the weights, so the weights' scale matters.
    Values in one number, shape (), count for each of the samples, so weights multiply them by their mean.

    ``reduction`` "mean" is another name of that; "sum" does not divide; "mean_with_sample_weight" divides by
    the sum of the weights (0 if that is 0); "none" and None leave the weighted values as they are.

    Raises :class:`nnx.errors.ShapeError` for a ``sample_weight`` that does not have the first axes of
    ``values``, :class:`nnx.errors.OptionError` for another ``reduction``.

    >>> float(nnx.losses.reduce(np.asarray([1.0, 3.0]), np.asarray([1.0, 0.5])))
    1.25
    >>> float(nnx.losses.reduce(np.asarray([1.0, 3.0]), np.asarray([1.0, 3.0]), "mean_with_sample_weight"))
    2.5
    """
    _REDUCTION("reduce", "reduction", reduction)
    if sample_weight is not None:
        xp = namespace(values, sample_weight)
        sample_weight = xp.astype(sample_weight, values.dtype, copy=False)
        values = values * (weights_like(xp, sample_weight, values) if values.ndim else sample_weight)
    if reduction in ("sum_over_batch_size", "mean"):
        return mean(values)
    if reduction in ("none", None) or values.ndim == 0:
        return values
    total = summed(values)
    return total if reduction == "sum" else total / divisor(tuple(values.shape), sample_weight, reduction)


def divisor(shape: tuple[int, ...], sample_weight: Array | None, reduction: str | None) -> Any:
    """What the sum of values of that shape is divided by: a float, or an array if weights say it."""
    if reduction == "sum":
        return 1.0
    if reduction != "mean_with_sample_weight" or sample_weight is None:
        return float(max(math.prod(shape), 1))
    xp = namespace(sample_weight)
    total = xp.sum(sample_weight)
    # Infinity where all weights are 0: the mean is 0 then.
    return xp.where(total == 0.0, math.inf, total)


def weights_like(xp: Any, sample_weight: Array, values: Array) -> Array:
    """The weights in the data type of ``values``, with axes of length 1 appended until the ranks agree."""
    shape, given = tuple(values.shape), tuple(sample_weight.shape)
    if given != shape:
        while given[1:] and given[-1] == 1:
            given = given[:-1]
        if given != shape[: len(given)]:
            raise ShapeError(
                f"sample_weight must have one number for each sample: for values of shape {shape} "
                f"it cannot have shape {tuple(sample_weight.shape)}."
            )
        sample_weight = xp.reshape(sample_weight, given + (1,) * (len(shape) - len(given)))
    return sample_weight if sample_weight.dtype == values.dtype else xp.astype(sample_weight, values.dtype)


def class_weights(y_true: Array, class_weight: Mapping[int, float], dtype: Any) -> Array:
    """The weight of each sample by its class, shape (n,): what ``fit(class_weight=...)`` stands for.

    ``y_true`` holds class numbers, (n,) or (n, 1), or one-hot rows, (n, classes). Classes that
    ``class_weight`` does not name have weight 1. Raises :class:`nnx.errors.OptionError` for classes that are
    not whole numbers ≥ 0 and for weights that are negative or not finite, and :class:`nnx.errors.DataError`
    for targets that are neither: numbers that are not whole, rows with several labels or with values.

    >>> nnx.losses.class_weights(np.asarray([0, 2, 2, 1]), {0: 3.0, 2: 0.5}, np.float32)
    array([3. , 0.5, 0.5, 1. ], dtype=float32)
    """
    if not isinstance(class_weight, Mapping):
        raise OptionError(
            f"class_weight must be a dict, class: weight, as in {{0: 1.0, 1: 5.0}}, got {class_weight!r}."
        )
    weights: dict[int, float] = {}
    for number, weight in class_weight.items():
        whole = isinstance(number, Real) and not isinstance(number, bool) and float(number).is_integer()
        if not whole or number < 0:
            raise OptionError(
                f"class_weight maps class numbers 0, 1, ... to weights, got the class {number!r}."
            )
        if not isinstance(weight, Real) or not 0.0 <= weight < math.inf:
            raise OptionError(f"class_weight of class {number} must be a number ≥ 0, got {weight!r}.")
        weights[int(number)] = float(weight)
    xp = namespace(y_true)
    if y_true.ndim > 2:
        raise ShapeError(
            f"class_weight needs one label per sample, got targets of shape {tuple(y_true.shape)}."
        )
    labels = xp.astype(y_true, xp.int64)
    meant, wrong = xp.astype(labels, y_true.dtype) == y_true, "numbers that are not whole"
    if y_true.ndim == 2 and y_true.shape[-1] == 1:
        labels = xp.squeeze(labels, axis=-1)
    elif y_true.ndim == 2:
        # Whole numbers ≥ 0 whose sum is 1 are one 1 among zeros.
        one = xp.sum(labels, axis=-1, keepdims=True) == 1
        meant, wrong = meant & (labels >= 0) & one, "rows that are not one-hot (weigh them by sample_weight)"
        labels = xp.argmax(labels, axis=-1)
    if not to_numpy(xp.all(meant)):
        raise DataError(f"class_weight needs class numbers or one-hot rows as targets, got {wrong}.")
    count = max(weights, default=-1) + 1
    # The last entry is for the classes that are not named.
    table = [weights.get(number, 1.0) for number in range(count)] + [1.0]
    place = xp.where((labels >= 0) & (labels < count), labels, count)
    return xp.take(xp.asarray(table, dtype=dtype, device=device_of(y_true)), place)
