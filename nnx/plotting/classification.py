"""What a classifier takes the points of a plane for, and which classes it confuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nnx.backend import adapter_of, device_of, given, to_numpy
from nnx.errors import ShapeError
from nnx.metrics import ConfusionMatrix
from nnx.models.entrance import check_finite, same_length
from nnx.options import OneOf
from nnx.plotting.canvas import MARKERS, axes_for, colour, dressed, ink, legend_beside, rectangle
from nnx.plotting.classes import class_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_POINTS = 301
#: with more classes the numbers in the cells could not be read
_MOST_NUMBERS = 30
_NORMALIZE = OneOf((None, "true", "pred", "all"))


def decision_regions(
    model: Any,
    x: Any,
    y: Any,
    *,
    limits: Any = None,
    labels: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Axes with the regions of the plane that a classifier gives to each class, and the samples over them.

    ``x`` are points (n, 2) and ``y`` their classes: numbers (n,), or one-hot rows (n, k). ``model`` is a
    model of nnx, or anything with a method ``predict``, or a function; it takes points (m, 2), as arrays of
    the library and type of ``x``, and gives class numbers, a number for each class (the largest counts), or
    one probability (class 1 above 0.5). It is asked at 301 × 301 points.

    - ``limits``: ((x0, x1), (y0, y1)); None: the range of ``x``, wider by a tenth on each side.
    - ``labels``: names of the classes for the legend; None: their numbers.

    Each class has a colour and a marker, so that they are told apart without colours too; lines are drawn
    where the class changes.

    Raises :class:`nnx.errors.ShapeError` for points that are not (n, 2) and for as many classes as do not
    fit, and :class:`nnx.errors.DataError` for outputs that are neither class numbers nor probabilities.

    >>> x, y = nnx.datasets.xor(100)
    >>> ax = nnx.plotting.decision_regions(lambda x: x[:, 0] * x[:, 1] < 0, x, y, limits=((-1, 1), (-1, 1)))
    >>> ax.images[0].get_array()[[0, 0, -1, -1], [0, -1, 0, -1]].tolist()  # the corners
    [0, 1, 1, 0]

    Source: C. M. Bishop, *Pattern Recognition and Machine Learning*, Springer 2006, section 1.5.1 (decision
    regions and boundaries).
    """
    points = given(x, "decision_regions: x", on_host=True)
    if points.ndim != 2 or points.shape[1] != 2 or points.shape[0] == 0:
        raise ShapeError(f"decision_regions: x must be points (n, 2), got shape {tuple(points.shape)}.")
    check_finite(points, "x")
    host, classes = to_numpy(points), class_numbers(y, "y")
    same_length(host.shape[0], classes, "x", "y")
    (x0, x1), (y0, y1) = _around(host) if limits is None else rectangle(limits, "decision_regions")
    across, up = np.linspace(x0, x1, _POINTS), np.linspace(y0, y1, _POINTS)
    regions = _regions(model, points, across, up)
    count = 1 + max(int(regions.max()), int(classes.max()))
    names = _names(labels, count, "decision_regions")
    ax = axes_for(ax, "decision_regions", (6.4, 4.4))
    _draw_regions(ax, regions, across, up, len(names))
    for k in np.unique(classes):
        here = host[classes == k]
        look: dict[str, Any] = {
            "marker": MARKERS[k % len(MARKERS)],
            "s": 26,
            "color": colour(k),
            "linewidths": 0.6,
        }
        ax.scatter(*here.T, label=names[k], edgecolors=[ax.get_facecolor()], zorder=3, **look)
    legend_beside(ax)
    dressed(ax, "$x_1$", "$x_2$").grid(visible=False)
    return ax


def confusion_matrix(
    targets: Any,
    predictions: Any,
    *,
    labels: Sequence[str] | None = None,
    normalize: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Axes with the confusion matrix: how many samples of class i (row) were taken for class j (column).

    ``targets`` and ``predictions`` are class numbers (n,), rows with a number for each class (one-hot,
    probabilities: the largest counts), or one probability for each sample (class 1 above 0.5). There are as
    many classes as ``labels``, else as the largest class number says, two at least.

    - ``normalize``: None for counts; ``"true"`` for shares of each row (the recall is on the diagonal),
      ``"pred"`` of each column (the precision), ``"all"`` of all samples, as in scikit-learn. A row or column
      without samples has shares 0.
    - ``labels``: names of the classes; None: their numbers.

    The title is the accuracy: the sum of the diagonal over the number of samples.

    Raises :class:`nnx.errors.ShapeError` for different numbers of samples and for fewer labels than classes,
    :class:`nnx.errors.DataError` for numbers that are neither classes nor probabilities, and
    :class:`nnx.errors.OptionError` for another ``normalize``.

    >>> ax = nnx.plotting.confusion_matrix([0, 1, 2, 2], [0, 2, 2, 2])
    >>> ax.images[0].get_array().tolist(), ax.get_title()
    ([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 2.0]], 'accuracy 0.75')

    Source: K. Pearson, "On the theory of contingency", Drapers' Company Research Memoirs 1 (1904); counted by
    :class:`nnx.metrics.ConfusionMatrix`.
    """
    kind = _NORMALIZE("confusion_matrix", "normalize", normalize)
    true, found = class_numbers(targets, "targets"), class_numbers(predictions, "predictions")
    same_length(true.shape[0], found, "targets", "predictions")
    names = _names(labels, max(2, 1 + int(max(true.max(), found.max()))), "confusion_matrix")
    counts = np.asarray(ConfusionMatrix()(true, np.eye(len(names))[found]))
    shown = _shares(counts, kind)
    ax = axes_for(ax, "confusion_matrix", (5.4, 4.4))
    image = ax.imshow(shown, cmap=_shades(ax), vmin=0.0, vmax=None if kind is None else 1.0)
    if len(names) <= _MOST_NUMBERS:
        _write_numbers(ax, image, shown, kind is None)
    else:
        ax.figure.colorbar(image, ax=ax)
    slanted: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    ax.set_xticks(range(len(names)), names, **(slanted if max(map(len, names)) > 3 else {}))
    ax.set_yticks(range(len(names)), names)
    borders = np.arange(len(names) + 1) - 0.5
    ax.set_xticks(borders, minor=True)
    ax.set_yticks(borders, minor=True)
    ax.tick_params(which="minor", length=0)
    accuracy = float(np.trace(counts) / np.sum(counts))
    dressed(ax, "predicted class", "true class", f"accuracy {accuracy:.4g}").grid(visible=False)
    ax.grid(visible=True, which="minor", color=ink(ax), alpha=0.2, linewidth=0.6)
    return ax


def _around(points: Any) -> tuple[tuple[float, float], tuple[float, float]]:
    """The range of points, wider by a tenth on each side."""
    low, high = points.min(axis=0), points.max(axis=0)
    wide = np.where(high > low, 0.1 * (high - low), 1.0)
    ends = np.stack([low - wide, high + wide], axis=1).astype(float)
    return (ends[0, 0], ends[0, 1]), (ends[1, 0], ends[1, 1])


def _regions(model: Any, like: Any, across: Any, up: Any) -> Any:
    """The class at every (acrossⱼ, upᵢ)."""
    grid = np.stack([part.reshape(-1) for part in np.meshgrid(across, up)], axis=1)
    home = adapter_of(like)
    dtype = like.dtype if home.is_floating(like.dtype) else home.dtype("float64")
    points = home.xp.astype(home.asarray(grid, device=device_of(like)), dtype)
    found = class_numbers(getattr(model, "predict", model)(points), "what the model gives")
    if found.shape[0] != grid.shape[0]:
        raise ShapeError(
            f"decision_regions: for {grid.shape[0]} points the model gave {found.shape[0]} classes."
        )
    return found.reshape(len(up), len(across))


def _draw_regions(ax: Axes, regions: Any, across: Any, up: Any, count: int) -> None:
    from matplotlib.colors import ListedColormap

    half = (across[1] - across[0]) / 2.0, (up[1] - up[0]) / 2.0
    extent = (across[0] - half[0], across[-1] + half[0], up[0] - half[1], up[-1] + half[1])
    ax.imshow(
        regions,
        extent=extent,
        cmap=ListedColormap([colour(k) for k in range(count)]),
        vmin=-0.5,
        vmax=count - 0.5,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        alpha=0.28,
    )
    for k in np.unique(regions)[1:]:
        # Each class apart: the contour lines of the numbers would draw class 1 between 0 and 2.
        ax.contour(across, up, regions == k, [0.5], colors=[ink(ax)], linewidths=0.8, alpha=0.6)
    ax.set_xlim(across[0], across[-1])
    ax.set_ylim(up[0], up[-1])


def _names(labels: Sequence[str] | None, count: int, where: str) -> list[str]:
    """A name for each class."""
    if labels is None:
        return [str(k) for k in range(count)]
    if isinstance(labels, str) or len(labels) < count:
        raise ShapeError(f"{where}: there are {count} classes, but labels are {labels!r}.")
    return [str(label) for label in labels]


def _shades(ax: Axes) -> Any:
    """Colours from the ground, light or dark, to the first colour of curves."""
    from matplotlib.colors import LinearSegmentedColormap, to_rgb

    ground = "black" if _is_light(to_rgb(ink(ax))) else "white"
    return LinearSegmentedColormap.from_list("cells", [ground, colour(0)])


def _is_light(rgb: Any) -> bool:
    """Whether dark text is read better on it: luma above one half, ITU-R BT.601."""
    return bool(np.dot(rgb, (0.299, 0.587, 0.114)) > 0.5)


def _shares(counts: Any, normalize: str | None) -> Any:
    if normalize is None:
        return counts
    axis = {"true": 1, "pred": 0, "all": None}[normalize]
    total = counts.sum(axis=axis, keepdims=True)
    return counts / np.where(total == 0.0, 1.0, total)


def _write_numbers(ax: Axes, image: Any, shown: Any, whole: bool) -> None:
    """The number of each cell, dark on a light cell and light on a dark one."""
    size = 10 if len(shown) <= 12 else 6
    for (i, j), value in np.ndenumerate(shown):
        look = "black" if _is_light(image.cmap(image.norm(value))[:3]) else "white"
        text = f"{value:.0f}" if whole else f"{value:.2f}"
        ax.text(j, i, text, ha="center", va="center", fontsize=size, color=look)
