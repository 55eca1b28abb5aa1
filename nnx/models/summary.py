"""The table that ``model.summary()`` prints."""

from __future__ import annotations

from collections.abc import Sequence

from nnx.layers import Layer
from nnx.models.network import Network
from nnx.models.weights import Weights

#: the columns: title, least width, side
_COLUMNS = (
    ("Layer (type)", 34, "<"),
    ("Output Shape", 22, "<"),
    ("Param #", 12, ">"),
    ("  Connected to", 24, "<"),
)


def table(name: str, layers: Sequence[Layer], weights: Weights | None) -> str:
    """Name and type, output shape and number of weights of every layer, and the totals.

    In a graph also the inputs, and what each layer is connected to. Before the input shape is known (no
    ``weights``), shapes and numbers are shown as "?".
    """
    rows = [[f"{x.name} ({x.label})", *_figures(x, weights)] for x in layers]
    if weights is not None and not weights.network.is_chain:
        reads = _reads(weights.network)
        rows = [[*row, f"  {reads[str(x.name)]}"] for row, x in zip(rows, layers, strict=True)]
        inputs = zip(weights.network.input_names, weights.network.inputs, strict=True)
        rows = [*([f"{own} (Input)", str((None, *shape)), "0", "  -"] for own, shape in inputs), *rows]
    count = len(rows[0]) if rows else 3
    rows = [[title for title, _, _ in _COLUMNS[:count]], *rows]
    # two blanks at least between the columns
    widths = [max(_COLUMNS[i][1], *(len(row[i]) + 2 for row in rows)) for i in range(count)]
    lines = ["".join(f"{row[i]:{_COLUMNS[i][2]}{widths[i]}}" for i in range(count)).rstrip() for row in rows]
    rule = "─" * sum(widths)
    lines = [f'Model: "{name}"', rule, lines[0], rule, *lines[1:], rule]
    if weights is None:
        return "\n".join([*lines, "Not built: the input shape is not known yet."])
    trained, fixed = weights.network.layout.size, weights.network.state_layout.size
    lines += [
        f"Total params: {trained + fixed:,} ({_memory(trained + fixed, weights.backend.dtype)})",
        f"Trainable params: {trained:,}",
        f"Non-trainable params: {fixed:,}",
    ]
    return "\n".join(lines)


def _figures(layer: Layer, weights: Weights | None) -> tuple[str, str]:
    return (str(layer.output_shape), f"{layer.count_params():,}") if weights is not None else ("?", "?")


def _reads(network: Network) -> dict[str, str]:
    """By the name of each layer: the names of the inputs and layers whose outputs its calls read."""
    made = (k for k in network.made_by if k is not None)
    values = (*network.input_names, *(network.names[network.calls[k].layer] for k in made))
    found: dict[str, str] = {}
    for call in network.calls:
        name, names = network.names[call.layer], ", ".join(values[r] for r in call.reads)
        found[name] = f"{found[name]}, {names}" if name in found else names
    return found


def _memory(numbers: int, dtype: str) -> str:
    size = float(numbers * (4 if dtype == "float32" else 8))
    for unit in ("B", "KB", "MB"):
        if size < 1024.0:
            return f"{size:.2f} {unit}" if unit != "B" else f"{size:.0f} B"
        size /= 1024.0
    return f"{size:.2f} GB"
