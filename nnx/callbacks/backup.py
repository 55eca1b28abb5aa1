"""Going on with a training that was killed."""

from __future__ import annotations

import os
import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnx.callbacks.base import Callback, Logs
from nnx.callbacks.checkpoint import save_frequency
from nnx.callbacks.memory import packed, unpacked
from nnx.errors import FileFormatError, OptionError
from nnx.options import path, truth


@dataclass(frozen=True)
class Place:
    """Where a training is: so many epochs are over, and so many batches of the next one."""

    epoch: int
    batch: int = 0
    #: what was added up in these batches, for the running means
    sums: Mapping[str, Any] = field(default_factory=dict)
    #: whether a callback, or the optimizer, has ended the training there
    stopped: bool = False


class BackupAndRestore(Callback):
    """Makes a training that was killed go on where it stopped, when the same ``fit`` is called again.

    Args:
        backup_dir: the folder of the backup, of this training alone. It is made, and deleted at the end.
        save_freq: ``"epoch"`` backs up after each epoch, a whole number n after every n batches.
        double_checkpoint: True keeps the backup before the last one as well; a damaged file is then replaced
            by it, with a warning.
        delete_checkpoint: False leaves the backup there at the end: the same ``fit`` then has nothing left to
            do, and one of more ``epochs`` goes on.

    The training ends bit for bit where it would have ended without the interruption (on the same array
    library and machine). For that a backup holds the weights, the optimizer's state, the seed, the epoch and
    the batch, and what the other callbacks remember (:attr:`Callback.remembers`); its epoch takes the place
    of ``initial_epoch``. The history is that of the remaining epochs, as in Keras; the ``evaluations`` of
    methods on all data, and the time of a :class:`TimeLimit`, count from the restart. :class:`CSVLogger`
    needs ``append=True``; an epoch that is made again has a second row. The data, and the arguments of
    ``compile`` and ``fit``, must be those of the first call.

    A backup is one file, which is replaced at once or not at all. Unlike Keras' it is made after all other
    callbacks of the epoch or the batch, wherever it stands in the list; it goes on in the middle of an epoch;
    and it deletes its own files only. Raises :class:`nnx.errors.OptionError`, before anything is changed, for
    the backup of another model or training, and :class:`nnx.errors.FileFormatError` for a damaged one.

    Source: Keras' ``callbacks.BackupAndRestore``.

    >>> import tempfile
    >>> def killed(epoch, logs):
    ...     if epoch == 4:
    ...         raise RuntimeError
    >>> model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))])
    >>> model.compile("adam", "mse")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     backup = nnx.callbacks.BackupAndRestore(f"{folder}/backup")
    ...     for others in ([nnx.callbacks.LambdaCallback(on_epoch_begin=killed)], []):
    ...         try:
    ...             record = model.fit(
    ...                 np.ones((8, 2)), np.ones(8), epochs=10, verbose=0, callbacks=[backup, *others]
    ...             )
    ...         except RuntimeError:
    ...             pass
    >>> record.epoch
    [4, 5, 6, 7, 8, 9]
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        where = type(self).__name__
        self.backup_dir = path(where, "backup_dir", backup_dir)
        self.save_freq = save_frequency(where, "save_freq", save_freq)
        self.double_checkpoint = truth(where, "double_checkpoint", double_checkpoint)
        self.delete_checkpoint = truth(where, "delete_checkpoint", delete_checkpoint)
        if self.save_freq != "epoch":
            # Only then, so that training need not call it after each step otherwise.
            self.on_train_batch_end = self._after_batch  # type: ignore[method-assign]
        #: the other callbacks of the training
        self.others: Sequence[Callback] = ()
        self._latest = Path(self.backup_dir) / "training.safetensors"
        self._previous = Path(self.backup_dir) / "previous.safetensors"
        self._memories: Mapping[str, Sequence[Mapping[str, Any]]] = {}
        self._epoch = 0
        self._unsaved = 0
        #: the learning rate (None: the optimizer's own) at the place in an epoch where training goes on
        self._begun: tuple[float | None] | None = None

    def before_training(self, of_batch: Logs, of_epoch: Logs) -> None:
        if Path(self.backup_dir).exists() and not Path(self.backup_dir).is_dir():
            raise OptionError(f"{type(self).__name__}: backup_dir={self.backup_dir!r} is a file, no folder.")

    # -- going on -------------------------------------------------------------------------------------

    def resume(self) -> Place | None:
        """Where the backup was made, with the model as it was there; None where there is no backup."""
        self._memories, self._unsaved, self._begun = {}, 0, None
        self._latest.parent.mkdir(parents=True, exist_ok=True)  # what cannot be written is known at once
        files = [file for file in (self._latest, self._previous) if file.is_file()]
        for file in files:
            try:
                place = self._resumed(file)
                self._begun = (self.model.trainer.state.learning_rate,) if place.batch else None
                return place
            except FileFormatError as error:
                if file == files[-1]:
                    error.add_note(f"  To begin anew delete the folder {self.backup_dir}.")
                    raise
                warnings.warn(f"{error} The backup before it is taken: {files[-1]}.", stacklevel=2)
        return None

    def _resumed(self, file: Path) -> Place:
        def place(notes: Mapping[str, Any], arrays: Mapping[str, Any]) -> Place:
            found = unpacked(notes, arrays)
            try:
                start = Place(*(found[name] for name in ("epoch", "batch", "sums", "stopped")))
                steps, self._memories = found["steps"], found["callbacks"]
            except KeyError as error:
                raise FileFormatError(
                    f"{file} is no backup of a BackupAndRestore: it lacks {error}."
                ) from error
            now = (self.params or {}).get("steps")
            if start.batch and steps != now:
                raise OptionError(
                    f"it stopped in an epoch of {steps} batches, now an epoch has {now}: the data or "
                    "batch_size are others."
                )
            return start

        try:
            return self.model.load_training(file, place)
        except OptionError as error:
            raise OptionError(
                f"{type(self).__name__}: {self.backup_dir} holds the backup of another training: {error} "
                "Choose another backup_dir, or delete this one to begin anew."
            ) from error

    def on_train_begin(self, logs: Logs | None = None) -> None:
        # The others have begun already, and forgotten what they knew.
        seen: dict[str, int] = defaultdict(int)
        for callback in self.others:
            name = type(callback).__name__
            memories = self._memories.get(name, ())
            if seen[name] < len(memories):
                callback.recall(memories[seen[name]])
            seen[name] += 1

    # -- backing up -----------------------------------------------------------------------------------

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch = epoch
        if self._begun is not None:
            # This epoch had begun before the backup: what a scheduler does then, it had done.
            self.model.trainer.state.learning_rate = self._begun[0]
            self._begun = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.save_freq == "epoch" or self._unsaved >= int(self.save_freq):
            self._save(Place(epoch + 1, stopped=bool(self.model.stop_training)))

    def _after_batch(self, batch: int, logs: Any = None) -> None:
        self._unsaved += 1
        last = batch + 1 == (self.params or {}).get("steps")
        # After the last batch, what ends the epoch is still to come.
        if self._unsaved >= int(self.save_freq) and not last and not self.model.stop_training:
            self._save(Place(self._epoch, batch + 1, logs.sums()))

    def _save(self, place: Place) -> None:
        memories: dict[str, list[Any]] = defaultdict(list)
        for callback in self.others:
            memories[type(callback).__name__].append(callback.memory())
        notes = {**vars(place), "steps": (self.params or {}).get("steps", 0), "callbacks": memories}
        arrays: dict[str, Any] = {}
        notes = packed(notes, "backup", arrays)
        self._latest.parent.mkdir(parents=True, exist_ok=True)
        if self.double_checkpoint and self._latest.exists():
            self._latest.replace(self._previous)
        self.model.save_training(self._latest, notes, arrays)
        self._unsaved = 0

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.delete_checkpoint:
            for file in (self._latest, self._previous):
                file.unlink(missing_ok=True)
            with suppress(OSError):  # something else is in it, or it is gone
                Path(self.backup_dir).rmdir()
