"""How far a network's outputs are from their targets: MATLAB's two pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nnx.errors import DataError, OptionError
from nnx.options import Number
from nnx.plotting.canvas import axes_for, colour, dressed, ink, pairs_of_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def regression(targets: Any, outputs: Any, *, ax: Axes | None = None) -> Axes:
    """Axes with the outputs over the targets, the best straight line through them, and Y = T.

        output ≈ m·target + b,    R = Σ(t − t̄)(y − ȳ) / √(Σ(t − t̄)² · Σ(y − ȳ)²)

    as MATLAB's ``plotregression`` draws it: m and b are those of least squares and stand at the vertical
    axis, the correlation coefficient R in the title. Of a perfect fit all points lie on the dotted line
    Y = T: m = 1, b = 0, R = 1. R alone does not see a wrong slope or offset.

    ``targets`` and ``outputs`` have the same shape (n, ...); all of their entries are drawn together.

    Raises :class:`nnx.errors.ShapeError` for different shapes, and :class:`nnx.errors.DataError` for numbers
    that are not finite and for targets that are all equal, which determine no line.

    >>> t = np.asarray([0.0, 1.0, 2.0, 3.0])
    >>> ax = nnx.plotting.regression(t, 0.5 * t + 1.0)
    >>> ax.get_title(), ax.get_ylabel()
    ('R = 1', 'output ≈ 0.5 · target + 1')

    Source: MathWorks, *Deep Learning Toolbox Reference*, ``plotregression``; N. R. Draper, H. Smith, *Applied
    Regression Analysis*, 3rd ed., Wiley 1998, chapter 1.
    """
    t, y = pairs_of_numbers(targets, outputs, ("targets", "outputs"))
    if not t.max() > t.min():
        raise DataError(f"regression: all targets are {t[0]:g}: they determine no line.")
    slope, offset, r = _line(t, y)
    ax = axes_for(ax, "regression", (5.2, 4.6))
    ends = np.asarray([min(t.min(), y.min()), max(t.max(), y.max())])
    ends = ends + 0.04 * np.asarray([-1.0, 1.0]) * (ends[1] - ends[0])
    size: dict[str, Any] = {"s": 22 if t.size <= 300 else 8, "linewidths": 0.9, "alpha": 0.8}
    ax.scatter(t, y, facecolors="none", edgecolors=colour(0), label="data", **size)
    ax.plot(ends, slope * ends + offset, color=colour(1), linewidth=1.8, label="fit")
    ax.plot(ends, ends, ":", color=ink(ax), linewidth=1.5, label="Y = T")
    ax.set_xlim(*ends)
    ax.set_ylim(*ends)
    ax.set_aspect("equal")
    ax.legend(loc="upper left" if slope >= 0.0 else "upper right")
    sign = "−" if offset < 0.0 else "+"
    words = f"output ≈ {slope:.3g} · target {sign} {abs(offset):.2g}"
    return dressed(ax, "target", words, "R is not defined: equal outputs" if np.isnan(r) else f"R = {r:.5g}")


def error_histogram(targets: Any, outputs: Any, *, bins: int = 20, ax: Axes | None = None) -> Axes:
    """Axes with a histogram of the errors, target − output, in ``bins`` bars of equal width.

    As MATLAB's ``ploterrhist`` draws it: the bars reach from the smallest to the largest error, a line marks
    the error 0, and positive errors are outputs that are too small. (The sign is MATLAB's; most books take
    output − target.)

    ``targets`` and ``outputs`` have the same shape (n, ...); all of their entries count. Both may also be
    dicts with the same names, such as ``"training"``, ``"validation"`` and ``"test"``: their bars are stacked
    in this order.

    Raises :class:`nnx.errors.ShapeError` for different shapes, :class:`nnx.errors.DataError` for numbers that
    are not finite, and :class:`nnx.errors.OptionError` for other names and for ``bins`` below 1.

    >>> ax = nnx.plotting.error_histogram([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 2.5, 3.0], bins=2)
    >>> [float(bar.get_height()) for bar in ax.patches]
    [2.0, 2.0]

    Source: MathWorks, *Deep Learning Toolbox Reference*, ``ploterrhist``.
    """
    count = Number(least=1, whole=True)("error_histogram", "bins", bins)
    errors = _errors(targets, outputs)
    edges = np.histogram_bin_edges(np.concatenate(list(errors.values())), count)
    ax = axes_for(ax, "error_histogram")
    below = np.zeros(count)
    edge: dict[str, Any] = {"edgecolor": ax.get_facecolor(), "linewidth": 0.6, "align": "edge"}
    hatches = ("", "//", "..", "xx")
    for i, (name, error) in enumerate(errors.items()):
        heights = np.histogram(error, edges)[0].astype(float)
        look = {"color": colour(i), "hatch": hatches[i % len(hatches)], **edge}
        ax.bar(edges[:-1], heights, np.diff(edges), bottom=below, label=name or None, **look)
        below = below + heights
    ax.axvline(0.0, color=ink(ax), linewidth=1.8, linestyle="--", label="zero error")
    ax.legend(loc="best")
    bars = "1 bin" if count == 1 else f"{count} bins"
    return dressed(ax, "error = target − output", "instances", f"Error histogram with {bars}")


def _line(t: Any, y: Any) -> tuple[float, float, float]:
    """Slope and offset of the line of least squares, and the correlation (NaN where y is constant)."""
    dt, dy = t - t.mean(), y - y.mean()
    slope = float(dt @ dy / (dt @ dt))
    spread = float(np.linalg.norm(dt) * np.linalg.norm(dy))
    r = float(dt @ dy / spread) if y.max() > y.min() else np.nan
    return slope, float(y.mean() - slope * t.mean()), r


def _errors(targets: Any, outputs: Any) -> dict[str, Any]:
    if not isinstance(targets, Mapping) and not isinstance(outputs, Mapping):
        t, y = pairs_of_numbers(targets, outputs, ("targets", "outputs"))
        return {"": t - y}
    both = isinstance(targets, Mapping) and isinstance(outputs, Mapping)
    if not both or not targets or set(targets) != set(outputs):
        got = [list(x) if isinstance(x, Mapping) else type(x).__name__ for x in (targets, outputs)]
        raise OptionError(
            "error_histogram: targets and outputs must be arrays, or dicts with the same names; got "
            f"{got[0]} and {got[1]}."
        )
    errors = {}
    for name in targets:
        t, y = pairs_of_numbers(targets[name], outputs[name], (f"targets['{name}']", f"outputs['{name}']"))
        errors[str(name)] = t - y
    return errors
