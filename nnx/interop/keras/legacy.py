"""The weights of legacy ``.h5`` files of Keras 2 and 3: groups by layers, in the order of an attribute.

The names of the arrays differ from version to version (``dense/kernel:0``, ``sequential/dense/kernel``), so
what counts is the order: of the layers in ``layer_names``, of the arrays in ``weight_names``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nnx.errors import FileFormatError, ShapeError
from nnx.interop.keras.hdf5 import Folder, Stored, strings
from nnx.interop.keras.paths import Place
from nnx.interop.keras.weights import Found, fitting


class Group(NamedTuple):
    """The arrays of a layer (or of a model inside the model) in a file."""

    name: str
    arrays: list[Stored]


def found(root: Folder, places: Sequence[Place], model: str, by_name: bool, skip_mismatch: bool) -> Found:
    """The weights of the layers in a file; ShapeError for the file of another network.

    Layers without weights are left out on both sides, so that it does not matter which there are.
    """
    label, groups = root.budget.label, _groups(root)
    if by_name:
        of_name = {group.name: group.arrays for group in groups}
        pairs = [(place, of_name.get(place.name)) for place in places]
    else:
        pairs = list(zip(places, _in_order(groups, places, label, model), strict=True))
    kept: list[list[Stored] | None] = []
    for place, arrays in pairs:
        if arrays is None or (skip_mismatch and len(arrays) != len(place.weights)):
            kept.append(None)
            continue
        if len(arrays) != len(place.weights):
            raise ShapeError(
                f"{label} does not fit {model}: layer '{place.name}' has {len(place.weights)} weights, "
                f"{len(arrays)} in the file."
            )
        kept.append(fitting(place, arrays, label, model, skip_mismatch))
    return [None if stored is None else [array.read() for array in stored] for stored in kept]


def _groups(root: Folder) -> list[Group]:
    """The layers of the file that have weights, in its order."""
    inner = root.folder("model_weights") or root
    names = _long_attribute(inner, "layer_names")
    if names is None:
        raise FileFormatError(
            f"{root.budget.label} is an HDF5 file, but none of Keras': it has no attribute layer_names."
        )
    groups = []
    for name in names:
        folder = inner.folder(name)
        if folder is None:
            raise FileFormatError(f"{root.budget.label} names a layer '{name}' and does not have it.")
        arrays = [(path, folder.array(path)) for path in _long_attribute(folder, "weight_names") or ()]
        if missing := [path for path, array in arrays if array is None]:
            raise FileFormatError(f"{root.budget.label} does not have the array {missing[0]} of '{name}'.")
        groups.append(Group(name, [array for _, array in arrays if array is not None]))
    return [group for group in groups if group.arrays]


def _long_attribute(folder: Folder, name: str) -> Sequence[str] | None:
    """An attribute of strings, also one that was too long for HDF5 and stands in pieces."""
    if (whole := folder.attribute(name)) is not None:
        return strings(whole)
    pieces: list[str] = []
    while (piece := folder.attribute(f"{name}{len(pieces)}")) is not None:
        pieces.append(piece)
    return [text for piece in pieces for text in strings(piece)] if pieces else None


def _in_order(
    groups: Sequence[Group], places: Sequence[Place], label: str, model: str
) -> list[list[Stored] | None]:
    """For each layer its arrays: group after group, where a model inside the model is several layers."""
    answer: list[list[Stored] | None] = [None if place.weights else [] for place in places]
    waiting = [k for k, place in enumerate(places) if place.weights]
    owners = len(waiting)
    for group in groups:
        some: list[int] = []
        while waiting and sum(len(places[k].weights) for k in some) < len(group.arrays):
            some.append(waiting.pop(0))
        if not some:
            raise ShapeError(
                f"{label} does not fit {model}: it has {len(groups)} layers with weights, the model "
                f"{owners}. The first without a counterpart is '{group.name}' of the file."
            )
        if len(some) == 1:
            answer[some[0]] = group.arrays
            continue
        # of a model inside the model Keras writes all that is trained first
        order = [(k, i) for moves in (True, False) for k in some for i in _numbers(places[k], moves)]
        if len(order) != len(group.arrays):
            answer[some[0]] = group.arrays  # another network: its shapes tell
            waiting = some[1:] + waiting
            continue
        of_place = dict(zip(order, group.arrays, strict=True))
        for k in some:
            answer[k] = [of_place[k, i] for i in range(len(places[k].weights))]
    if waiting:
        raise ShapeError(
            f"{label} does not fit {model}: it has {len(groups)} layers with weights, the model "
            f"{owners}. The first without a counterpart is '{places[waiting[0]].name}' of the model."
        )
    return answer


def _numbers(place: Place, trained: bool) -> list[int]:
    """The numbers of a layer's weights that training moves, or of the others."""
    return [
        i for i, weight in enumerate(place.weights) if (weight.trainable and place.layer.trainable) is trained
    ]
