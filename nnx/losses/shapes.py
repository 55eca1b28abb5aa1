"""Targets and outputs brought together: one shape, one data type."""

from __future__ import annotations

from typing import Any

from nnx.activations.base import AXIS
from nnx.activations.base import need_axis as need_axis_of
from nnx.autodiff.array import raw
from nnx.backend import adapter_of, asarray, device_of, get_backend, namespace, to_numpy
from nnx.errors import DtypeError, ShapeError

Array = Any

__all__ = ["AXIS", "array_like", "as_arrays", "class_numbers", "matched", "need_axis"]


def need_axis(y_pred: Array, axis: int) -> None:
    """Raises :class:`nnx.errors.AxisError` for outputs without that axis."""
    need_axis_of("Outputs", y_pred, axis)


def as_arrays(
    y_true: Any, y_pred: Any, sample_weight: Any = None, floating: bool = True
) -> tuple[Array, Array, Array | None]:
    """Targets, outputs and weights as arrays of one library, outputs of floating-point numbers.

    Lists become arrays of the library, and on the device, of what is an array already (else of the current
    backend); outputs that were lists or whole numbers have the current backend's floating-point type (with
    ``floating`` False they stay what they are).
    """
    home = next((a for a in (y_pred, y_true) if hasattr(a, "dtype")), None)

    def placed(given: Any) -> Array:
        if hasattr(given, "dtype"):
            adapter_of(given).need_entries(raw(given), "the array")
            return given
        return asarray(given) if home is None else array_like(home, asarray(given))

    was_list, y_pred = not hasattr(y_pred, "dtype"), placed(y_pred)
    if floating and (was_list or not adapter_of(y_pred).is_floating(y_pred.dtype)):
        y_pred = namespace(y_pred).astype(y_pred, adapter_of(y_pred).dtype(get_backend().dtype))
    return placed(y_true), y_pred, None if sample_weight is None else placed(sample_weight)


def array_like(home: Array, given: Array) -> Array:
    """``given`` as an array of the library, and on the device, of ``home``."""
    own, adapter = adapter_of(given), adapter_of(home)
    return adapter.asarray(given if own is adapter else to_numpy(given), device=device_of(home))


def matched(y_true: Array, y_pred: Array) -> tuple[Any, Array, Array]:
    """``(xp, y_true, y_pred)``: of one shape, ``y_true`` in the data type of ``y_pred``.

    As in Keras, (n,) with (n, 1) becomes (n, 1). Other shapes that differ raise ``ShapeError``: they
    would broadcast, and the loss would silently compare everything with everything.
    """
    xp = namespace(y_pred, y_true)
    if y_true.shape != y_pred.shape:
        y_true, y_pred = _same_shape(xp, y_true, y_pred)
    if y_true.dtype != y_pred.dtype:
        y_true = xp.astype(y_true, y_pred.dtype)
    return xp, y_true, y_pred


def _same_shape(xp: Any, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
    given, predicted = tuple(y_true.shape), tuple(y_pred.shape)
    if predicted == (*given, 1):
        return xp.expand_dims(y_true, axis=-1), y_pred
    if given == (*predicted, 1):
        return y_true, xp.expand_dims(y_pred, axis=-1)
    hint = ""
    if len(given) == len(predicted) - 1 and given == predicted[:-1]:
        hint = (
            " If the targets are numbers of classes, use a sparse_categorical_… loss or metric, or make them "
            "one-hot with nnx.utils.to_categorical."
        )
    raise ShapeError(
        f"Targets and outputs must have the same shape, got y_true of shape {given} and y_pred of shape "
        f"{predicted}.{hint}"
    )


def class_numbers(y_true: Array, y_pred: Array, axis: int = -1) -> tuple[Any, Array]:
    """``(xp, labels)``: class numbers as int64, in the shape of ``y_pred`` without ``axis``.

    An axis of length 1 of ``y_true`` is dropped. Whether they are whole and in range is not checked here
    (that would wait for the device): a model checks it on the host, before the data move.
    """
    xp = namespace(y_pred, y_true)
    shape = tuple(y_pred.shape)
    if not shape:
        raise ShapeError(
            "Outputs of classes need an axis with one number for each class, got a single number."
        )
    need_axis(y_pred, axis)
    axis %= len(shape)
    expected = shape[:axis] + shape[axis + 1 :]
    given = tuple(y_true.shape)
    if given != expected:
        if given != (*shape[:axis], 1, *shape[axis + 1 :]):
            raise ShapeError(
                f"Class numbers for outputs of shape {shape} must have shape {expected}, got {given}. For "
                "one-hot targets use the categorical_… loss or metric without `sparse`."
            )
        y_true = xp.squeeze(y_true, axis=axis)
    if y_true.dtype != xp.int64:
        if not xp.isdtype(y_true.dtype, ("integral", "real floating", "bool")):
            raise DtypeError(f"Class numbers must be whole numbers, got dtype {y_true.dtype}.")
        y_true = xp.astype(y_true, xp.int64)
    return xp, y_true
