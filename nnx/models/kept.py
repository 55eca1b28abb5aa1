"""Models that outlive the program: what is saved, loaded and copied of them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from nnx.backend import to_numpy
from nnx.layers import Layer
from nnx.models import backups, files, formats
from nnx.models.compiled import Compiled
from nnx.models.network import Network
from nnx.options import truth

T = TypeVar("T")


class Kept(Compiled):
    """A compiled model that is written into files, read from them, and copied with its optimizer's memory."""

    # -- saving -----------------------------------------------------------------------------------

    def save(self, path: Any) -> None:
        """Writes layers, weights, loss, metrics and the optimizer with its state into one safetensors file.

        ``nnx.load_model(path)`` goes on training bit for bit. The file is replaced at once or not at all.
        A name that ends in ``.keras`` makes it a file that Keras 3 opens too.

        Raises :class:`nnx.errors.OptionError` for the suffix of another format and for parts that are not
        registered, :class:`nnx.errors.NotBuilt` before the weights exist, ``OSError`` where the file cannot
        be written.

        >>> model = nnx.Sequential([nnx.layers.Dense(2, input_shape=(3,))])
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(f"{folder}/model.safetensors")
        ...     nnx.load_model(f"{folder}/model.safetensors").output_shape
        (None, 2)
        """
        if (kind := formats.foreign(path)) is not None:
            kind.save(self, path)
            return
        formats.check_own(path)
        more = {"seed": self.seed, "dtype": self.backend.dtype, "epochs_seen": self._epochs.seen}
        config = {**self.get_config(), **more}
        files.save_model(path, config, self._settled(), self.training_config(), self._trainer)

    def check_save(self, path: Any, weights_only: bool = False) -> None:
        """Raises what :meth:`save` (or :meth:`save_weights`) to ``path`` would raise; nothing is written."""
        weights_only = truth("check_save", "weights_only", weights_only)
        if (kind := formats.foreign(path)) is not None:
            kind.check(path, weights_only)
        else:
            formats.check_own(path)
        if not weights_only:
            self.get_config()
            self.training_config()

    def save_weights(self, path: Any) -> None:
        """Writes the weights alone; a name that ends in ``.weights.h5`` makes it a file that Keras reads.

        Raises as :meth:`save` does.

        >>> model = nnx.Sequential([nnx.layers.Dense(2, input_shape=(3,))])
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save_weights(f"{folder}/weights.safetensors")
        ...     model.load_weights(f"{folder}/weights.safetensors")
        """
        if (kind := formats.foreign(path)) is not None:
            kind.save_weights(self, path)
        else:
            files.save_weights(path, self._settled())

    def load_weights(self, path: Any, by_name: bool = False, skip_mismatch: bool = False) -> None:
        """Reads weights that :meth:`save_weights`, or ``save`` of a model, wrote for the same layers.

        The suffix says what the file is: Keras' ``.weights.h5``, ``.keras`` and ``.h5``, else safetensors.
        With ``by_name`` a layer takes the weights of the file's layer of its name, and layers without one
        keep theirs; with ``skip_mismatch`` a layer whose weights do not fit keeps its own.

        Raises :class:`nnx.errors.ShapeError` for weights of other names or shapes,
        :class:`nnx.errors.FileFormatError` for a file of another format or that is damaged; then nothing is
        changed.

        >>> model = nnx.Sequential([nnx.layers.Dense(2, input_shape=(3,))])
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save_weights(f"{folder}/weights.safetensors")
        ...     nnx.models.clone_model(model).load_weights(f"{folder}/weights.safetensors")
        """
        by_name = truth("load_weights", "by_name", by_name)
        skip_mismatch = truth("load_weights", "skip_mismatch", skip_mismatch)
        if (kind := formats.foreign(path)) is not None:
            kind.load_weights(self, path, by_name, skip_mismatch)
        else:
            files.load_weights(path, self._settled(), by_name, skip_mismatch)

    def restore_training(self, vectors: Mapping[str, Any], numbers: Mapping[str, Any]) -> None:
        """Puts the optimizer's state of a file in place of the present one."""
        self.trainer.resume(self.trainer.restored(vectors, numbers))

    def save_training(self, path: Any, notes: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """Writes what training needs to go on bit for bit, with ``notes`` (as JSON has them) and ``arrays``.

        These are the weights, the optimizer's state, the seed and the number of epochs seen; not the layers:
        nothing need be registered, and :meth:`load_training` of the same model reads it.
        """
        averaged = self.trainer.show_average(False)
        try:
            backups.save(path, self.trainer, self._epochs, notes, arrays)
        finally:
            self.trainer.show_average(averaged)

    def load_training(self, path: Any, accept: Callable[[Mapping[str, Any], Mapping[str, Any]], T]) -> T:
        """What ``accept(notes, arrays)`` makes of a file of :meth:`save_training`; the model is as it was.

        An error, of ``accept`` too, leaves the model unchanged: :class:`nnx.errors.OptionError` for the file
        of another model or optimizer, :class:`nnx.errors.FileFormatError` for a damaged one.
        """
        found = backups.load(path, self.trainer)
        answer = accept(found.notes, found.arrays)
        backups.resume(found, self.trainer, self._epochs)
        self.seed = found.seed
        return answer

    def count_epochs(self, seen: int) -> None:
        """Says how many epochs were made, ``seen`` ≥ 0: where the shuffles go on."""
        self._epochs.seen = seen

    def training_config(self) -> dict[str, Any] | None:
        """How the model is trained, as files hold it; None before ``compile`` and without known outputs."""
        names = self._known_outputs()
        if self._wishes is None or names is None:
            return None
        return files.compiled_config(self._optimizer, self._wishes.goals(names))

    # -- copying ----------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        """What copy and pickle take: copies of the layers with their weights, and the optimizer's memory."""
        trainer, memory = self._trainer, None
        if trainer is not None:
            on_host = {name: to_numpy(vector) for name, vector in trainer.state.vectors().items()}
            memory = on_host, trainer.state.numbers()
        copies = {id(layer): layer.duplicate() for layer in self.layers}
        left_out = ("_weights", "_residents", "_trainer", "_objective", "_evaluation", "_names", "_symbols")
        state = {name: _copied(value, copies) for name, value in vars(self).items() if name not in left_out}
        return state | {"_epochs": copy.copy(self._epochs), "_built": self.built, "_memory": memory}

    def __setstate__(self, state: dict[str, Any]) -> None:
        built, memory = state.pop("_built"), state.pop("_memory")
        vars(self).update(state, _trainer=None)
        self._start()
        for layer in self.layers:
            self._residents.admit(layer)
        if built:
            self._settled()
        if memory is not None:
            self.restore_training(*memory)


def _copied(value: Any, copies: Mapping[int, Layer]) -> Any:
    """An attribute of a model with the copies of its layers in their place."""
    if isinstance(value, list | tuple):
        return type(value)(_copied(part, copies) for part in value)
    if isinstance(value, dict):
        return {key: _copied(part, copies) for key, part in value.items()}
    if isinstance(value, Network):
        return replace(value, layers=_copied(value.layers, copies))
    return copies.get(id(value), value) if isinstance(value, Layer) else value
