"""The weights of a model in ``.weights.h5`` files and in the HDF5 part of ``.keras`` files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nnx.errors import OptionError, ShapeError
from nnx.interop.keras.hdf5 import Folder, Stored
from nnx.interop.keras.paths import Place

#: of each layer its arrays, or None where it keeps its own
Found = list[list[Any] | None]
#: where the layers lie: Keras 3, and Keras 2 before 2.14
_ROOTS = ("layers", "_layer_checkpoint_dependencies")
#: arrays that are no weights: the state of random numbers, which Keras does not go on with
_OTHERS = ("seed_generator", "_random_generator")


def found(
    root: Folder, places: Sequence[Place], model: str, by_name: bool = False, skip_mismatch: bool = False
) -> Found:
    """The weights of the layers in a file; ShapeError for the file of another network.

    Nothing is read before all shapes are known to fit.
    """
    folders = _folders(root, places, by_name)
    kept: list[list[Stored] | None] = []
    for place, folder in zip(places, folders, strict=True):
        stored = None if folder is None else [root.array(path) for path in place.arrays(folder)]
        kept.append(
            None if stored is None else fitting(place, stored, root.budget.label, model, skip_mismatch)
        )
    if not (by_name or skip_mismatch):
        pairs = zip(places, folders, strict=True)
        _refuse_more(root, {path for place, folder in pairs for path in place.arrays(folder)}, model)
    return [None if stored is None else [array.read() for array in stored] for stored in kept]


def fitting(
    place: Place, stored: Sequence[Stored | None], label: str, model: str, skip_mismatch: bool
) -> list[Stored] | None:
    """The arrays, if they have the shapes of a layer's weights; else None or an error."""
    for weight, array in zip(place.weights, stored, strict=True):
        if array is None or array.shape != tuple(weight.shape):
            if skip_mismatch:
                return None
            there = "which the file does not have" if array is None else f"{array.shape} in the file"
            raise ShapeError(
                f"{label} does not fit {model}: layer '{place.name}' ({type(place.layer).__name__}) has the "
                f"weight '{weight.name}' of shape {tuple(weight.shape)}, {there}."
            )
    return [array for array in stored if array is not None]


def _folder_of(root: Folder, place: Place) -> str:
    """The folder of a layer: Keras 2.13 called the outermost otherwise."""
    if _ROOTS[0] not in root and _ROOTS[1] in root:
        return place.folder.replace(_ROOTS[0], _ROOTS[1], 1)
    return place.folder


def _folders(root: Folder, places: Sequence[Place], by_name: bool) -> list[str | None]:
    """The folder of each layer: by the number of its class, or by its name."""
    if not by_name and not any("/layers/" in path for path, _ in root.arrays()):
        return [_folder_of(root, place) for place in places]
    if not by_name and any("/layers/" in place.folder for place in places):
        return [place.folder for place in places]
    named = dict(_names(root))
    if by_name and not named:
        raise OptionError(
            f"{root.budget.label} does not hold the names of its layers (older versions of Keras left them "
            "out), so by_name cannot find them."
        )
    lacking = [place.name for place in places if place.weights and place.name not in named]
    if lacking and not by_name:
        raise ShapeError(
            f"{root.budget.label} holds a model inside a model, which nnx does not keep apart: its layers "
            f"are found by their names, and there is none called {', '.join(map(repr, lacking))}. It has "
            f"{', '.join(map(repr, named)) or 'no names'}. nnx.load_model reads the .keras file whole."
        )
    return [named.get(place.name) for place in places]


def _names(folder: Folder) -> Iterator[tuple[str, str]]:
    """The name and the folder of every layer, also of those of models inside."""
    layers = folder.folder("layers")
    for name in [] if layers is None else layers.names():
        if layers is None or (one := layers.folder(name)) is None:
            continue
        if one.folder("layers") is not None:
            yield from _names(one)
        elif (vars_ := one.folder("vars")) is not None and isinstance(own := vars_.attribute("name"), str):
            yield own, one.path


def _refuse_more(root: Folder, taken: set[str], model: str) -> None:
    """Raises ShapeError for weights of layers that the model does not have."""
    for outer in _ROOTS:
        below = root.folder(outer)
        for path, array in below.arrays() if below is not None else ():
            whole = f"{outer}/{path}"
            if whole not in taken and not any(other in whole for other in _OTHERS):
                raise ShapeError(
                    f"{root.budget.label} does not fit {model}: it has {whole} of shape {array.shape}, for "
                    "which the model has no layer."
                )


def arrays_of(places: Sequence[Place], weights: Mapping[str, Any]) -> dict[str, Any]:
    """The arrays by their paths in a file, out of those by the names of layers and weights."""
    return {
        path: weights[f"{place.name}/{weight.name}"]
        for place in places
        for path, weight in zip(place.arrays(), place.weights, strict=True)
    }
