"""How a model is trained, in Keras' files: loss, metrics, optimizer, and the optimizer's state.

The state is a row of arrays: the number of steps, the learning rate (if no schedule says it), then for each
trained weight what the optimizer remembers. Names and meaning of nnx's slots are Keras'.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from nnx.backend import to_numpy
from nnx.errors import FileFormatError, OptionError, UnknownName
from nnx.interop.keras.hdf5 import Folder
from nnx.interop.keras.models import names_of_outputs
from nnx.interop.keras.objects import deserialized, translated
from nnx.interop.keras.paths import Place
from nnx.models.network import Network

FOLDER = "optimizer/vars"
#: optimizers whose memory Keras keeps in another form: it starts anew
OTHER_FORM = ("Adafactor", "Muon", "ScheduleFreeAdamW")
#: the order of RMSprop's memory: each for all weights
_RMSPROP = ("velocity", "momentum", "average_gradient")
#: scalars that stand after all arrays
_LAST = {"Nadam": "momentum_product"}


# -- what compile was told ------------------------------------------------------------------------


def compile_config(model: Any) -> dict[str, Any] | None:
    """``compile_config`` of a file; None for a model that is not compiled.

    Raises :class:`nnx.errors.OptionError` for an optimizer, loss or metric that Keras does not have.
    """
    config = model.training_config()
    if config is None:
        return None
    optimizer = translated(config["optimizer"])
    if isinstance(optimizer["config"].get("learning_rate"), float):
        optimizer["config"]["learning_rate"] = model.optimizer.learning_rate  # callbacks may have changed it
    goals = {
        "loss": translated(config["loss"]),
        "loss_weights": config.get("loss_weights"),
        "metrics": _without_names(config["metrics"]) or None,
        "weighted_metrics": _without_names(config["weighted_metrics"]) or None,
    }
    if names := names_of_outputs(model.network):
        goals = {
            key: value if value is None else dict(zip(names, value, strict=True))
            for key, value in goals.items()
        }
    how = {"run_eagerly": False, "steps_per_execution": 1, "jit_compile": False}
    return {"optimizer": optimizer, **goals, **how}


def _without_names(metrics: Sequence[Any]) -> list[Any]:
    """``[name, metric]`` as metrics, which know their names; of several outputs list by list."""
    pairs = [len(one) == 2 and isinstance(one[0], str) for one in metrics]
    if all(pairs):
        return [translated(metric) for _, metric in metrics]
    return [_without_names(one) for one in metrics]


def compile_model(model: Any, config: Any, custom_objects: Mapping[str, Any]) -> bool:
    """Whether the model is compiled now, as ``compile_config`` of a file says."""
    if not isinstance(config, Mapping) or config.get("loss") is None:
        return False
    chosen = {key: _things(config.get(key), custom_objects) for key in ("metrics", "weighted_metrics")}
    if config.get("loss_weights") is not None:
        chosen["loss_weights"] = config["loss_weights"]
    optimizer = deserialized(config.get("optimizer"), "optimizer", custom_objects)
    loss = deserialized(config["loss"], "loss", custom_objects)
    try:
        model.compile(optimizer, loss, **chosen)
    except UnknownName:
        raise
    except OptionError as error:
        raise FileFormatError(f"How the file's model was compiled does not fit it: {error}") from error
    return True


def _things(config: Any, custom_objects: Mapping[str, Any]) -> Any:
    found = None if config is None else deserialized(config, "metric", custom_objects)
    while isinstance(found, list) and len(found) == 1 and isinstance(found[0], list):
        found = found[0]  # Keras writes the metrics of the only output so, too
    return found


# -- the optimizer's state ------------------------------------------------------------------------


class Piece(NamedTuple):
    """Where the memory of one trained weight lies in the optimizer's vectors."""

    part: slice
    shape: tuple[int, ...]


def pieces(network: Network, places: Sequence[Place]) -> list[Piece]:
    """The trained weights in Keras' order."""
    at = {id(layer): i for i, layer in enumerate(network.layers)}
    slots = [slot for place in places for slot in network.slots[at[id(place.layer)]] if slot.trained]
    return [Piece(network.layout.slices[slot.number], tuple(slot.weight.shape)) for slot in slots]


def _rows(optimizer: Any, memory: Sequence[str]) -> list[tuple[str, ...]]:
    """The order of the memory: all of a row for one weight after the other, then the next row."""
    slots = [name for name in memory if name != "ema"]
    first = [("ema",)] if "ema" in memory else []
    if type(optimizer).__name__ == "RMSprop":
        return [*first, *((name,) for name in _RMSPROP if name in slots)]
    together = tuple(name for name in slots if name != "velocity_hat")
    apart = [("velocity_hat",)] if "velocity_hat" in slots else []
    return [*first, *([together] if together else []), *apart]


def state_arrays(trainer: Any, network: Network, places: Sequence[Place]) -> dict[str, Any]:
    """The optimizer's state by the paths in a file."""
    optimizer, state = trainer.optimizer, trainer.state
    row: list[Any] = [np.asarray(state.step, dtype=np.int32)]
    if not callable(optimizer.learning_rate):
        row.append(np.asarray(trainer.learning_rate, dtype=np.float32))
    if state.step and type(optimizer).__name__ not in OTHER_FORM:
        row += _memory(trainer, pieces(network, places))
    return {f"{FOLDER}/{i}": array for i, array in enumerate(row)}


def _memory(trainer: Any, where: Sequence[Piece]) -> Iterator[Any]:
    state, optimizer = trainer.state, trainer.optimizer
    vectors = {name: to_numpy(vector) for name, vector in state.vectors().items()}
    for names in _rows(optimizer, list(vectors)):
        for piece in where:
            for name in names:
                yield vectors[name][piece.part].reshape(piece.shape)
    if (last := _LAST.get(type(optimizer).__name__)) is not None:
        yield np.asarray(state.values[last], dtype=np.float32)


def restore(model: Any, root: Folder, places: Sequence[Place]) -> None:
    """Puts the optimizer's state of a file into the model; FileFormatError where it is another one's."""
    folder = root.folder(FOLDER)
    members = [] if folder is None else [folder.array(name) for name in folder.names()]
    stored = [array for array in members if array is not None]
    trainer = model.trainer
    optimizer, state, network = trainer.optimizer, trainer.state, model.network
    before = 1 if callable(getattr(optimizer, "learning_rate", None)) else 2
    name = type(optimizer).__name__
    if name in OTHER_FORM and len(stored) > before:
        warnings.warn(
            f"{root.budget.label}: the memory of {name} starts anew, Keras keeps it in another form.",
            stacklevel=4,
        )
    if not stored or name in OTHER_FORM:
        return
    where = pieces(network, places)
    rows = _rows(optimizer, list(state.vectors()))
    order = [(slot, piece) for row in rows for piece in where for slot in row]
    last = _LAST.get(name)
    memory, step = stored[before:], int(stored[0].read()) if stored[0].shape == () else -1
    if step == 0:
        return  # compiled and not trained yet
    fits = len(memory) == len(order) + bool(last) and all(
        array.shape == piece.shape for array, (_, piece) in zip(memory, order, strict=False)
    )
    if not fits or step < 0:
        raise FileFormatError(
            f"{root.budget.label}: the optimizer's state does not fit {name} of this "
            "model. Load it with compile=False."
        )
    size = network.layout.size
    vectors = {slot: np.zeros(size, dtype=np.float64) for slot in state.vectors()}
    for array, (slot, piece) in zip(memory, order, strict=False):
        vectors[slot][piece.part] = array.read().reshape(-1)
    numbers: dict[str, Any] = {"step": step}
    if last is not None:
        numbers[last] = float(memory[-1].read())
    model.restore_training(vectors, numbers)
