"""What callbacks share that watch one value of the logs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from nnx.callbacks.base import Callback
from nnx.errors import OptionError
from nnx.options import Number, OneOf
from nnx.registry import Registry

_MODE = OneOf(("auto", "min", "max"))
_FINITE = Number()


class Watch:
    """Which value of the logs a callback watches, and which way it improves."""

    def __init__(self, where: str, name: str, mode: str = "auto") -> None:
        self.name = name
        self.lower = lower_is_better(where, name, mode)
        self._where = where
        self._validated = False

    def learn(self, logs: Mapping[str, Any]) -> None:
        """Before training, with logs as they will be: takes note whether there will be validations."""
        self._validated = _has_validation(logs)

    def expect(self, logs: Mapping[str, Any]) -> None:
        """The same, with an error if the watched value will not be there."""
        self.learn(logs)
        monitored(self._where, self.name, logs)

    def read(self, logs: Mapping[str, Any]) -> float | None:
        """The watched value; None where it belongs to the validation, and this epoch is not validated.

        Raises :class:`nnx.errors.OptionError` if the logs lack it otherwise.
        """
        if self.name not in logs and self.name.startswith("val_") and self.waits(logs):
            return None
        return monitored(self._where, self.name, logs)

    def waits(self, logs: Mapping[str, Any]) -> bool:
        """Whether this epoch is not validated, in a training that validates others (``validation_freq``)."""
        return self._validated and not _has_validation(logs)


def _has_validation(logs: Mapping[str, Any]) -> bool:
    return any(name.startswith("val_") for name in logs)


class Monitor(Callback):
    """Base class: watches the value ``monitor`` of the logs and knows when it is better than before."""

    def __init__(self, monitor: str, mode: str = "auto", min_delta: float = 0.0) -> None:
        where = type(self).__name__
        self.monitor = monitor
        self.mode = mode
        self.min_delta = abs(_FINITE(where, "min_delta", min_delta))
        self.best: float | None = None
        self.watch = Watch(where, monitor, mode)

    def improved(self, value: float, reference: float | None) -> bool:
        """Whether ``value`` is better than ``reference`` by more than ``min_delta``; NaN never is.

        ``value`` and ``reference`` are numbers in the units of what is monitored; a ``reference`` None
        is worse than any.
        """
        if math.isnan(value):
            return False
        if reference is None:
            return True
        if self.watch.lower:
            return value + self.min_delta < reference
        return value - self.min_delta > reference

    def before_training(self, of_batch: Mapping[str, Any], of_epoch: Mapping[str, Any]) -> None:
        self.watch.expect(of_epoch)


def lower_is_better(where: str, monitor: str, mode: str) -> bool:
    """Whether ``monitor`` improves by falling: as ``mode`` says, or with ``"auto"`` as its name tells."""
    if not isinstance(monitor, str):
        raise OptionError(f"{where}: monitor must be a name such as 'val_loss', got {monitor!r}.")
    if _MODE(where, "mode", mode) != "auto":
        return mode == "min"
    direction = _direction(monitor.removeprefix("val_"))
    if direction is None:
        raise OptionError(
            f"{where}: the name '{monitor}' does not tell whether high or low is better. "
            "Say it: mode='max' or mode='min'."
        )
    return direction == "down"


def _direction(name: str) -> str | None:
    if name == "loss":
        return "down"
    # Metrics first: as a metric, cosine similarity is good when it is high; as a loss it has the other sign.
    if (metrics := Registry.kinds.get("metric")) is not None and name in metrics:
        return metrics.entry(name).traits.direction
    return "down" if name in Registry.kinds.get("loss", ()) else None


def monitored(where: str, name: str, logs: Mapping[str, Any]) -> float:
    """The value called ``name`` in the logs, or an error that lists what there is."""
    if name not in logs:
        hint = ""
        if name.startswith("val_") and not _has_validation(logs):
            hint = (
                " Nothing is validated: give fit validation_data=(x, y) or validation_split=0.1, and a "
                "validation_freq that some epoch meets."
            )
        known = ", ".join(logs) or "nothing"
        raise OptionError(f"{where}: there is no '{name}' to watch. Known here: {known}.{hint}")
    value = logs[name]
    if shape := tuple(getattr(value, "shape", ())):
        raise OptionError(
            f"{where}: '{name}' is an array of shape {shape}, not a single number. Watch another one, "
            "or make a number of it, as in nnx.metrics.F1Score(average='macro')."
        )
    if isinstance(value, str):
        raise OptionError(f"{where}: '{name}' is not a number: {value!r}. Watch another one.")
    return float(value)
