"""The still pictures of the live pages, for readers without JavaScript: by nnx and Matplotlib."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

import nnx
from docs_build.live import activations, functions

#: the rules of the still picture, and their learning rates: those that the page finds for Beale's function
RACE = {
    "SGD": nnx.optimizers.SGD(0.02),
    "SGD with momentum": nnx.optimizers.SGD(0.002, momentum=0.9),
    "RMSprop": nnx.optimizers.RMSprop(0.02),
    "Adam": nnx.optimizers.Adam(0.5),
}
STEPS = 200
_CURVES = ("sigmoid", "tanh", "relu", "leaky_relu", "gelu", "softplus")
#: the scheme in the file's name → the colours of text, paper, lines, and low and high ground, as in map.js
_SCHEMES = {
    "light": ("#30333d", "#ffffff", ("#c62828", "#1a4fd6", "#00735c", "#a3268f"), ("#baccf3", "#fafafd")),
    "dark": ("#e3e6f0", "#1b1e27", ("#ff8a80", "#82b1ff", "#5fe0b7", "#f48fe4"), ("#344e88", "#1b1e27")),
}


def write(folder: Path) -> None:
    """Writes ``race-light.png`` and the like into ``folder``."""
    for scheme, (text, paper, inks, ground) in _SCHEMES.items():
        colors = dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), text)
        with rc_context(colors | {"axes.facecolor": paper, "axes.edgecolor": text, "axes.labelcolor": text}):
            for name, figure in (("race", _race(inks, ground)), ("activations", _activations(inks))):
                figure.savefig(folder / f"{name}-{scheme}.png", dpi=110, facecolor=paper)


def _race(inks: tuple[str, ...], ground: tuple[str, str]) -> Figure:
    landscape = functions.LANDSCAPES[0]
    x0, x1, y0, y1 = landscape.window
    x, y = np.meshgrid(np.linspace(x0, x1, 300), np.linspace(y0, y1, 300))
    figure = Figure(figsize=(7.2, 4.8), layout="constrained")
    axes = figure.subplots()
    height = np.log1p(landscape.f(x, y) / 0.1)
    levels = np.linspace(0.0, np.max(height), 19)
    axes.contourf(x, y, height, levels, cmap=LinearSegmentedColormap.from_list("ground", ground))
    axes.contour(x, y, height, levels, colors="#6f8ad0", linewidths=0.6)
    for (label, method), ink, marker in zip(RACE.items(), inks, "osD^", strict=False):
        path = np.asarray(list(_path(method, landscape)))
        axes.plot(*path.T, color=ink, linewidth=1.8, label=label)
        axes.plot(*path[-1], marker, color=ink, markeredgecolor=axes.get_facecolor(), markersize=8)
    ink = axes.spines["left"].get_edgecolor()
    axes.plot(*landscape.goals[0], "+", color=ink, markersize=12, markeredgewidth=2)
    axes.plot(*landscape.start, "o", color=ink, markersize=9, markerfacecolor="none", markeredgewidth=2)
    axes.set(xlim=(x0, x1), ylim=(y0, y1), xlabel="x", ylabel="y")
    axes.legend(loc="lower left", facecolor=axes.get_facecolor(), framealpha=0.9)
    return figure


def _path(method: Any, landscape: functions.Landscape) -> Iterator[Any]:
    w = np.asarray(landscape.start)
    problem = nnx.optimizers.FunctionProblem(functions.value_of_both(landscape))
    state = method.init(problem, w)
    yield w.copy()
    for _ in range(STEPS):
        w, state, _ = method.step(problem, w, state)
        yield w.copy()


def _activations(inks: tuple[str, ...]) -> Figure:
    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    known = {curve.key: curve.f for curve in activations.curves()}
    z = np.linspace(-4.0, 4.0, 401)
    for axes, name in zip(figure.subplots(2, 3).flat, _CURVES, strict=True):
        value, back = nnx.vjp(known[name], z)
        axes.plot(z, value, color=inks[1], linewidth=1.8)
        axes.plot(z, back(np.ones_like(z))[0], "--", color=inks[0], linewidth=1.6)
        axes.set(title=name, ylim=(-1.1, 2.1))
        axes.grid(alpha=0.25)
    return figure
