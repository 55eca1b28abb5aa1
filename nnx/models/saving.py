"""Models in files: safetensors with the configuration in the header. Nothing in a file is ever executed.

The tensors are the weights under their names (``weights/dense/kernel``) and the optimizer's vectors
(``optimizer/momentum``); the header's entry ``nnx`` holds the rest as JSON. A file is written beside its
place and then moved there, so a crash leaves the old file.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnx.backend import adapter_of, to_numpy
from nnx.errors import FileFormatError, OptionError, ShapeError
from nnx.registry import to_config

_FORMAT = 1
_OTHERS = {".h5", ".hdf5", ".keras", ".pt", ".pth", ".npz", ".onnx", ".pkl"}


def save_model(model: Any, path: Any) -> None:
    """Writes the whole model; see :meth:`nnx.Model.save`."""
    target = _target(path)
    header: dict[str, Any] = {
        "format": _FORMAT,
        "name": model.name,
        "input_shape": model.network.input_shape,
        "dtype": model.backend.dtype,
        "seed": model.seed,
        "epochs_seen": model._epochs_seen,
        **_configuration(model),
    }
    tensors = _weights(model)
    if model._state is not None:
        header["state"] = model._state.numbers()
        tensors |= {f"optimizer/{k}": to_numpy(v) for k, v in model._state.vectors().items()}
    _write(target, tensors, header)


def check(model: Any, path: Any) -> None:
    """Raises what saving ``model`` (None: weights alone) to ``path`` would, beside what the disk may say."""
    _check_suffix(Path(path))
    if model is not None:
        _configuration(model)


def _configuration(model: Any) -> dict[str, Any]:
    """What a model is made of: layers, and how it is trained."""
    found: dict[str, Any] = {"layers": [to_config(layer) for layer in model._layer_list()]}
    if model._compiled is not None:
        c = model._compiled
        found["compiled"] = {
            "optimizer": to_config(model.optimizer),
            "loss": to_config(c["loss"]),
            "metrics": [[name, to_config(m)] for name, m in c["metrics"]],
            "weighted_metrics": [[name, to_config(m)] for name, m in c["weighted_metrics"]],
        }
    return found


def save_weights(model: Any, path: Any) -> None:
    """Writes the weights alone."""
    _write(_target(path), _weights(model), {"format": _FORMAT})


def load_weights(model: Any, path: Any) -> None:
    """Puts the weights of a file into a model with layers of the same names and shapes."""
    tensors, _ = read(path)
    put_weights(model, tensors, path)


def _weights(model: Any) -> dict[str, Any]:
    return {f"weights/{name}": array for name, array in _named(model)}


def _named(model: Any) -> list[tuple[str, Any]]:
    pairs = []
    for layer, slots in zip(model.layers, model.network.slots, strict=True):
        pairs += [(f"{layer.name}/{s.name}", w) for s, w in zip(slots, layer.get_weights(), strict=True)]
    return pairs


def put_weights(model: Any, tensors: Mapping[str, Any], path: Any) -> None:
    """Puts the tensors named ``weights/…`` into the model, or says what does not fit."""
    own = [name for name, _ in _named(model)]
    found = [name.removeprefix("weights/") for name in tensors if name.startswith("weights/")]
    if sorted(own) != sorted(found):
        lacking, foreign = sorted(set(own) - set(found)), sorted(set(found) - set(own))
        raise ShapeError(
            f"{path} does not fit model '{model.name}': it lacks {lacking or 'nothing'}, and has "
            f"{foreign or 'nothing'} that the model does not have."
        )
    model.set_weights([tensors[f"weights/{name}"] for name in own])


def _write(target: Path, tensors: Mapping[str, Any], header: Mapping[str, Any]) -> None:
    from safetensors.numpy import save

    data = save(dict(tensors), metadata={"nnx": json.dumps(header)})
    temporary = target.with_name(f".nnx-{os.urandom(8).hex()}.part")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _target(path: Any) -> Path:
    """Where a safetensors file can be written for ``path``: what a link leads to, not the link."""
    _check_suffix(Path(path))
    target = Path(path).resolve()
    if target.is_dir():
        raise IsADirectoryError(f"{os.fspath(path)!r} is a folder: give the name of a file in it.")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"The folder {target.parent} for {target.name} does not exist.")
    return target


def _check_suffix(target: Path) -> None:
    if target.suffix.lower() in _OTHERS:
        raise OptionError(
            f"nnx writes safetensors files, not {target.suffix}: "
            f"use {target.with_suffix('.safetensors').name!r}."
        )


def read(path: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tensors and nnx's header of a file."""
    from safetensors import SafetensorError, safe_open

    source = Path(path)
    if not source.is_file():
        raise FileNotFoundError(
            f"{source} is a folder, not a file." if source.is_dir() else f"There is no file {source}."
        )
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
        if not adapter_of(x).is_floating(x.dtype):
            raise FileFormatError(f"{source}: '{name}' holds {x.dtype}, not floating-point numbers.")
    return tensors, header
