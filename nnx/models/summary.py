"""The table that ``model.summary()`` prints."""

from __future__ import annotations

from collections.abc import Sequence

from nnx.layers import Layer
from nnx.models.weights import Weights

_LEAST = (34, 22, 12)


def table(name: str, layers: Sequence[Layer], weights: Weights | None) -> str:
    """Name and type, output shape and number of weights of every layer, and the totals.

    Before the input shape is known (no ``weights``), shapes and numbers are shown as "?".
    """
    rows = [("Layer (type)", "Output Shape", "Param #")]
    for layer in layers:
        shape, count = (str(layer.output_shape), f"{layer.count_params():,}") if weights else ("?", "?")
        rows.append((f"{layer.name} ({layer.label})", shape, count))
    # two blanks at least between the columns
    widths = [max(least, *(len(row[i]) + 2 for row in rows)) for i, least in enumerate(_LEAST)]
    rule = "─" * sum(widths)
    lines = [f"{a:<{widths[0]}}{b:<{widths[1]}}{c:>{widths[2]}}" for a, b, c in rows]
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


def _memory(numbers: int, dtype: str) -> str:
    size = float(numbers * (4 if dtype == "float32" else 8))
    for unit in ("B", "KB", "MB"):
        if size < 1024.0:
            return f"{size:.2f} {unit}" if unit != "B" else f"{size:.0f} B"
        size /= 1024.0
    return f"{size:.2f} GB"
