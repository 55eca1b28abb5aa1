"""Figures of a training run, by Matplotlib (``pip install 'nnx[plot]'``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def learning_curves(history: Any, path: Any = None, title: str = "") -> Any:
    """A Matplotlib figure with a panel for each quantity of a training history, written to ``path`` if given.

    ``history`` is the result of ``fit`` (or its ``history`` dict). A quantity and its ``val_`` counterpart
    share a panel.
    """
    from matplotlib.figure import Figure

    logs: Mapping[str, Sequence[float]] = getattr(history, "history", history)
    names = [name for name in logs if not name.startswith("val_")]
    figure = Figure(figsize=(5.0 * max(len(names), 1), 3.6), layout="constrained")
    panels = figure.subplots(1, max(len(names), 1), squeeze=False)[0]
    for panel, name in zip(panels, names, strict=False):
        for key, label in ((name, "training"), (f"val_{name}", "validation")):
            if key in logs:
                panel.plot(range(1, len(logs[key]) + 1), logs[key], marker="o", markersize=3, label=label)
        panel.set_xlabel("epoch")
        panel.set_title(name)
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.grid(alpha=0.3)
        panel.legend()
    if title:
        figure.suptitle(title)
    if path is not None:
        figure.savefig(path, dpi=120)
    return figure
