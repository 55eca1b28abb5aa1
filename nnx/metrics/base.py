"""What a metric is: sums over a batch, computed on the device, and what they mean at the end.

The sums of two batches are the sums of the entries: a training loop adds the statistics of its batches, and
reads them back once, when the number is to be shown. So a metric never waits for the device, and its
result does not depend on how the data were cut into batches (the mean of batch means would).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from nnx.backend import device_of, namespace, to_numpy
from nnx.losses.shapes import as_arrays, class_numbers, matched
from nnx.options import Number, Options, option, text
from nnx.registry import Registry, Traits, snake_case

Array = Any


@dataclass(frozen=True)
class MetricTraits(Traits):
    """What is declared with a metric."""

    #: as of losses, or "labels" (one-hot rows or class numbers) or "values" (no targets)
    task: str = ""
    #: "up" where more is better, "down" where less is, None where that is not known
    direction: Literal["up", "down"] | None = None
    #: whether only the order of a sample's outputs counts
    ranks_only: bool = False
    #: whether outputs that are whole numbers are class numbers, and stay what they are
    class_numbers: bool = False
    #: the name in logs where it is not the function's
    label: str = ""


#: The metrics by name: classes, and functions of ``(y_true, y_pred)`` whose weighted mean is the metric.
registry = Registry("metric", MetricTraits, module="nnx.metrics")

THRESHOLD = Number(least=0.0, most=1.0)
AT_LEAST_ONE = Number(least=1, whole=True)


@dataclass(frozen=True)
class Metric(Options):
    """Base class of metrics. Yours derives from it, or is a function (see :class:`MeanMetricWrapper`).

    A metric is two pure functions, which are what you write: ``statistics(y_true, y_pred,
    sample_weight=None)``, sums over a batch, and ``value(sums)``, what they mean. A model that is compiled
    with it uses these alone. On its own it keeps a sum, as in Keras: ``update_state(y_true, y_pred,
    sample_weight=None)`` adds a batch, ``result()`` is the value now, ``reset_state()`` begins anew, and a
    call adds and returns the value. Lists are taken as arrays of the current backend.

    >>> metric = nnx.metrics.MeanSquaredError()
    >>> metric.update_state([[0.0], [0.0]], [[1.0], [3.0]])
    >>> metric.result()
    5.0
    >>> metric([[0.0], [0.0]], [[1.0], [1.0]])
    3.0
    >>> sums = metric.statistics(np.asarray([[0.0]]), np.asarray([[2.0]]))
    >>> metric.reset_state()
    >>> metric.value(nnx.to_numpy(sums)), metric.result()
    (4.0, 0.0)
    """

    kind: ClassVar[str] = "metric"
    renamed: ClassVar[Mapping[str, str]] = {
        "dtype": "nothing in its place (a metric is computed in the type of y_pred)",
        "ignore_class": "sample_weight, with 0 where the class is to be left out",
    }

    #: What logs and history call it.
    name: str | None = option(text, None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.name:
            object.__setattr__(self, "name", snake_case(type(self).__name__))

    @property
    def traits(self) -> MetricTraits:
        """What was declared with it; nothing of a class that is not registered."""
        entry = registry.find(type(self))
        return MetricTraits() if entry is None else entry.traits

    @property
    def direction(self) -> str | None:
        """``"up"`` where more is better, ``"down"`` where less is, None where that is not known."""
        return self.traits.direction

    @property
    def ranks_only(self) -> bool:
        """Whether only the order of a sample's outputs counts: what comes before a softmax serves as well."""
        return self.traits.ranks_only

    # -- pure ------------------------------------------------------------------------------------------

    def statistics(self, y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> Array:
        """Sums over the batch, as an array whose shape does not depend on the batch's length."""
        raise NotImplementedError(
            f"{type(self).__name__} must define statistics(self, y_true, y_pred, sample_weight=None), the "
            "sums of a batch, and value(self, sums); update_state stays as it is."
        )

    def value(self, sums: Array) -> Any:
        """The metric from the sum of all batches' statistics, a NumPy array: a float, or an array."""
        raise NotImplementedError(f"{type(self).__name__} must define value(self, sums).")

    # -- with a sum of its own, as in Keras ------------------------------------------------------------

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch to the sums.

        Raises :class:`nnx.errors.ShapeError` and :class:`nnx.errors.DtypeError` for targets and outputs that
        do not fit.
        """
        given = as_arrays(y_true, y_pred, sample_weight, floating=not self.traits.class_numbers)
        self._add(self.statistics(*map(wide, given)))

    def result(self) -> Any:
        """The value over all batches since the start, or the last ``reset_state``; 0.0 before the first."""
        sums = vars(self).get("_sums")
        return 0.0 if sums is None else self.value(to_numpy(sums))

    def reset_state(self) -> None:
        """Clears the sums: the next ``update_state`` begins anew."""
        object.__setattr__(self, "_sums", None)

    def __call__(self, *args: Any, **options: Any) -> Any:
        self.update_state(*args, **options)
        return self.result()

    def _add(self, statistics: Array) -> None:
        sums = vars(self).get("_sums")
        object.__setattr__(self, "_sums", statistics if sums is None else sums + statistics)


def wide(x: Any) -> Any:
    """The array ``x``, of float16 and bfloat16 as float32: their sums overflow at 65504, or stop at 256."""
    if x is None:
        return None
    xp = namespace(x)
    narrow = xp.isdtype(x.dtype, "real floating") and xp.finfo(x.dtype).bits < 32
    return xp.astype(x, xp.float32) if narrow else x


def ratio(part: Any, whole: Any) -> Any:
    """The quotient, and 0 where ``whole`` is 0; of floats or of NumPy arrays."""
    if isinstance(whole, float):
        return part / whole if whole else 0.0
    xp = namespace(whole)
    return xp.where(whole == 0, 0.0, part / xp.where(whole == 0, 1.0, whole))


def indicators(y_true: Array, y_pred: Array) -> tuple[Any, Array, Array]:
    """``(xp, y_true, y_pred)`` of one shape: class numbers for outputs of several classes become one-hot."""
    several = y_pred.ndim > 0 and y_pred.shape[-1] > 1
    if several and (y_true.ndim < y_pred.ndim or y_true.shape[-1] == 1):
        xp, labels = class_numbers(y_true, y_pred)
        return xp, xp.astype(is_class(xp, labels, y_pred), y_pred.dtype), y_pred
    return matched(y_true, y_pred)


def is_class(xp: Any, labels: Array, y_pred: Array) -> Array:
    """True at each label's place along a new last axis, as long as that of ``y_pred``."""
    classes = xp.arange(y_pred.shape[-1], dtype=labels.dtype, device=device_of(y_pred))
    return labels[..., None] == classes
