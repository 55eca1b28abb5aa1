"""Writing down what training measured: in memory and in a file."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nnx.callbacks.base import Callback, Logs
from nnx.callbacks.csv_file import CSVFile
from nnx.errors import OptionError
from nnx.options import path, truth


class History(Callback):
    """The record of a training: what ``fit`` returns.

    ``history`` maps each name (``"loss"``, ``"accuracy"``, ``"val_loss"``, ...) to the list of its values,
    one for each epoch (``val_`` ones for each validation); ``epoch`` lists the epochs, from 0, and
    ``seconds`` what each took, with its validation. ``reason`` says in words why training ended: a rule of
    the optimizer or of a callback, or that the last epoch is done. Training adds a History by itself.

    Source: Keras' ``callbacks.History``.

    >>> model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))])
    >>> model.compile("sgd", "mse")
    >>> record = model.fit(np.zeros((4, 2)), np.zeros((4, 1)), epochs=3, verbose=0)
    >>> record.epoch, len(record.history["loss"])
    ([0, 1, 2], 3)
    """

    def __init__(self) -> None:
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []
        self.seconds: list[float] = []
        self.reason: str | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.history, self.epoch, self.seconds, self.reason = {}, [], [], None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)


class CSVLogger(Callback):
    """Writes a row for each epoch into a CSV file: ``epoch`` (from 0), then the logs in alphabetical order.

    Each row is in the file as soon as its epoch is over, whatever happens then. ``append=True`` goes on where
    an earlier training stopped, in the form of the file: order of the columns, ends of lines; a missing end
    of the last row is added. A file with other columns or another separator, or whose last row was cut off,
    raises :class:`nnx.errors.OptionError` before training and stays as it is. A value that an epoch lacks, as
    ``val_`` ones with ``validation_freq``, is ``NA``. Unlike Keras' it makes no ``val_`` columns for a
    training without validation.

    Source: Keras' ``callbacks.CSVLogger``.

    >>> log = nnx.callbacks.CSVLogger("training.csv", append=True)
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        where = type(self).__name__
        self.filename = path(where, "filename", filename)
        self.separator = _separator(where, "separator", separator)
        self.append = truth(where, "append", append)
        self.keys: list[str] | None = None
        self._file = CSVFile(Path(self.filename), self.separator)
        self._expected: set[str] = set()

    def before_training(self, of_batch: Logs, of_epoch: Logs) -> None:
        self._expected = {*of_epoch}
        found = self._file.read() if self.append else []
        if found and (
            found[0] != "epoch" or self._expected - {*found} or any(c not in of_epoch for c in found[1:])
        ):
            raise self._other_columns(found, sorted(of_epoch))

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.keys = None
        # Opened now, so that a file which cannot be written is known before the first epoch.
        self._file.touch()
        if not (self.append and self._file.read()):
            self._file.path.write_bytes(b"")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs = logs or {}
        if self.keys is None:
            self.keys = self._begin(sorted({*logs} | self._expected))
        if strangers := [name for name in logs if name not in self.keys]:
            warnings.warn(
                f"CSVLogger: {self.filename} has no column for {', '.join(strangers)}, which was logged in "
                f"epoch {epoch + 1} and not in the first. Log it in every epoch to have it written.",
                stacklevel=2,
            )
        self._file.add([epoch, *(_text(logs.get(name, "NA")) for name in self.keys)])

    def _begin(self, names: list[str]) -> list[str]:
        found = self._file.columns if self.append else []
        if not found:
            self._file.begin(["epoch", *names])
            return names
        if found[0] != "epoch" or sorted(found[1:]) != names:
            raise self._other_columns(found, names)
        return found[1:]

    def _other_columns(self, found: list[str], names: list[str]) -> OptionError:
        return OptionError(
            f"CSVLogger: cannot append to {self.filename}: it has the columns {', '.join(found)}, "
            f"this training epoch, {', '.join(names)}. Choose another file, or replace it: append=False."
        )


def _separator(where: str, name: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) != 1 or value in '"\r\n':
        raise OptionError(
            f"{where}: {name} must be one character, neither a quote nor the end of a line, got {value!r}."
        )
    return value


def _text(value: Any) -> Any:
    if isinstance(value, str) or getattr(value, "shape", None) == () or not isinstance(value, Iterable):
        return value
    return f"[{', '.join(map(str, value))}]"
