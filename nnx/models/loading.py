"""Models out of files and configurations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnx.errors import FileFormatError, NnxError
from nnx.models.files import put_weights, read
from nnx.models.formats import foreign
from nnx.models.model import Model
from nnx.models.written import model_from_config
from nnx.options import Number, truth
from nnx.registry import from_config

_COUNT = Number(least=0, whole=True)


def load_model(
    path: Any,
    backend: Any = None,
    device: Any = None,
    *,
    compile: bool = True,
    custom_objects: Mapping[str, Any] | None = None,
) -> Model:
    """The model that ``model.save(path)`` wrote, ready to go on training where it stopped.

    A name that ends in ``.keras`` is a file of Keras 3: its layers, weights, loss, metrics and optimizer
    become nnx's. Nothing in a file is executed.

    ``backend`` and ``device`` say where it shall live now (default: the current backend). With
    ``compile=False`` loss, metrics and optimizer are left out. ``custom_objects`` maps names to layers,
    losses, ... of one's own that are not registered. A class derived from ``nnx.Model`` comes back as the
    network that it was, a plain ``nnx.Model``. Raises :class:`nnx.errors.FileFormatError` for a file that is
    truncated, corrupt or not a model of nnx's.

    Source: Keras' ``models.load_model``.

    >>> model = nnx.Sequential([nnx.layers.Dense(2, input_shape=(3,))])
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(f"{folder}/model.safetensors")
    ...     nnx.load_model(f"{folder}/model.safetensors").count_params()
    8
    """
    with_training = truth("load_model", "compile", compile)
    if (kind := foreign(path)) is not None:
        return kind.load(path, with_training, custom_objects, {"backend": backend, "device": device})
    tensors, header = read(path)
    if "layers" not in header:
        raise FileFormatError(
            f"{path} holds weights but no model: build the model and use model.load_weights."
        )
    try:
        place = {"backend": backend, "device": device, "dtype": header["dtype"], "seed": header["seed"]}
        model = model_from_config(header, custom_objects, **place)
        model.count_epochs(_COUNT("load_model", "epochs_seen", header["epochs_seen"]))
        weights = model.own_weights()
        put_weights(tensors, weights, path)
        if with_training and header.get("compiled") is not None:
            _compile(model, header["compiled"], custom_objects)
            if header.get("state") is not None:
                own = (name for name in tensors if name.startswith("optimizer/"))
                vectors = {name.removeprefix("optimizer/"): tensors[name] for name in own}
                model.restore_training(vectors, header["state"])
    except NnxError as error:
        error.add_note(f"  in {path}")
        raise
    except Exception as error:
        raise FileFormatError(f"{path}: the configuration in its header is damaged ({error!r}).") from error
    return model


def _compile(model: Model, compiled: Mapping[str, Any], custom_objects: Mapping[str, Any] | None) -> None:
    def made(config: Any) -> Any:
        return from_config(config, custom_objects)

    def of_one(metrics: Any) -> list[Any]:
        return [made(config) for _, config in metrics]

    loss, kinds = compiled["loss"], ("metrics", "weighted_metrics")
    several = isinstance(loss, list)
    more = {kind: [*map(of_one, compiled[kind])] if several else of_one(compiled[kind]) for kind in kinds}
    chosen = list(map(made, loss)) if several else made(loss)
    model.compile(made(compiled["optimizer"]), chosen, compiled.get("loss_weights"), **more)
