"""Models out of files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnx.errors import FileFormatError, NnxError
from nnx.models.saving import put_weights, read
from nnx.models.sequential import Sequential
from nnx.options import Number
from nnx.registry import from_config


def load_model(path: Any, backend: Any = None, device: Any = None) -> Sequential:
    """The model that ``model.save(path)`` wrote, ready to go on training where it stopped.

    ``backend`` and ``device`` say where it shall live now (default: the current backend). Raises
    :class:`nnx.errors.FileFormatError` for a file that is truncated, corrupt or not a model of nnx's.

    >>> model = nnx.Sequential([nnx.layers.Dense(2, input_shape=(3,))])
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(f"{folder}/model.safetensors")
    ...     nnx.load_model(f"{folder}/model.safetensors").count_params()
    8
    """
    tensors, header = read(path)
    if "layers" not in header:
        raise FileFormatError(
            f"{path} holds weights but no model: build the model and use model.load_weights."
        )
    try:
        layers = [from_config(config) for config in header["layers"]]
        model = Sequential(
            layers,
            name=header["name"],
            backend=backend,
            device=device,
            dtype=header["dtype"],
            seed=header["seed"],
        )
        model.build(header["input_shape"])
        model._epochs_seen = Number(least=0, whole=True)("load_model", "epochs_seen", header["epochs_seen"])
        put_weights(model, tensors, path)
        if header.get("compiled") is not None:
            _compile(model, header["compiled"])
            if header.get("state") is not None:
                own = (name for name in tensors if name.startswith("optimizer/"))
                vectors = {name.removeprefix("optimizer/"): tensors[name] for name in own}
                model._state = model.optimizer.restore(model._problem(), model._w, vectors, header["state"])
    except NnxError as error:
        error.add_note(f"  in {path}")
        raise
    except Exception as error:
        raise FileFormatError(f"{path}: the configuration in its header is damaged ({error!r}).") from error
    return model


def _compile(model: Any, compiled: Mapping[str, Any]) -> None:
    kinds = ("metrics", "weighted_metrics")
    metrics = {kind: [from_config(config) for _, config in compiled[kind]] for kind in kinds}
    model.compile(from_config(compiled["optimizer"]), from_config(compiled["loss"]), **metrics)
