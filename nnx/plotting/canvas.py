"""Axes to draw on, and the look that all pictures share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nnx.backend import given, to_numpy
from nnx.errors import OptionError, ShapeError
from nnx.models.entrance import check_finite, same_length

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Blue, vermilion, green, purple, orange, sky blue and grey: told apart with any kind of colour vision, and
#: seen on white and on black. M. Okabe, K. Ito, "Color universal design" (2008), without black and yellow.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C8C8C")
#: Four dashes beside seven colours: 28 lines before a pair comes again.
DASHES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def axes_for(ax: Any, where: str, size: tuple[float, float] = (6.0, 4.0)) -> Axes:
    """``ax`` itself, or the Axes of a new figure of Matplotlib's pyplot, which a notebook shows by itself.

    Raises ImportError where Matplotlib is not installed, :class:`nnx.errors.OptionError` for what is no Axes.
    """
    if ax is None:
        return pyplot().subplots(figsize=size, layout="constrained")[1]
    if not (hasattr(ax, "get_xlim") and hasattr(ax, "plot")):
        raise OptionError(
            f"{where}: ax must be one Matplotlib Axes, as from plt.subplots(), or None for a new figure; got "
            f"{type(ax).__name__}."
        )
    return ax


def pyplot() -> Any:
    """Matplotlib's pyplot, imported when a picture is asked for."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            f"nnx.plotting draws with Matplotlib, which cannot be imported here ({error}). "
            "Install it: pip install 'nnx[plot]'."
        ) from error
    return pyplot


def ink(ax: Axes) -> Any:
    """The colour that the text of these Axes has: dark on a light ground, light on a dark one."""
    return ax.xaxis.label.get_color()


def colour(i: int) -> str:
    """The colour of line number i."""
    return COLOURS[i % len(COLOURS)]


def line_style(i: int) -> dict[str, Any]:
    """Colour and dashes of line number i: seen apart also without colours."""
    return {"color": colour(i), "linestyle": DASHES[i % len(DASHES)], "linewidth": 1.8}


def dressed(ax: Axes, x: str, y: str, title: str = "") -> Axes:
    """``ax`` with names of what its axes show, and a faint grid behind the data."""
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    if title:
        ax.set_title(title)
    ax.grid(visible=True, alpha=0.25, linewidth=0.6)
    ax.set_axisbelow(True)
    return ax


def legend_beside(ax: Axes) -> None:
    """A legend right of the Axes, for pictures that data fill: first the lines, then single points."""
    handles, labels = ax.get_legend_handles_labels()
    order = sorted(range(len(handles)), key=lambda i: handles[i] not in ax.lines)
    entries = [handles[i] for i in order], [labels[i] for i in order]
    ax.legend(
        *entries,
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        borderaxespad=0.0,
        frameon=False,
        handlelength=3.0,
    )


def numbers(x: Any, what: str) -> Any:
    """``x``, an array of any library or nested lists, as finite numbers in NumPy's double precision."""
    array = to_numpy(given(x, what, on_host=True)).astype(np.float64)
    if array.size == 0:
        raise ShapeError(f"{what} is empty (shape {array.shape}): there is nothing to draw.")
    if array.ndim:
        check_finite(array, what)
    return array


def pairs_of_numbers(first: Any, second: Any, names: tuple[str, str]) -> tuple[Any, Any]:
    """Two arrays of the same shape as two vectors; (n,) and (n, 1) count as the same shape."""
    a, b = numbers(first, names[0]), numbers(second, names[1])
    if a.ndim == 0:
        raise ShapeError(f"{names[0]} must have samples along its first axis, got a single number.")
    same_length(a.shape[0], b, *names)
    if a.size != b.size or (a.shape != b.shape and a.size != a.shape[0]):
        raise ShapeError(f"{names[0]} has shape {a.shape}, {names[1]} {b.shape}: they must have the same.")
    return a.reshape(-1), b.reshape(-1)


def interval(limits: Any, what: str) -> tuple[float, float]:
    """``limits`` as (low, high); an error where they are not two finite numbers in this order."""
    try:
        low, high = (float(end) for end in limits)
    except (TypeError, ValueError):
        low, high = np.nan, np.nan
    if not (np.isfinite([low, high]).all() and low < high):
        raise OptionError(f"{what} must be two finite numbers (low, high) with low < high, got {limits!r}.")
    return low, high


def rectangle(limits: Any, where: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """``limits`` as ((x0, x1), (y0, y1))."""
    try:
        across, up = limits
    except (TypeError, ValueError):
        raise OptionError(
            f"{where}: limits must be ((x0, x1), (y0, y1)), the ends of both axes; got {limits!r}."
        ) from None
    return interval(across, f"{where}: limits[0]"), interval(up, f"{where}: limits[1]")
