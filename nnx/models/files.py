"""Models in files: safetensors with the configuration in the header. Nothing in a file is ever executed.

The tensors are the weights under their names (``weights/dense/kernel``) and the optimizer's vectors
(``optimizer/momentum``); the header's entry ``nnx`` holds the rest as JSON. A file is written beside its
place and then moved there, so a crash leaves the old file.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from nnx.backend import adapter_of, to_numpy
from nnx.errors import FileFormatError, ShapeError
from nnx.models.formats import check_own, source_of, target_of
from nnx.models.goals import Goal
from nnx.models.trainer import Trainer
from nnx.models.weights import Weights
from nnx.registry import to_config

try:
    import fcntl
except ImportError:  # Windows, where an open file cannot be deleted anyway
    fcntl = None  # type: ignore[assignment]

_FORMAT = 1
#: where the tensors of weights and of the optimizer begin
_NUMBERS = ("weights/", "optimizer/")


def save_model(
    path: Any,
    config: Mapping[str, Any],
    weights: Weights,
    compiled: Mapping[str, Any] | None,
    trainer: Trainer | None,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Writes a whole model: its configuration, its weights, how it is trained and the optimizer's state.

    ``more`` are arrays of other owners, under names of their own.
    """
    header: dict[str, Any] = {"format": _FORMAT, **config}
    tensors = _tensors(weights)
    if compiled is not None:
        header["compiled"] = compiled
    if trainer is not None:
        header["state"] = trainer.state.numbers()
        tensors |= {f"optimizer/{k}": to_numpy(v) for k, v in trainer.state.vectors().items()}
    _write(_target(path), tensors | dict(more or {}), header)


def compiled_config(optimizer: Any, goals: Sequence[Goal]) -> dict[str, Any]:
    """How a model is trained, as JSON has it: of several outputs each entry is a list."""
    kinds = ("metrics", "weighted_metrics")
    found: dict[str, Any] = {
        "loss": [to_config(goal.loss) for goal in goals],
        **{kind: [[[m.name, to_config(m)] for m in getattr(goal, kind)] for goal in goals] for kind in kinds},
    }
    if len(goals) == 1:
        found = {name: value[0] for name, value in found.items()}
    if any(goal.weight != 1.0 for goal in goals):
        found["loss_weights"] = [goal.weight for goal in goals]
    return {"optimizer": to_config(optimizer), **found}


def save_weights(path: Any, weights: Weights) -> None:
    """Writes the weights alone."""
    _write(_target(path), _tensors(weights), {"format": _FORMAT})


def load_weights(path: Any, weights: Weights, by_name: bool = False, skip_mismatch: bool = False) -> None:
    """Puts the weights of a file in place of those of layers of the same names and shapes.

    With ``by_name`` layers that the file does not have keep theirs, and with ``skip_mismatch`` those whose
    weights are of other shapes there.
    """
    tensors, _ = read(path)
    if by_name or skip_mismatch:
        tensors = _with_own(tensors, weights, by_name, skip_mismatch)
    put_weights(tensors, weights, path)


def _with_own(
    tensors: Mapping[str, Any], weights: Weights, by_name: bool, skip_mismatch: bool
) -> dict[str, Any]:
    """The tensors that the model has too, and its own for layers that keep theirs."""
    own, taken = _tensors(weights), dict[str, Any]()
    for name, row in zip(weights.network.names, weights.network.slots, strict=True):
        names = [f"weights/{name}/{slot.name}" for slot in row]
        there = [n in tensors for n in names]
        fit = all(there) and all(tensors[n].shape == own[n].shape for n in names)
        keeps = (by_name and not any(there)) or (skip_mismatch and not fit)
        taken |= {n: (own if keeps else tensors)[n] for n in names if keeps or n in tensors}
    return taken


def _tensors(weights: Weights) -> dict[str, Any]:
    return {f"weights/{name}": array for name, array in weights.named()}


def put_weights(tensors: Mapping[str, Any], weights: Weights, path: Any) -> None:
    """Puts the tensors named ``weights/…`` into the model, or says what does not fit."""
    need_weights(tensors, weights, path)
    weights.set([tensors[f"weights/{name}"] for name, _ in weights.named()])


def need_weights(tensors: Mapping[str, Any], weights: Weights, path: Any) -> None:
    """Raises ShapeError for tensors that are not weights of this model, by name and shape."""
    own = {name: array.shape for name, array in weights.named()}
    found = [name.removeprefix("weights/") for name in tensors if name.startswith("weights/")]
    if sorted(own) != sorted(found):
        lacking, foreign = sorted(set(own) - set(found)), sorted(set(found) - set(own))
        raise ShapeError(
            f"{path} does not fit {weights.network.model}: it lacks {lacking or 'nothing'}, and has "
            f"{foreign or 'nothing'} that the model does not have."
        )
    for name, shape in own.items():
        if tensors[f"weights/{name}"].shape != shape:
            raise ShapeError(
                f"{path} does not fit {weights.network.model}: '{name}' has shape {tuple(shape)} in the "
                f"model, {tuple(tensors[f'weights/{name}'].shape)} in the file."
            )


# -- the file ------------------------------------------------------------------------------------


def _write(target: Path, tensors: Mapping[str, Any], header: Mapping[str, Any]) -> None:
    from safetensors.numpy import save

    put(target, save(dict(tensors), metadata={"nnx": json.dumps(header)}))


def put(target: Path, data: bytes) -> None:
    """Writes ``data`` to a file, at once or not at all."""
    _sweep(target.parent)
    with _part(target) as (temporary, file):
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        if target.exists():
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        if fcntl is None:
            file.close()
        temporary.replace(target)


@contextmanager
def _part(target: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """A new file beside ``target``, locked while it is written: a save that was killed leaves no lock."""
    while True:
        temporary = target.with_name(f".nnx-{os.urandom(8).hex()}.part")
        with open(temporary, "xb") as file:
            _lock(file, wait=True)
            if not temporary.exists():
                continue  # another save found it before it was locked, and took it for a left-over
            try:
                yield temporary, file
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
            return


def _lock(file: IO[bytes], wait: bool = False) -> bool:
    """Whether nobody else has the file locked (or no more, if it waits); it is locked from now on."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:  # somebody has it, or the file system knows no locks
        return False
    return True


def _sweep(folder: Path) -> None:
    """Deletes what saves that were killed left in a folder."""
    for part in folder.glob(".nnx-*.part"):
        with suppress(OSError), open(part, "rb") as file:
            if _lock(file):
                part.unlink()


def _target(path: Any) -> Path:
    """Where a safetensors file can be written for ``path``."""
    check_own(path)
    return target_of(path)


def read(path: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tensors and nnx's header of a file."""
    from safetensors import SafetensorError, safe_open

    source = source_of(path)
    try:
        with safe_open(str(source), framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except SafetensorError as error:
        raise FileFormatError(
            f"{source} is not a whole safetensors file: {error}. Save the model again."
        ) from error
    try:
        header = json.loads(metadata["nnx"])
        known = header["format"]
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(f"{source} is a safetensors file, but nnx did not write it.") from error
    if known != _FORMAT:
        raise FileFormatError(f"{source} has nnx's format {known}, this version reads format {_FORMAT}.")
    for name, x in tensors.items():
        if name.startswith(_NUMBERS) and not adapter_of(x).is_floating(x.dtype):
            raise FileFormatError(f"{source}: '{name}' holds {x.dtype}, not floating-point numbers.")
    return tensors, header
