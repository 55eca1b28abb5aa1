"""Intersection over union of classes: how well what was found covers what is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nnx.backend import adapter_of, get_backend, namespace
from nnx.errors import OptionError, ShapeError
from nnx.metrics.base import Metric, ratio, registry
from nnx.options import Numbers, flag, number, option

Array = Any


class _Overlap(Metric):
    # The fields are those of the classes below: their order is Keras'.
    num_classes: int
    ignore_class: int | None = None
    axis: int = -1

    @property
    def targets(self) -> Sequence[int]:
        """The classes over which the mean is taken."""
        return range(self.num_classes)

    def labels(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        """Targets and outputs as class numbers."""
        raise NotImplementedError

    def statistics(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> Array:
        """The weighted number of entries of class i (row) that were taken for class j (column)."""
        xp, n = namespace(y_true, y_pred), self.num_classes
        dtype = y_pred.dtype if adapter_of(y_pred).is_floating(y_pred.dtype) else get_backend().dtype
        actual, found = (xp.reshape(xp.astype(a, xp.int64), (-1,)) for a in self.labels(y_true, y_pred))
        if actual.shape != found.shape:
            raise ShapeError(
                f"{self.name}: targets of shape {tuple(y_true.shape)} and outputs of shape "
                f"{tuple(y_pred.shape)} are not one class number each. With an output for each class: "
                "sparse_y_pred=False; with one-hot targets: sparse_y_true=False."
            )
        weight = xp.ones_like(actual, dtype=adapter_of(y_pred).dtype(dtype))
        if sample_weight is not None:
            given = xp.astype(sample_weight, weight.dtype)
            given = xp.reshape(given, (-1,)) if given.ndim else given
            if given.ndim and given.shape[0] not in (1, weight.shape[0]):
                per_sample = weight.shape[0] // max(given.shape[0], 1)
                if per_sample * given.shape[0] != weight.shape[0]:
                    raise ShapeError(
                        f"{self.name}: sample_weight of shape {tuple(sample_weight.shape)} does not fit "
                        f"targets of shape {tuple(y_true.shape)}."
                    )
                given = xp.repeat(given, per_sample)
            weight = weight * given
        known = (actual >= 0) & (actual < n) & (found >= 0) & (found < n)
        if self.ignore_class is not None:
            known = known & (actual != self.ignore_class)
        place = xp.where(known, actual * n + found, 0)
        weight = xp.where(known, weight, 0.0)
        return xp.reshape(adapter_of(weight).scatter_add(n * n, place, weight[:, None]), (n, n))

    def value(self, sums: Array) -> Any:
        xp = namespace(sums)
        right = xp.linalg.diagonal(sums)
        union = xp.sum(sums, axis=0) + xp.sum(sums, axis=1) - right
        chosen = [(float(right[i]), float(union[i])) for i in self.targets]
        there = [part / whole for part, whole in chosen if whole > 1e-9]
        return ratio(sum(there), float(len(there)))


def _classes() -> Any:
    return number(least=1, whole=True)


def _class() -> Any:
    return number(None, whole=True, optional=True)


def _ids(default: Any = None) -> Any:
    check = Numbers("class numbers, whole and ≥ 0", lambda n: n >= 0)
    return option(check) if default is None else option(check, default)


def _axis() -> Any:
    return number(-1, whole=True)


class _SomeClasses(_Overlap):
    target_class_ids: Sequence[int]

    @property
    def targets(self) -> Sequence[int]:
        return self.target_class_ids

    def __post_init__(self) -> None:
        super().__post_init__()
        if max(self.target_class_ids) >= self.num_classes:
            raise OptionError(
                f"{type(self).__name__}: target_class_ids must be less than "
                f"num_classes={self.num_classes}, got {self.target_class_ids}."
            )


class _Sparse(_Overlap):
    sparse_y_true: bool
    sparse_y_pred: bool

    def labels(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        xp = namespace(y_true, y_pred)
        return (
            y_true if self.sparse_y_true else xp.argmax(y_true, axis=self.axis),
            y_pred if self.sparse_y_pred else xp.argmax(y_pred, axis=self.axis),
        )


@registry.register(task="sparse", direction="up", use="Segmentation: how well chosen classes are covered.")
@dataclass(frozen=True)
class IoU(_SomeClasses, _Sparse):
    """The mean over ``target_class_ids`` of TP / (TP + FP + FN); classes that do not occur are left out.

    Targets and outputs are class numbers; with ``sparse_y_true`` or ``sparse_y_pred`` False the largest entry
    along ``axis`` is the class. Entries of ``ignore_class``, and of classes outside of 0 … num_classes − 1,
    do not count. Weights are used as they are, of each sample or each entry (Keras rounds them down to whole
    numbers, unless its dtype is a floating-point one).

    Shapes: (...), (...) → (). Source: Keras' ``metrics.IoU``.

    >>> nnx.metrics.IoU(num_classes=2, target_class_ids=[0])([0, 0, 1, 1], [0, 1, 0, 1])
    0.3333333333333333
    """

    num_classes: int = _classes()
    target_class_ids: Sequence[int] = _ids()
    ignore_class: int | None = _class()
    sparse_y_true: bool = flag(True)
    sparse_y_pred: bool = flag(True)
    axis: int = _axis()


@registry.register(task="sparse", direction="up", use="Segmentation: how well classes are covered.")
@dataclass(frozen=True)
class MeanIoU(_Sparse):
    """The mean over all classes of TP / (TP + FP + FN); see :class:`IoU`.

    Shapes: (...), (...) → (). Source: Keras' ``metrics.MeanIoU``.

    >>> nnx.metrics.MeanIoU(num_classes=2)([0, 0, 1, 1], [0, 1, 0, 1])
    0.3333333333333333
    """

    num_classes: int = _classes()
    ignore_class: int | None = _class()
    sparse_y_true: bool = flag(True)
    sparse_y_pred: bool = flag(True)
    axis: int = _axis()


@registry.register(task="binary", direction="up", use="Segmentation into foreground and background.")
@dataclass(frozen=True)
class BinaryIoU(_SomeClasses):
    """The mean of TP / (TP + FP + FN) of classes 0 and 1; an output from ``threshold`` on is class 1.

    Shapes: (...), (...) → (). Source: Keras' ``metrics.BinaryIoU``.

    >>> nnx.metrics.BinaryIoU([0, 1], threshold=0.3)([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7])
    0.3333333333333333
    """

    target_class_ids: Sequence[int] = _ids((0, 1))
    threshold: float = number(0.5)

    @property
    def num_classes(self) -> int:  # type: ignore[override]
        """Two: 0 and 1."""
        return 2

    def labels(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        return y_true, y_pred >= self.threshold


class _OneHot(_Overlap):
    sparse_y_pred: bool

    def labels(self, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
        xp = namespace(y_true, y_pred)
        found = y_pred if self.sparse_y_pred else xp.argmax(y_pred, axis=self.axis)
        return xp.argmax(y_true, axis=self.axis), found


@registry.register(task="categorical", direction="up", use="As IoU, with one-hot targets.")
@dataclass(frozen=True)
class OneHotIoU(_SomeClasses, _OneHot):
    """As :class:`IoU`, of one-hot targets and (unless ``sparse_y_pred``) an output for each class.

    Shapes: (..., classes), (..., classes) → (). Source: Keras' ``metrics.OneHotIoU``.

    >>> metric = nnx.metrics.OneHotIoU(num_classes=2, target_class_ids=[1])
    >>> metric([[1, 0], [0, 1]], [[0.2, 0.8], [0.1, 0.9]])
    0.5
    """

    num_classes: int = _classes()
    target_class_ids: Sequence[int] = _ids()
    ignore_class: int | None = _class()
    sparse_y_pred: bool = flag(False)
    axis: int = _axis()


@registry.register(task="categorical", direction="up", use="As MeanIoU, with one-hot targets.")
@dataclass(frozen=True)
class OneHotMeanIoU(_OneHot):
    """As :class:`MeanIoU`, of one-hot targets and (unless ``sparse_y_pred``) an output for each class.

    Shapes: (..., classes), (..., classes) → (). Source: Keras' ``metrics.OneHotMeanIoU``.

    >>> nnx.metrics.OneHotMeanIoU(num_classes=2)([[1, 0], [0, 1]], [[0.2, 0.8], [0.1, 0.9]])
    0.25
    """

    num_classes: int = _classes()
    ignore_class: int | None = _class()
    sparse_y_pred: bool = flag(False)
    axis: int = _axis()
