"""How a quantity moved in training, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nnx.errors import DataError, OptionError
from nnx.models.arguments import validates
from nnx.plotting.canvas import axes_for, colour, dressed

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def learning_curves(
    history: Any,
    metric: str = "loss",
    *,
    validation_freq: Any = 1,
    label: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Axes with the curves of one quantity over the epochs: in training, and in validation if there was any.

    ``history`` is what ``fit`` returned, or its dict ``history.history``: for each name a list of numbers.
    ``metric`` is one of these names, without ``val_``; a curve of ``metric`` is solid, one of ``val_metric``
    dashed. Epochs count from 1. The loss of an epoch in training is the mean over its batches, while the
    weights were moving; that in validation belongs to the weights at the end of the epoch. So the latter may
    be lower.

    - ``validation_freq``: as it was given to ``fit``; it says to which epochs the validations belong.
    - ``label``: stands before "training" and "validation" in the legend, to compare several trainings on the
      same ``ax``.

    Raises :class:`nnx.errors.OptionError` for a metric that the history does not hold (it lists those that it
    holds), and :class:`nnx.errors.DataError` for a metric whose values are arrays, for a history without
    epochs, and where ``validation_freq`` does not fit the number of validations.

    >>> model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(1,))], seed=1)
    >>> model.compile("sgd", "mse")
    >>> x = np.linspace(-1.0, 1.0, 20)
    >>> history = model.fit(x, 2.0 * x, epochs=5, validation_split=0.2, verbose=0)
    >>> ax = nnx.plotting.learning_curves(history)
    >>> [line.get_label() for line in ax.lines], ax.get_ylabel()
    (['training', 'validation'], 'loss')

    Source: C. M. Bishop, *Pattern Recognition and Machine Learning*, Springer 2006, section 5.5.2 (reading
    off when to stop).
    """
    logs: Mapping[str, Sequence[Any]] = getattr(history, "history", history)
    _need_metric(logs, metric)
    values = _numbers(logs[metric], metric)
    epochs = [epoch + 1 for epoch in getattr(history, "epoch", range(len(values)))]
    checked = None
    if f"val_{metric}" in logs:
        checked = _numbers(logs[f"val_{metric}"], f"val_{metric}")
        when = _epochs_of(checked, epochs, validation_freq)
    ax = axes_for(ax, "learning_curves")
    from matplotlib.ticker import MaxNLocator

    before, few = len(ax.lines), 5.0 if len(values) <= 30 else 0.0
    style: dict[str, Any] = {"linewidth": 1.8, "markersize": few}
    name = f"{label}: " if label else ""
    ax.plot(epochs, values, "-o", label=f"{name}training", color=colour(before), **style)
    if checked is not None:
        ax.plot(when, checked, "--s", label=f"{name}validation", color=colour(before + 1), **style)
    ticks: Any = ax.xaxis.get_major_locator()
    if isinstance(ticks, MaxNLocator):  # else ticks were chosen for this ax
        ticks.set_params(integer=True)
    ax.legend(loc="best")
    return dressed(ax, "epoch", metric.replace("_", " "))


def _need_metric(logs: Any, metric: Any) -> None:
    if not isinstance(logs, Mapping):
        raise OptionError(
            "learning_curves: history must be what fit returned, or a dict of lists of numbers; got "
            f"{type(logs).__name__}."
        )
    names = [name for name in logs if not name.startswith("val_")]
    if metric not in names:
        hint = " Give it without 'val_': both curves are drawn." if str(metric).startswith("val_") else ""
        raise OptionError(
            f"learning_curves: this history has no metric {metric!r}. It has: "
            f"{', '.join(map(repr, names)) or 'none'}.{hint}"
        )


def _numbers(values: Sequence[Any], name: str) -> list[float]:
    if not len(values):
        raise DataError(f"learning_curves: this history holds no epoch of '{name}'.")
    try:
        return [float(value) for value in values]
    except (TypeError, ValueError):
        raise DataError(
            f"learning_curves: '{name}' is not one number for each epoch, got {values[0]!r}."
        ) from None


def _epochs_of(values: Sequence[float], epochs: Sequence[int], freq: Any) -> list[int]:
    """The epochs that were followed by a validation."""
    is_one = validates(freq)
    found = [epoch for epoch in epochs if is_one(epoch - 1)]
    if len(found) != len(values):
        raise DataError(
            f"learning_curves: the history holds {len(values)} validations of {len(epochs)} epochs, but with "
            f"validation_freq={freq!r} there would be {len(found)}. Give validation_freq as fit got it."
        )
    return found
