"""Files from which a training goes on: weights, optimizer's state, seed and epochs, without the layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from nnx.errors import FileFormatError, OptionError, ShapeError
from nnx.models.epochs import Epochs
from nnx.models.files import need_weights, put_weights, read, save_model
from nnx.models.trainer import Trainer
from nnx.options import Number, Seed

_COUNT = Number(least=0, whole=True)
_SEED = Seed(optional=False)


class Backup(NamedTuple):
    """What a file holds, checked against the model."""

    path: Any
    tensors: Mapping[str, Any]
    state: Any
    seed: int
    seen: int
    #: what the one who saved it wrote besides
    notes: Mapping[str, Any]
    arrays: Mapping[str, Any]


def save(
    path: Any, trainer: Trainer, epochs: Epochs, notes: Mapping[str, Any], arrays: Mapping[str, Any]
) -> None:
    """Writes a file; the names of ``arrays`` must not be those of weights."""
    course = {"seed": epochs.seed, "epochs_seen": epochs.seen, "trained_by": _place(trainer), "notes": notes}
    save_model(path, course, trainer.weights, None, trainer, arrays)


def load(path: Any, trainer: Trainer) -> Backup:
    """What is in a file; OptionError if it is another model's, FileFormatError if it is damaged."""
    tensors, header = read(path)
    where = str(path)
    try:
        seed: int = _SEED(where, "seed", header["seed"])  # type: ignore[assignment]
        seen: int = _COUNT(where, "epochs_seen", header["epochs_seen"])
        notes, state, saved = header["notes"], header["state"], header["trained_by"]
    except (KeyError, OptionError) as error:
        raise FileFormatError(f"{path} is no backup of a training, or it is damaged ({error!r}).") from error
    for name, now in _place(trainer).items():
        if saved.get(name) != now:
            raise OptionError(f"its {name} was {saved.get(name)}, here it is {now}.")
    try:
        need_weights(tensors, trainer.weights, path)
        vectors = {n.removeprefix("optimizer/"): x for n, x in tensors.items() if n.startswith("optimizer/")}
        restored = trainer.restored(vectors, state)
    except (FileFormatError, ShapeError) as error:
        raise OptionError(str(error)) from error
    return Backup(path, tensors, restored, seed, seen, notes, tensors)


def resume(found: Backup, trainer: Trainer, epochs: Epochs) -> None:
    """Puts weights, optimizer's state, seed and epochs of a file in place of the present ones."""
    put_weights(found.tensors, trainer.weights, found.path)
    trainer.resume(found.state)
    trainer.problem.seed = epochs.seed = found.seed
    epochs.seen = found.seen


def _place(trainer: Trainer) -> dict[str, str]:
    return {"dtype": trainer.weights.backend.dtype, "optimizer": type(trainer.optimizer).__name__}
