"""Optimizers that race over the contour lines of a function, still and animated."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from nnx.backend import to_numpy
from nnx.options import Number
from nnx.plotting.canvas import MARKERS, axes_for, ink, legend_beside, line_style, rectangle
from nnx.plotting.paths import paths_of, start_of
from nnx.plotting.surfaces import Surface, draw_surface, surface

if TYPE_CHECKING:
    from matplotlib.animation import FuncAnimation
    from matplotlib.axes import Axes


def race(
    function: Callable[[Any], Any],
    start: Any,
    optimizers: Any,
    *,
    steps: int = 200,
    limits: Any,
    levels: Any = None,
    minima: Any = (),
    ax: Axes | None = None,
) -> Axes:
    """Axes with the contour lines of a function and the paths that optimizers take down it from one start.

    ``function(w)`` takes a vector of two numbers and returns one, in calls that nnx can differentiate, as for
    :func:`nnx.minimize`. ``start`` are two numbers, or an array whose library computes.

    - ``optimizers``: a dict from the label of a path to an optimizer (``nnx.optimizers.Adam(0.1)``) or the
      name of one (``"bfgs"``); or a list of names, which are the labels too.
    - ``steps``: how many steps each of them makes, at most: methods that compare costs may stop earlier, and
      a path ends where its next point is not finite. A step of first order takes one gradient, one of BFGS
      its whole line search.
    - ``limits``: ((x0, x1), (y0, y1)). A path may leave them, and come back.
    - ``levels``, ``minima``: as in :func:`contours`.

    Every path is made by the optimizer's own ``step``. A ring stands at the start, a marker at its end. The
    legend stands right of the Axes; in a figure of several Axes ``layout="constrained"`` leaves room for it.

    Raises :class:`nnx.errors.OptionError` and :class:`nnx.errors.UnknownName` for optimizers that do not
    exist or need residuals, :class:`nnx.errors.ShapeError` for a start that is not two numbers, and what
    :func:`contours` raises.

    >>> ax = nnx.plotting.race(
    ...     lambda w: w[0] ** 2 + 10.0 * w[1] ** 2, [3.0, 1.0],
    ...     {"SGD": nnx.optimizers.SGD(0.05), "Newton": "newton"},
    ...     steps=20, limits=((-4.0, 4.0), (-2.0, 2.0)),
    ... )
    >>> for line in ax.lines[:2]:
    ...     print(line.get_label(), len(line.get_xdata()), np.abs(line.get_xydata()[-1]).max().round(3))
    SGD 21 0.365
    Newton 2 0.0

    Source: the animations of A. Radford (2014), which the lectures show.
    """
    limits = rectangle(limits, "race")
    w = start_of(start)
    paths = paths_of(function, w, optimizers, steps)
    ground = surface(function, limits, levels, minima, w)
    ax = axes_for(ax, "race", (7.4, 4.6))
    _draw_ground(ax, ground, w)
    for i, (label, path) in enumerate(paths.items()):
        ax.plot(*_within_reach(path, limits).T, label=label, **_look(ax, i))
    legend_beside(ax)
    return ax


def race_animation(
    function: Callable[[Any], Any],
    start: Any,
    optimizers: Any,
    *,
    steps: int = 100,
    limits: Any,
    interval: int = 50,
    levels: Any = None,
    minima: Any = (),
) -> FuncAnimation:
    """A Matplotlib animation of the race that :func:`race` shows at its end: one step in each frame.

    Arguments are those of :func:`race`; ``interval`` are the milliseconds between two frames. The last frame
    is held for a second before the film begins anew. The paths are computed first, and are the same as in
    :func:`race`.

    The animation has a new figure of pyplot. It is written by ``animation.save("race.gif",
    writer="pillow", dpi=80)``, and shown in a notebook by ``IPython.display.Image("race.gif")`` or
    ``HTML(animation.to_jshtml())``; ``plt.close()`` after that keeps the notebook from showing the first
    frame as well. Keep a reference to the animation as long as it shall run.

    Raises what :func:`race` raises, and :class:`nnx.errors.OptionError` for an interval below 1.

    >>> import pathlib, tempfile
    >>> animation = nnx.plotting.race_animation(
    ...     lambda w: w[0] ** 2 - w[1] ** 2, [1.0, 1e-3], ["sgd", "adam"],
    ...     steps=3, limits=((-1.5, 1.5), (-1.0, 1.0)), interval=500,
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "saddle.gif"
    ...     animation.save(file, writer="pillow", dpi=40)
    ...     file.read_bytes()[:6]
    b'GIF89a'

    Source: the animations of A. Radford (2014), which the lectures show.
    """
    limits = rectangle(limits, "race_animation")
    pause = Number(least=1, whole=True)("race_animation", "interval", interval)
    w = start_of(start)
    paths = paths_of(function, w, optimizers, steps)
    ground = surface(function, limits, levels, minima, w)
    ax = axes_for(None, "race_animation", (6.4, 4.0))
    from matplotlib.animation import FuncAnimation

    _draw_ground(ax, ground, w)
    shown = [_within_reach(path, limits) for path in paths.values()]
    lines = [
        ax.plot(*path[:1].T, label=label, **_look(ax, i))[0]
        for i, (label, path) in enumerate(zip(paths, shown, strict=True))
    ]
    legend_beside(ax)
    title = ax.set_title("step 0")
    figure: Any = ax.figure
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # found once, not for each frame

    def draw(step: int) -> list[Any]:
        for path, line in zip(shown, lines, strict=True):
            line.set_data(*path[: step + 1].T)
        title.set_text(f"step {step}")
        return [*lines, title]

    last = max(len(path) for path in shown) - 1
    frames = [*range(last + 1), *[last] * round(1000 / pause)]
    return FuncAnimation(figure, draw, frames, interval=pause, blit=False)


def _draw_ground(ax: Axes, ground: Surface, w: Any) -> None:
    """Contours, minima and the start."""
    draw_surface(ax, ground)
    x, y = to_numpy(w)
    ring: dict[str, Any] = {"marker": "o", "s": 70, "facecolor": "none", "edgecolor": ink(ax)}
    ax.scatter([x], [y], label="start", linewidths=1.6, zorder=4, **ring)


def _look(ax: Axes, i: int) -> dict[str, Any]:
    """Path number i: a line with a marker at its end."""
    marker = {"marker": MARKERS[i % len(MARKERS)], "markersize": 8, "markevery": [-1]}
    edge = {"markeredgecolor": ax.get_facecolor(), "markeredgewidth": 0.9}
    return {**line_style(i), **marker, **edge, "zorder": 3}


def _within_reach(path: Any, limits: Any) -> Any:
    """The path up to where it is a hundred pictures away: farther off no line can be drawn."""
    low, high = np.transpose(limits)
    far = (np.abs(path - 0.5 * (low + high)) > 100.0 * (high - low)).any(axis=1)
    return path[: np.argmax(far)] if far.any() else path
