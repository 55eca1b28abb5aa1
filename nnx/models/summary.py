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
)
_CONNECTED = ("  Connected to", 24, "<")
_TRAINABLE = ("  Trainable", 11, "<")


def table(
    name: str,
    layers: Sequence[Layer],
    weights: Weights | None,
    line_length: int | None = None,
    show_trainable: bool = False,
) -> str:
    """Name and type, output shape and number of weights of every layer, and the totals.

    In a graph also the inputs, and what each layer is connected to. Before the input shape is known (no
    ``weights``), shapes and numbers are shown as "?". ``line_length``: so wide it is at least;
    ``show_trainable``: a column that says what is trained.
    """
    columns = list(_COLUMNS[:3])
    rows = [[f"{x.name} ({x.label})", *_figures(x, weights)] for x in layers]
    sources = []
    if weights is not None and not weights.network.is_chain:
        columns.append(_CONNECTED)
        reads, network = _reads(weights.network), weights.network
        rows = [[*row, f"  {reads[str(x.name)]}"] for row, x in zip(rows, layers, strict=True)]
        named = zip(network.input_names, network.inputs, strict=True)
        sources = [[f"{own} (Input)", str((None, *shape)), "0", "  -"] for own, shape in named]
    if show_trainable:
        columns.append(_TRAINABLE)
        rows = [[*row, "  Y" if x.trainable else "  N"] for row, x in zip(rows, layers, strict=True)]
        sources = [[*row, "  -"] for row in sources]
    rows = [[title for title, _, _ in columns], *sources, *rows]
    # two blanks at least between the columns
    widths = [max(least, *(len(row[i]) + 2 for row in rows)) for i, (_, least, _) in enumerate(columns)]
    widths[0] += max(0, (line_length or 0) - sum(widths))
    sides = [side for _, _, side in columns]
    lines = ["".join(map(_cell, row, sides, widths)).rstrip() for row in rows]
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


def _cell(text: str, side: str, width: int) -> str:
    return f"{text:{side}{width}}"


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
