"""Saving the model while it is trained."""

from __future__ import annotations

import os
from collections import ChainMap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnx.callbacks.base import VERBOSE, Logs, say
from nnx.callbacks.monitor import Monitor
from nnx.errors import OptionError
from nnx.options import Number, path, truth

_STEPS = Number(least=1, whole=True)
_THRESHOLD = Number(optional=True)


def save_frequency(where: str, name: str, value: Any) -> str | int:
    """The check that an option is ``"epoch"`` or a number of batches."""
    if isinstance(value, str) and value != "epoch":
        raise OptionError(f"{where}: {name} must be 'epoch' or a whole number of batches, got {value!r}.")
    frequency: str | int = value if value == "epoch" else _STEPS(where, name, value)
    return frequency


class ModelCheckpoint(Monitor):
    """Saves the model after each epoch, after every so many batches, or each time it is the best so far.

    Args:
        filepath: where; may have ``{epoch}`` (from 1), ``{batch}`` and names of the logs in it, as in
            ``"runs/{epoch:02d}-{val_loss:.3f}.safetensors"``. Missing folders are made.
        monitor: name of the value that decides what is best.
        verbose: 1 says what is saved.
        save_best_only: True saves only when ``monitor`` has improved.
        save_weights_only: True calls ``model.save_weights``, otherwise ``model.save``.
        mode: ``"min"`` or ``"max"``: which way the value improves; ``"auto"`` tells from its name.
        save_freq: ``"epoch"``, or a whole number of batches.
        initial_value_threshold: nothing is saved before ``monitor`` is better than this number; None: no
            such limit.

    A second ``fit`` with the same object goes on comparing with the best of the first, as the file does. With
    ``validation_freq``, where ``monitor`` or ``filepath`` has a ``val_`` value, epochs that are not validated
    are not saved (Keras warns, and saves them over the best). Raises :class:`nnx.errors.OptionError` when
    ``monitor`` or a name in ``filepath`` is not measured.

    Source: Keras' ``callbacks.ModelCheckpoint``.

    >>> best = nnx.callbacks.ModelCheckpoint("best.safetensors", monitor="val_accuracy", save_best_only=True)
    """

    remembers = ("best", "steps")

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        # Where every epoch is saved, nothing is compared: then any name will do.
        super().__init__(monitor, mode if save_best_only or mode != "auto" else "min")
        where = type(self).__name__
        self.mode = mode
        self.filepath = path(where, "filepath", filepath)
        self.verbose = VERBOSE(type(self).__name__, "verbose", verbose)
        self.save_best_only = truth(where, "save_best_only", save_best_only)
        self.save_weights_only = truth(where, "save_weights_only", save_weights_only)
        self.best = _THRESHOLD(where, "initial_value_threshold", initial_value_threshold)
        self.save_freq = save_frequency(where, "save_freq", save_freq)
        if self.save_freq != "epoch":
            # Only then, so that training need not call it after each step otherwise.
            self.on_train_batch_end = self._after_batch  # type: ignore[method-assign]
        #: the batches since training began
        self.steps = 0
        self._epoch = 0

    def before_training(self, of_batch: Logs, of_epoch: Logs) -> None:
        by_epoch = self.save_freq == "epoch"
        logs = of_epoch if by_epoch else of_batch
        (self.watch.expect if self.save_best_only else self.watch.learn)(logs)
        place = {"epoch": 1} if by_epoch else {"epoch": 1, "batch": 1}
        self.model.check_save(self._path(logs, **place), self.save_weights_only)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.steps = 0
        if "{" not in self.filepath:
            Path(self.filepath).parent.mkdir(parents=True, exist_ok=True)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.save_freq == "epoch":
            self._save(logs or {}, epoch=epoch + 1)

    def _after_batch(self, batch: int, logs: Logs | None = None) -> None:
        self.steps += 1
        if self.steps % int(self.save_freq) == 0:
            self._save(logs or {}, epoch=self._epoch + 1, batch=batch + 1)

    def _save(self, logs: Logs, **place: int) -> None:
        if self.watch.waits(logs) and "{val_" in self.filepath:
            return
        if self.save_best_only and not self._is_best(logs, place["epoch"]):
            return
        target = self._path(logs, **place)
        target.parent.mkdir(parents=True, exist_ok=True)
        (self.model.save_weights if self.save_weights_only else self.model.save)(str(target))
        if self.verbose:
            say(f"Epoch {place['epoch']}: saved to {target}.")

    def _is_best(self, logs: Logs, epoch: int) -> bool:
        current = self.watch.read(logs)
        if current is None:
            return False
        better = self.improved(current, self.best)
        if self.verbose:
            before = "" if self.best is None else f" {'from' if better else 'on'} {self.best:.6g}"
            verb = "improved" if better else "did not improve"
            say(f"Epoch {epoch}: '{self.monitor}' {verb}{before}: {current:.6g}.")
        if better:
            self.best = current
        return better

    def _path(self, logs: Logs, **place: int) -> Path:
        names: Mapping[str, Any] = ChainMap(place, logs)  # type: ignore[arg-type]
        try:
            target = Path(self.filepath.format_map(names) if "{" in self.filepath else self.filepath)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise OptionError(
                f"ModelCheckpoint: cannot make a path of '{self.filepath}': {type(error).__name__}, {error}. "
                f"Names that it may use here: {', '.join(names)}."
            ) from error
        if target.is_dir():
            raise OptionError(f"ModelCheckpoint: {target} is a folder. Give the path of a file.")
        return target
