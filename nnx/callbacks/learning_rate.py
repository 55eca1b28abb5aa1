"""Changing the learning rate from epoch to epoch."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from nnx.callbacks.base import VERBOSE, Callback, Logs, say
from nnx.callbacks.monitor import Monitor
from nnx.errors import OptionError
from nnx.options import Number

_COUNT = Number(least=0, whole=True)
_RATE = Number(least=0.0)
_FACTOR = Number(above=0.0, below=1.0)


class LearningRateScheduler(Callback):
    """Sets the learning rate before each epoch to ``schedule(epoch, learning_rate)`` or ``schedule(epoch)``.

    Epochs count from 0; the rate given is the present one. It is recorded as ``learning_rate`` in the logs.
    ``verbose=1`` prints it. A result that is no finite number ≥ 0 raises :class:`nnx.errors.OptionError`.
    A rate for each step is a schedule, which is given to the optimizer; this callback is refused with it.

    The lectures' piecewise constant rate:

    Source: Keras' ``callbacks.LearningRateScheduler``.

    >>> def rate(epoch):
    ...     return 0.1 if epoch < 5 else 0.01 if epoch < 20 else 0.001
    >>> scheduler = nnx.callbacks.LearningRateScheduler(rate)
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        if not callable(schedule):
            raise OptionError(
                f"LearningRateScheduler: schedule must be a function of the epoch (and the learning rate), "
                f"got {schedule!r}."
            )
        self.schedule = schedule
        self.verbose = VERBOSE("LearningRateScheduler", "verbose", verbose)
        self._takes_rate = _takes_two(schedule)

    def before_training(self, of_batch: Logs, of_epoch: Logs) -> None:
        self.model.optimizer.constant_rate(0.0)  # an error where none can be set

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        rate = self.schedule(epoch, self.model.learning_rate) if self._takes_rate else self.schedule(epoch)
        if not _RATE.allows(rate):
            raise OptionError(
                f"LearningRateScheduler: schedule must give a finite number >= 0, got {rate!r} "
                f"for epoch {epoch}."
            )
        self.model.learning_rate = float(rate)
        if self.verbose:
            say(f"Epoch {epoch + 1}: learning rate set to {float(rate):g}.")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if logs is not None:
            logs["learning_rate"] = self.model.learning_rate


def _takes_two(schedule: Callable[..., float]) -> bool:
    # Asked beforehand: to try and catch TypeError, as Keras does, would hide those of the function itself.
    try:
        inspect.signature(schedule).bind(0, 0.0)
    except TypeError:
        return False
    except ValueError:  # some functions written in C cannot be asked
        return True
    return True


class ReduceLROnPlateau(Monitor):
    """Multiplies the learning rate by ``factor`` when ``monitor`` has not improved for ``patience`` epochs.

    This is the lectures' performance scheduling.

    Args:
        monitor: name of the watched value.
        factor: by what the rate is multiplied, in (0, 1).
        patience: how many epochs in a row without improvement reduce it.
        verbose: 1 says when the rate is reduced.
        mode: ``"min"`` or ``"max"``: which way the value improves; ``"auto"`` tells from its name.
        min_delta: an improvement by this or less is none; a number ≥ 0.
        cooldown: for how many epochs after a reduction nothing is counted.
        min_lr: the rate is not reduced below this, a number ≥ 0.

    The rate is recorded as ``learning_rate`` in the logs. A value of NaN is never an improvement. With
    ``validation_freq`` the epochs that are not validated do not count for a ``val_`` value (Keras warns in
    each of them). Raises :class:`nnx.errors.OptionError` when ``monitor`` is not measured, and where the
    optimizer has a schedule.

    Source: Keras' ``callbacks.ReduceLROnPlateau``.

    >>> reduce = nnx.callbacks.ReduceLROnPlateau("val_loss", factor=0.2, patience=5, min_lr=1e-5)
    """

    remembers = ("best", "wait", "cooldown_counter")

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        where = type(self).__name__
        self.factor = _FACTOR(where, "factor", factor)
        self.patience = _COUNT(where, "patience", patience)
        self.verbose = VERBOSE(where, "verbose", verbose)
        self.cooldown = _COUNT(where, "cooldown", cooldown)
        self.min_lr = _RATE(where, "min_lr", min_lr)
        self._reset()

    def _reset(self) -> None:
        self.best = None
        self.wait = 0
        self.cooldown_counter = 0

    def in_cooldown(self) -> bool:
        """Whether the last reduction was so recent that nothing is counted yet."""
        return self.cooldown_counter > 0

    def before_training(self, of_batch: Logs, of_epoch: Logs) -> None:
        super().before_training(of_batch, of_epoch)
        self.model.optimizer.constant_rate(0.0)  # an error where none can be set

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs = {} if logs is None else logs
        logs["learning_rate"] = self.model.learning_rate
        current = self.watch.read(logs)
        if current is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.improved(current, self.best):
            self.best = current
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        before = self.model.learning_rate
        if before <= self.min_lr:
            return
        self.model.learning_rate = max(before * self.factor, self.min_lr)
        self.cooldown_counter = self.cooldown
        self.wait = 0
        if self.verbose:
            say(
                f"Epoch {epoch + 1}: '{self.monitor}' is on a plateau; learning rate {before:g} -> "
                f"{self.model.learning_rate:g}."
            )
