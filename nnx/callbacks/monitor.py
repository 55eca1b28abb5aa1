"""What callbacks share that watch one number of the logs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from nnx.callbacks.base import Callback
from nnx.errors import OptionError
from nnx.options import Number
from nnx.registry import Registry

_MODES = ("auto", "min", "max")


class Monitor(Callback):
    """Base class: watches the number ``monitor`` of the logs and knows when it is better than before."""

    def __init__(self, monitor: str, mode: str = "auto", min_delta: float = 0.0) -> None:
        where = type(self).__name__
        self.monitor = monitor
        self.mode = mode
        self.min_delta = abs(checked(self, "min_delta", min_delta))
        self.best: float | None = None
        self._lower = lower_is_better(where, monitor, mode)

    def improved(self, value: float, reference: float | None) -> bool:
        """Whether ``value`` is better than ``reference`` by more than ``min_delta``; NaN never is."""
        if math.isnan(value):
            return False
        if reference is None:
            return True
        return value + self.min_delta < reference if self._lower else value - self.min_delta > reference

    def before_training(self, of_batch: Mapping[str, Any], of_epoch: Mapping[str, Any]) -> None:
        self.value(of_epoch)

    def value(self, logs: Mapping[str, Any]) -> float:
        """The monitored number; :class:`nnx.errors.OptionError` if the logs have none of that name."""
        return monitored(type(self).__name__, self.monitor, logs)


class Expected(Mapping[str, Any]):
    """Logs as they will be: ``example(name)`` for the given names, 0 for any that ``others`` is true of."""

    def __init__(
        self,
        names: tuple[str, ...],
        others: Callable[[str], bool] = lambda name: False,
        example: Callable[[str], Any] = lambda name: 0.0,
    ) -> None:
        self._names = names
        self._others = others
        self._example = example

    def __getitem__(self, name: str) -> Any:
        if name in self._names:
            return self._example(name)
        if self._others(name):
            return 0.0
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def lower_is_better(where: str, monitor: str, mode: str) -> bool:
    """Whether ``monitor`` improves by falling: as ``mode`` says, or with ``"auto"`` as its name tells."""
    if not isinstance(monitor, str):
        raise OptionError(f"{where}: monitor must be a name such as 'val_loss', got {monitor!r}.")
    if mode not in _MODES:
        raise OptionError(f"{where}: mode must be one of {_MODES}, got {mode!r}.")
    if mode != "auto":
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
    """The number called ``name`` in the logs, or an error that lists what there is."""
    if name not in logs:
        hint = ""
        if name.startswith("val_") and not any(known.startswith("val_") for known in logs):
            hint = " Nothing is validated: give fit validation_data=(x, y) or validation_split=0.1."
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


def checked(owner: object, name: str, value: Any, **limits: Any) -> Any:
    """The option as a Python number within the limits; :class:`nnx.errors.OptionError` otherwise."""
    return Number(**limits)(type(owner).__name__, name, value)
