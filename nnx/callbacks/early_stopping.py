"""Stopping when a measured number no longer improves."""

from __future__ import annotations

from typing import Any

from nnx.callbacks.base import VERBOSE, Logs, say
from nnx.callbacks.monitor import Monitor
from nnx.options import Number, truth

_COUNT = Number(least=0, whole=True)
_BASELINE = Number(optional=True)


class EarlyStopping(Monitor):
    """Stops training when ``monitor`` has not improved for ``patience`` epochs.

    Args:
        monitor: name of the watched value.
        min_delta: an improvement by this or less is none; a number ≥ 0.
        patience: how many epochs in a row without improvement end training (0 is like 1, as in Keras).
        verbose: 1 says when training is stopped and weights are restored.
        mode: ``"min"`` or ``"max"``: which way the value improves; ``"auto"`` tells from its name.
        baseline: epochs that are not better than this number count as without improvement; None: no such
            limit.
        restore_best_weights: True puts the weights of the best epoch back at the end of training, also when
            it ended with the last epoch.
        start_from_epoch: epochs before this one (counted from 0) do not count.

    Afterwards ``best`` and ``best_epoch`` tell the best value and when it was, ``stopped_epoch`` when
    training was stopped (0 if it was not) and ``reason`` why. A value of NaN is never an improvement. With
    ``validation_freq`` the epochs that are not validated do not count for a ``val_`` value (Keras warns in
    each of them). Raises :class:`nnx.errors.OptionError` when ``monitor`` is not measured.

    Source: L. Prechelt, Early stopping — but when?, in: Neural Networks: Tricks of the Trade, 1998, 55–69.

    >>> model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))])
    >>> model.compile(nnx.optimizers.SGD(0.0), "mse")
    >>> stop = nnx.callbacks.EarlyStopping(monitor="loss", patience=3)
    >>> record = model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=10, callbacks=[stop], verbose=0)
    >>> len(record.epoch), stop.reason
    (4, "'loss' has not improved for 3 epochs; its best was ... in epoch 1.")
    """

    remembers = ("wait", "stopped_epoch", "reason", "best", "best_epoch", "best_weights")

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        where = type(self).__name__
        self.patience = _COUNT(where, "patience", patience)
        self.verbose = VERBOSE(type(self).__name__, "verbose", verbose)
        self.baseline = _BASELINE(where, "baseline", baseline)
        self.restore_best_weights = truth(where, "restore_best_weights", restore_best_weights)
        self.start_from_epoch = _COUNT(where, "start_from_epoch", start_from_epoch)
        self._reset()

    def _reset(self) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.reason: str | None = None
        self.best = None
        self.best_epoch = 0
        self.best_weights: list[Any] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        current = self.watch.read(logs or {})
        if current is None or epoch < self.start_from_epoch:
            return
        better = self.improved(current, self.best)
        if self.restore_best_weights and (better or self.best_weights is None):
            self.best_weights = self.model.get_weights()
            self.best_epoch = epoch
        self.wait += 1
        if better:
            self.best, self.best_epoch = current, epoch
            if self.baseline is None or self.improved(current, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self._stop(epoch)

    def _stop(self, epoch: int) -> None:
        self.stopped_epoch = epoch
        self.model.stop_training = True
        best = "NaN" if self.best is None else f"{self.best:.6g} in epoch {self.best_epoch + 1}"
        baseline = "" if self.baseline is None else f" (the baseline is {self.baseline:.6g})"
        epochs = "1 epoch" if self.wait == 1 else f"{self.wait} epochs"
        self.reason = f"'{self.monitor}' has not improved for {epochs}; its best was {best}{baseline}."

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.reason and self.verbose:
            say(f"Epoch {self.stopped_epoch + 1}: early stopping: {self.reason}")
        if self.best_weights is not None:
            if self.verbose:
                say(f"Restoring the weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)
