"""Saving the model while it is trained."""

from __future__ import annotations

import os
from collections import ChainMap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnx.callbacks.base import Logs, say
from nnx.callbacks.monitor import Monitor, checked
from nnx.errors import OptionError


class ModelCheckpoint(Monitor):
    """Saves the model after each epoch, after every so many steps, or each time it is the best so far.

    Args:
        filepath: where; may have ``{epoch}`` (from 1), ``{batch}`` and names of the logs in it, as in
            ``"runs/{epoch:02d}-{val_loss:.3f}.safetensors"``. Missing folders are made.
        monitor: name of the number that decides what is best.
        verbose: 1 says what is saved.
        save_best_only: True saves only when ``monitor`` has improved.
        save_weights_only: True calls ``model.save_weights``, otherwise ``model.save``.
        mode: ``"min"`` or ``"max"``: which way the number improves; ``"auto"`` tells from its name.
        save_freq: ``"epoch"``, or a number of steps.
        initial_value_threshold: nothing is saved before ``monitor`` is better than this.

    A second ``fit`` with the same object goes on comparing with the best of the first, as the file does.
    Raises :class:`nnx.errors.OptionError` when ``monitor`` or a name in ``filepath`` is not measured.

    >>> best = nnx.callbacks.ModelCheckpoint("best.safetensors", monitor="val_accuracy", save_best_only=True)
    """

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
        self.mode = mode
        self.filepath = os.fspath(filepath)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.best = checked(self, "initial_value_threshold", initial_value_threshold, optional=True)
        if save_freq == "epoch":
            self.save_freq: str | int = "epoch"
        else:
            if isinstance(save_freq, str):
                raise OptionError(
                    f"ModelCheckpoint: save_freq must be 'epoch' or a number, got {save_freq!r}."
                )
            self.save_freq = checked(self, "save_freq", save_freq, least=1, whole=True)
            # Only then, so that training need not call it after each step otherwise.
            self.on_train_batch_end = self._after_batch  # type: ignore[method-assign]
        self._epoch = 0
        self._steps = 0

    def before_training(self, of_batch: Logs, of_epoch: Logs) -> None:
        by_epoch = self.save_freq == "epoch"
        logs = of_epoch if by_epoch else of_batch
        if self.save_best_only:
            self.value(logs)
        path = self._path(logs, **({"epoch": 1} if by_epoch else {"epoch": 1, "batch": 1}))
        self.model.check_save(path, self.save_weights_only)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._steps = 0
        if "{" not in self.filepath:
            Path(self.filepath).parent.mkdir(parents=True, exist_ok=True)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.save_freq == "epoch":
            self._save(logs or {}, epoch=epoch + 1)

    def _after_batch(self, batch: int, logs: Logs | None = None) -> None:
        self._steps += 1
        if self._steps % int(self.save_freq) == 0:
            self._save(logs or {}, epoch=self._epoch + 1, batch=batch + 1)

    def _save(self, logs: Logs, **place: int) -> None:
        if self.save_best_only and not self._is_best(logs, place["epoch"]):
            return
        path = self._path(logs, **place)
        path.parent.mkdir(parents=True, exist_ok=True)
        (self.model.save_weights if self.save_weights_only else self.model.save)(str(path))
        if self.verbose:
            say(f"Epoch {place['epoch']}: saved to {path}.")

    def _is_best(self, logs: Logs, epoch: int) -> bool:
        current = self.value(logs)
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
            path = Path(self.filepath.format_map(names) if "{" in self.filepath else self.filepath)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise OptionError(
                f"ModelCheckpoint: cannot make a path of '{self.filepath}': {type(error).__name__}, {error}. "
                f"Names that it may use here: {', '.join(names)}."
            ) from error
        if path.is_dir():
            raise OptionError(f"ModelCheckpoint: {path} is a folder. Give the path of a file.")
        return path
