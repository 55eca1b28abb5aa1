"""Models out of files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnx.errors import FileFormatError
from nnx.models.saving import put_weights, read
from nnx.models.sequential import Sequential
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
        model._epochs_seen = header["epochs_seen"]
        if (compiled := header.get("compiled")) is not None:
            _compile(model, compiled)
    except (KeyError, TypeError, AttributeError) as error:
        raise FileFormatError(f"{path}: the configuration in its header is damaged ({error!r}).") from error
    put_weights(model, tensors, path)
    if header.get("compiled") is not None and header.get("state") is not None:
        vectors = {k.removeprefix("optimizer/"): v for k, v in tensors.items() if k.startswith("optimizer/")}
        model._state = model.optimizer.restore(model._problem(), model._w, vectors, header["state"])
    return model


def _compile(model: Any, compiled: Mapping[str, Any]) -> None:
    model.compile(optimizer=from_config(compiled["optimizer"]), loss=from_config(compiled["loss"]))
    model._compiled = {
        "loss": model._compiled["loss"],
        **{
            kind: [(name, from_config(config)) for name, config in compiled[kind]]
            for kind in ("metrics", "weighted_metrics")
        },
    }
