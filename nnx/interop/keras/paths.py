"""Where the weights of a layer lie in Keras' HDF5 files.

By default the weights of a ``Dense`` are ``layers/dense/vars/0``, ``/1``, ... in the order of its spec, and
those of a second one below ``layers/dense_1``. Weights called ``forward_layer/kernel`` belong to a layer
inside it and lie below ``forward_layer``. The table says what is otherwise.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from nnx.layers import Layer, Weight
from nnx.models.network import Network

_CELL = {"": "cell"}
#: by class: the folder of the weights whose names begin so
FOLDERS: dict[str, dict[str, str]] = {
    "GRU": _CELL,
    "LSTM": _CELL,
    "SimpleRNN": _CELL,
    "MultiHeadAttention": {
        "query": "query_dense",
        "key": "key_dense",
        "value": "value_dense",
        "gate": "_gate_dense",
        "attention_output": "output_dense",
    },
    "GroupQueryAttention": {
        "query": "_query_dense",
        "key": "_key_dense",
        "value": "_value_dense",
        "gate": "_gate_dense",
        "attention_output": "_output_dense",
    },
}
#: classes that Keras counts under another name
_COUNTED = {"GroupQueryAttention": "GroupedQueryAttention"}


class Place(NamedTuple):
    """A layer of a model, its name, its weights, and its folder in the file."""

    layer: Layer
    name: str
    weights: tuple[Weight, ...]
    folder: str

    def arrays(self, folder: str | None = None) -> list[str]:
        """The path of each weight, in order; below another folder where one is given."""
        return [f"{folder or self.folder}/{path}" for path in inside(self.layer, self.weights)]


def inside(layer: Layer, weights: Sequence[Weight]) -> list[str]:
    """The path of each weight below the layer's folder."""
    found, counts = [], Counter[str]()
    for weight in weights:
        folder = _folder(layer, weight.name.rpartition("/")[0])
        vars_ = f"{folder}/vars" if folder else "vars"
        found.append(f"{vars_}/{counts[vars_]}")
        counts[vars_] += 1
    return found


def _folder(layer: Any, prefix: str) -> str:
    """Where the weights with such a prefix lie in a layer; those of a layer inside it as that one says."""
    table = FOLDERS.get(type(layer).__name__, {})
    if prefix in table:
        return table[prefix]
    first, _, rest = prefix.partition("/")
    if first.startswith("cells_"):
        used: Counter[str] = Counter()
        names = [numbered(type(cell).__name__, used) for cell in layer.cells]
        k = int(first.removeprefix("cells_"))
        return _joined("cells", names[k], _folder(layer.cells[k], rest))
    inner = getattr(layer, first, None) or getattr(layer, "layer", None)
    return _joined(first, _folder(inner, rest)) if first and isinstance(inner, Layer) else prefix


def _joined(*parts: str) -> str:
    return "/".join(part for part in parts if part)


def places(network: Network) -> list[Place]:
    """The layers of a network in Keras' order, where Keras would put them."""
    used: Counter[str] = Counter()
    rows = zip(network.layers, network.names, network.specs, strict=True)
    return [
        Place(layer, name, spec.weights, f"layers/{numbered(type(layer).__name__, used)}")
        for layer, name, spec in rows
    ]


def numbered(class_name: str, used: Counter[str]) -> str:
    """Keras' name for a folder: ``dense``, and ``dense_1`` for the second of its class."""
    stem = snake_case(_COUNTED.get(class_name, class_name))
    used[stem] += 1
    return stem if used[stem] == 1 else f"{stem}_{used[stem] - 1}"


def snake_case(class_name: str) -> str:
    """``LeakyReLU`` → ``leaky_re_lu``, as Keras does it."""
    parted = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", class_name))
    return re.sub("([a-z])([A-Z])", r"\1_\2", parted).lower()
