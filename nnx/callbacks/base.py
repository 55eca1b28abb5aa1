"""The base of all callbacks, and the one made of plain functions."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from nnx.errors import OptionError
from nnx.options import OneOf

#: the check of how much a callback prints
VERBOSE = OneOf((0, 1, 2))

Logs = Mapping[str, Any]


class Callback:
    """Base class: override the hooks that you need.

    ``self.model`` is the model (``self.model.stop_training = True`` ends training after this batch or
    epoch, ``self.model.optimizer.learning_rate`` and ``.iterations`` are the present ones and can be set),
    ``self.params`` a dict with the number of ``epochs``, of ``steps`` in each, and ``verbose``. Epochs and
    batches count from 0.

    ``logs`` maps names to values. At the end of an epoch it is a dict of the loss, the metrics and, in epochs
    that are validated, their ``val_`` counterparts; what you add to it is recorded with the rest. At the end
    of a batch it holds the running means of the epoch so far, which are read from the device only when you
    ask for one: do so now and then rather than after every batch. A hook that no callback overrides costs
    nothing.

    Source: Keras' ``callbacks.Callback``.

    >>> class Halve(nnx.callbacks.Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         if logs["loss"] < 0.1:
    ...             self.model.optimizer.learning_rate /= 2
    """

    #: the attributes that :class:`BackupAndRestore` keeps: what the callback must not forget in the course of
    #: a training (numbers, text, None, arrays, and lists and dicts of them)
    remembers: ClassVar[tuple[str, ...]] = ()

    model: Any = None
    params: Mapping[str, Any] | None = None

    def set_model(self, model: Any) -> None:
        """Called before training: from then on the callback has a model."""
        self.model = model

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Called before training with ``epochs``, ``steps`` and ``verbose``."""
        self.params = params

    def before_training(self, of_batch: Logs, of_epoch: Logs) -> None:
        """Called before anything is changed: raise here what would fail later anyway.

        The arguments are logs as they will be at the end of a batch and of an epoch, with every value 0.
        """

    def at_exit(self) -> None:
        """Called when ``fit``, ``evaluate`` or ``predict`` ends, also by an error or Ctrl-C."""

    def memory(self) -> dict[str, Any]:
        """The attributes that it ``remembers``, by name."""
        return {name: getattr(self, name) for name in self.remembers}

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Takes back what :meth:`memory` gave, after :meth:`on_train_begin`; its arrays are NumPy's."""
        for name in self.remembers:
            setattr(self, name, memory[name])

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Called once before the first epoch: forget an earlier ``fit``, the callback may serve two."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Called once after the last epoch, with its logs; not after an error or Ctrl-C."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Called before each epoch."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Called after each epoch and its validation."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before each training step."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after each training step."""
        self.on_batch_end(batch, logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Called before an evaluation, also that of the validation data after an epoch."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Called after an evaluation, with its loss and metrics."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before each batch of an evaluation."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after each batch of an evaluation, with the running means."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Called before a prediction."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Called after a prediction."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before each batch of a prediction."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after each batch of a prediction; ``logs["outputs"]`` are its outputs."""

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Keras' older name of :meth:`on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Keras' older name of :meth:`on_train_batch_end`."""


#: every hook that training, evaluation and prediction call
HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))


class LambdaCallback(Callback):
    """A callback made of functions: ``on_epoch_end=f`` calls ``f(epoch, logs)``, and so on.

    Functions for batches get ``(batch, logs)``, those for a whole training, evaluation or prediction
    (``on_train_begin``, ``on_test_end``, ...) get ``(logs)``. A name that is no hook raises
    :class:`nnx.errors.OptionError`.

    Source: Keras' ``callbacks.LambdaCallback``.

    >>> losses = []
    >>> keep = nnx.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: losses.append(logs["loss"]))
    """

    def __init__(
        self,
        on_epoch_begin: Callable[[int, Any], Any] | None = None,
        on_epoch_end: Callable[[int, Any], Any] | None = None,
        on_train_begin: Callable[[Any], Any] | None = None,
        on_train_end: Callable[[Any], Any] | None = None,
        on_train_batch_begin: Callable[[int, Any], Any] | None = None,
        on_train_batch_end: Callable[[int, Any], Any] | None = None,
        **others: Callable[..., Any] | None,
    ) -> None:
        hooks = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **others,
        }
        for name, function in hooks.items():
            if name not in HOOKS:
                raise OptionError(f"LambdaCallback: there is no hook '{name}'. Hooks: {', '.join(HOOKS)}.")
            if function is None:
                continue
            if not callable(function):
                raise OptionError(f"LambdaCallback: {name} must be a function, got {function!r}.")
            setattr(self, name, function)


def say(text: str) -> None:
    """Prints a line without running into a progress bar."""
    bars = sys.modules.get("tqdm")  # where nothing has imported it, there is no bar
    if bars is None or sys.stdout is None:
        print(text, flush=True)
        return
    bars.tqdm.write(text, file=sys.stdout)
    sys.stdout.flush()
