"""The table that ``model.summary()`` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnx.models.holder import Holder

_WIDTHS = (34, 22, 12)


def table(model: Holder) -> str:
    """Name and type, output shape and number of weights of every layer, and the totals.

    Before the input shape is known, shapes and numbers are shown as "?".
    """
    rule = "─" * sum(_WIDTHS)
    lines = [f'Model: "{model.name}"', rule, _row("Layer (type)", "Output Shape", "Param #"), rule]
    for layer in model.layers:
        shape, count = (str(layer.output_shape), f"{layer.count_params():,}") if model.built else ("?", "?")
        lines.append(_row(f"{layer.name} ({layer.label})", shape, count))
    lines.append(rule)
    if not model.built:
        return "\n".join([*lines, "Not built: the input shape is not known yet."])
    trained, fixed = model.network.layout.size, model.network.fixed_layout.size
    lines += [
        f"Total params: {trained + fixed:,} ({_memory(trained + fixed, model.backend.dtype)})",
        f"Trainable params: {trained:,}",
        f"Non-trainable params: {fixed:,}",
    ]
    return "\n".join(lines)


def _row(*cells: str) -> str:
    name, shape, count = cells
    return f"{name:<{_WIDTHS[0]}}{shape:<{_WIDTHS[1]}}{count:>{_WIDTHS[2]}}"


def _memory(numbers: int, dtype: str) -> str:
    size = float(numbers * (4 if dtype == "float32" else 8))
    for unit in ("B", "KB", "MB"):
        if size < 1024.0:
            return f"{size:.2f} {unit}" if unit != "B" else f"{size:.0f} B"
        size /= 1024.0
    return f"{size:.2f} GB"
