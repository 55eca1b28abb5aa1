"""How many answers are right: the accuracy family, and top-k; and what is chosen by shapes as they are."""

from __future__ import annotations

from typing import Any

from nnx.backend import namespace
from nnx.losses import binary_crossentropy, categorical_crossentropy, sparse_categorical_crossentropy
from nnx.losses.shapes import class_numbers, matched
from nnx.metrics.base import AT_LEAST_ONE, THRESHOLD, is_class, registry

Array = Any


@registry.register(
    "acc",
    class_name="AccuracyByShape",
    task="labels",
    direction="up",
    ranks_only=True,
    class_numbers=True,
    use="The share of right answers; what right means, the shapes tell.",
)
def accuracy(y_true: Array, y_pred: Array) -> Array:
    """1.0 for each right answer, else 0.0; which accuracy is meant follows from the shapes, as in Keras.

    One output, (n, 1) or (n,): :func:`binary_accuracy`. Several outputs and class numbers:
    :func:`sparse_categorical_accuracy`; several outputs and rows of them: :func:`categorical_accuracy`.
    If ``y_pred`` holds whole numbers, these are class numbers, and are compared with ``y_true``.
    (For several labels that may hold together, ask for ``binary_accuracy`` by name.)

    Raises :class:`nnx.errors.ShapeError` where the shapes do not fit, :class:`nnx.errors.DtypeError` for
    class numbers of a type that is not real.
    Shapes: (n,), (n, classes) → (n,). Source: Keras' string ``"accuracy"`` in ``compile``.

    >>> nnx.metrics.accuracy(np.asarray([0, 2]), np.asarray([[0.9, 0.1, 0.0], [0.5, 0.3, 0.2]]))
    array([1., 0.])
    """
    xp = namespace(y_pred, y_true)
    one = y_pred.ndim < 2 or y_pred.shape[-1] == 1
    if one and xp.isdtype(y_pred.dtype, ("integral", "bool")):
        matched(y_true, y_pred)
        return xp.astype(y_true == y_pred, xp.float32)
    return _by_shape(y_true, y_pred, binary_accuracy, sparse_categorical_accuracy, categorical_accuracy)


@registry.register(
    class_name="Accuracy",
    label="accuracy",
    task="regression",
    direction="up",
    use="The share of predicted class numbers that equal the labels.",
)
def equality(y_true: Array, y_pred: Array) -> Array:
    """1.0 where ``y_pred`` is ``y_true``, else 0.0, entry by entry: what Keras calls the class ``Accuracy``.

    Outputs that are probabilities equal no label: ask for ``"accuracy"`` by name then (:func:`accuracy`).

    Raises :class:`nnx.errors.ShapeError` where the shapes differ.
    Shapes: (...), (...) → (...). Source: Keras' ``metrics.Accuracy``.

    >>> nnx.metrics.Accuracy()([0, 1, 2, 3], [0, 2, 2, 3])
    0.75
    """
    xp, y_true, y_pred = matched(y_true, y_pred)
    return xp.astype(
        y_true == y_pred, y_pred.dtype if xp.isdtype(y_pred.dtype, "real floating") else xp.float32
    )


@registry.register(
    "ce",
    class_name="CrossentropyByShape",
    task="labels",
    direction="down",
    use="The cross-entropy; which one, the shapes tell, as with accuracy.",
)
def crossentropy(y_true: Array, y_pred: Array) -> Array:
    """The binary, sparse categorical or categorical cross-entropy of probabilities, by the shapes.

    One output, (n, 1) or (n,): :func:`nnx.losses.binary_crossentropy`. Several outputs and class numbers:
    :func:`nnx.losses.sparse_categorical_crossentropy`; several outputs and rows of them:
    :func:`nnx.losses.categorical_crossentropy`.

    Raises :class:`nnx.errors.ShapeError` where the shapes do not fit, :class:`nnx.errors.DtypeError` for
    class numbers of a type that is not real.
    Shapes: (n,), (n, classes) → (n,). Source: Keras' string ``"crossentropy"`` in ``compile``.

    >>> nnx.metrics.crossentropy(np.asarray([0]), np.asarray([[0.5, 0.25, 0.25]]))
    array([0.69314718])
    """
    return _by_shape(
        y_true, y_pred, binary_crossentropy, sparse_categorical_crossentropy, categorical_crossentropy
    )


def _by_shape(y_true: Array, y_pred: Array, binary: Any, sparse: Any, categorical: Any) -> Array:
    if y_pred.ndim < 2 or y_pred.shape[-1] == 1:
        return binary(y_true, y_pred)
    return (sparse if y_true.ndim < y_pred.ndim or y_true.shape[-1] == 1 else categorical)(y_true, y_pred)


@registry.register(
    checks={"threshold": THRESHOLD},
    task="binary",
    direction="up",
    use="The share of labels on the right side of the threshold.",
)
def binary_accuracy(y_true: Array, y_pred: Array, *, threshold: float = 0.5) -> Array:
    """The share of outputs of a sample that are on the right side of ``threshold``: (n,) from (n, labels).

    Raises :class:`nnx.errors.ShapeError` where the shapes differ.
    Shapes: (n, labels), (n, labels) → (n,). Source: Keras' ``metrics.binary_accuracy``.

    >>> nnx.metrics.binary_accuracy(np.asarray([[1.0], [0.0]]), np.asarray([[0.7], [0.6]]))
    array([1., 0.])
    """
    THRESHOLD("binary_accuracy", "threshold", threshold)
    xp, y_true, y_pred = matched(y_true, y_pred)
    hits = xp.astype(xp.astype(y_pred > threshold, y_true.dtype) == y_true, y_pred.dtype)
    if hits.ndim < 2:
        return hits
    return hits[..., 0] if hits.shape[-1] == 1 else xp.mean(hits, axis=-1)


@registry.register(
    task="categorical",
    direction="up",
    ranks_only=True,
    use="The share of samples whose class has the best score.",
)
def categorical_accuracy(y_true: Array, y_pred: Array) -> Array:
    """1.0 where the best output is at the place of the largest target, else 0.0: (n,) from (n, classes).

    Raises :class:`nnx.errors.ShapeError` where the shapes differ.
    Shapes: (..., classes), (..., classes) → (...). Source: Keras' ``metrics.categorical_accuracy``.

    >>> nnx.metrics.categorical_accuracy(np.asarray([[0.0, 1.0]]), np.asarray([[0.2, 0.8]]))
    array([1.])
    """
    xp, y_true, y_pred = matched(y_true, y_pred)
    return xp.astype(xp.argmax(y_true, axis=-1) == xp.argmax(y_pred, axis=-1), y_pred.dtype)


@registry.register(
    task="sparse",
    direction="up",
    ranks_only=True,
    use="As categorical_accuracy, with class numbers as targets.",
)
def sparse_categorical_accuracy(y_true: Array, y_pred: Array) -> Array:
    """1.0 where the best output is at the place that ``y_true`` names, else 0.0: (n,) from (n, classes).

    Raises :class:`nnx.errors.ShapeError` where the shapes do not fit, :class:`nnx.errors.DtypeError` for
    class numbers of a type that is not real.
    Shapes: (...), (..., classes) → (...). Source: Keras' ``metrics.sparse_categorical_accuracy``.

    >>> nnx.metrics.sparse_categorical_accuracy(np.asarray([1]), np.asarray([[0.2, 0.8]]))
    array([1.])
    """
    xp, labels = class_numbers(y_true, y_pred)
    return xp.astype(labels == xp.argmax(y_pred, axis=-1), y_pred.dtype)


@registry.register(
    class_name="TopKCategoricalAccuracy",
    checks={"k": AT_LEAST_ONE},
    task="categorical",
    direction="up",
    ranks_only=True,
    use="The share of samples whose class is among the k best; k = 1 is categorical_accuracy.",
)
def top_k_categorical_accuracy(y_true: Array, y_pred: Array, *, k: int = 5) -> Array:
    """1.0 where the class of the largest target is among the ``k`` best outputs, else 0.0.

    A tie at the k-th place counts as in; nan counts as better than every number.

    Raises :class:`nnx.errors.ShapeError` where the shapes differ.
    Shapes: (..., classes), (..., classes) → (...). Source: Keras' ``metrics.top_k_categorical_accuracy``.

    >>> y = np.asarray([[0.0, 0.0, 1.0]])
    >>> nnx.metrics.top_k_categorical_accuracy(y, np.asarray([[0.5, 0.3, 0.2]]), k=2)
    array([0.])
    """
    xp, y_true, y_pred = matched(y_true, y_pred)
    return _among_best(xp, xp.argmax(y_true, axis=-1), y_pred, k)


@registry.register(
    class_name="SparseTopKCategoricalAccuracy",
    checks={"k": AT_LEAST_ONE},
    task="sparse",
    direction="up",
    ranks_only=True,
    use="As top_k_categorical_accuracy, with class numbers as targets.",
)
def sparse_top_k_categorical_accuracy(y_true: Array, y_pred: Array, *, k: int = 5) -> Array:
    """1.0 where the class that ``y_true`` names is among the ``k`` best outputs, else 0.0.

    Raises :class:`nnx.errors.ShapeError` where the shapes do not fit, :class:`nnx.errors.DtypeError` for
    class numbers of a type that is not real.
    Shapes: (...), (..., classes) → (...). Source: Keras' ``metrics.sparse_top_k_categorical_accuracy``.

    >>> nnx.metrics.sparse_top_k_categorical_accuracy(np.asarray([2]), np.asarray([[0.5, 0.2, 0.3]]), k=2)
    array([1.])
    """
    xp, labels = class_numbers(y_true, y_pred)
    return _among_best(xp, labels, y_pred, k)


def _among_best(xp: Any, labels: Array, y_pred: Array, k: int) -> Array:
    AT_LEAST_ONE("A top-k accuracy", "k", k)
    own = xp.sum(xp.where(is_class(xp, labels, y_pred), y_pred, 0.0), axis=-1)
    # Not "greater", so that a nan counts as a better one.
    better = xp.sum(xp.astype(~(y_pred <= own[..., None]), xp.int32), axis=-1)
    return xp.astype(better < k, y_pred.dtype)
