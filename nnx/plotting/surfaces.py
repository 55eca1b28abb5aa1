"""The contour lines of a function of two variables."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nnx.backend import adapter_of, device_of, get_backend, to_numpy
from nnx.errors import DataError, OptionError, ShapeError
from nnx.options import Number
from nnx.plotting.canvas import axes_for, dressed, ink, numbers, rectangle

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: points along each axis
_POINTS = 201
_LEVELS = 14


def contours(
    function: Callable[[Any], Any],
    limits: Any,
    *,
    levels: Any = None,
    minima: Any = (),
    ax: Axes | None = None,
) -> Axes:
    """Axes with the contour lines of a function of two variables; the shade is deeper where it is larger.

    ``function(w)`` takes a vector of two numbers and returns one, as for :func:`nnx.minimize`. It is computed
    in double precision, on arrays of the current backend, at 201 × 201 points of ``limits`` =
    ((x0, x1), (y0, y1)): at all at once where it gives the same numbers then, else point by point. Where it
    is not finite the picture stays empty.

    - ``levels``: increasing numbers, or how many there shall be (None: 14). They are spaced evenly between
      the smallest and the largest value. Where more than half of the picture would lie below the first of
      them, as for Beale's or Rosenbrock's function, their heights above the smallest value are spaced
      logarithmically instead.
    - ``minima``: points (w₁, w₂) to be marked by a star.

    Raises :class:`nnx.errors.OptionError` for limits and levels that are not increasing,
    :class:`nnx.errors.ShapeError` where ``function`` does not return one number, and
    :class:`nnx.errors.DataError` where it is constant or nowhere finite.

    >>> def rosenbrock(w):
    ...     return (1.0 - w[0]) ** 2 + 100.0 * (w[1] - w[0] ** 2) ** 2
    >>> ax = nnx.plotting.contours(rosenbrock, ((-2.0, 2.0), (-1.0, 3.0)), minima=[(1.0, 1.0)])
    >>> levels = ax.collections[0].levels  # above the smallest value, each so many times the last one
    >>> len(levels), bool(np.ptp(levels[1:] / levels[:-1]) < 1e-9)
    (14, True)

    Source: of the test functions, J. J. Moré, B. S. Garbow, K. E. Hillstrom, "Testing unconstrained
    optimization software", ACM Transactions on Mathematical Software 7 (1981) 17–41.
    """
    like = get_backend().asarray([0.0, 0.0])
    found = surface(function, rectangle(limits, "contours"), levels, minima, like)
    ax = axes_for(ax, "contours", (5.6, 4.4))
    draw_surface(ax, found)
    return ax


class Surface(NamedTuple):
    """The values z of a function at every (xⱼ, yᵢ), the heights of its contour lines, and its minima."""

    x: Any
    y: Any
    z: Any
    heights: Any
    minima: Any


def surface(function: Callable[[Any], Any], limits: Any, levels: Any, minima: Any, like: Any) -> Surface:
    """What is to be drawn of ``function``, computed on arrays like ``like``: its library and device."""
    x, y = (np.linspace(low, high, _POINTS) for low, high in limits)
    stars = _points(minima)
    z = values(function, x, y, like)
    lowest = [one_value(function, star, like) for star in stars]
    return Surface(x, y, z, _levels(z, levels, lowest), stars)


def draw_surface(ax: Axes, found: Surface) -> None:
    """Draws shades, contour lines and stars, and sets the limits and names of the axes."""
    from matplotlib.colors import BoundaryNorm, LinearSegmentedColormap, to_rgb

    x, y, z, heights, minima = found
    # The ink in growing strength over whatever the ground is: right on light and on dark.
    rgb = to_rgb(ink(ax))
    shades = LinearSegmentedColormap.from_list("ink", [(*rgb, 0.01), (*rgb, 0.26)])
    norm = BoundaryNorm(heights, shades.N, extend="both")
    shown = np.ma.masked_invalid(z)
    ax.contourf(x, y, shown, heights, cmap=shades, norm=norm, extend="both", zorder=0.5)
    ax.contour(x, y, shown, heights, colors=[(*rgb, 0.3)], linewidths=0.6, linestyles="solid", zorder=0.6)
    if len(minima):
        star: dict[str, Any] = {"marker": "*", "s": 130, "facecolor": rgb, "edgecolor": ax.get_facecolor()}
        ax.scatter(minima[:, 0], minima[:, 1], label="minimum", linewidths=0.8, zorder=4, **star)
    ax.set_xlim(x[0], x[-1])
    ax.set_ylim(y[0], y[-1])
    dressed(ax, "$w_1$", "$w_2$").grid(visible=False)


def values(function: Callable[[Any], Any], x: Any, y: Any, like: Any) -> Any:
    """``function`` at every (xⱼ, yᵢ), an array (len(y), len(x)) of NumPy's."""
    points = np.stack([grid.reshape(-1) for grid in np.meshgrid(x, y)])
    with np.errstate(all="ignore"):
        found = _all_at_once(function, points, like)
        if found is None:
            found = np.asarray([one_value(function, point, like) for point in points.T])
    return found.reshape(len(y), len(x))


def _all_at_once(function: Callable[[Any], Any], points: Any, like: Any) -> Any:
    """The values at points (2, n) by one call; None where the function does not take its points so."""
    try:
        found = to_numpy(function(_array(points, like))).astype(np.float64)
    except Exception:
        # Whatever is wrong with the function itself is raised again where it gets one point.
        return None
    n = points.shape[1]
    if found.shape != (n,):
        return None
    sample = np.linspace(0, n - 1, 11).astype(int)
    alone = np.asarray([one_value(function, points[:, i], like) for i in sample])
    return found if np.allclose(found[sample], alone, rtol=1e-9, atol=0.0, equal_nan=True) else None


def one_value(function: Callable[[Any], Any], point: Any, like: Any) -> float:
    """``function`` at one point of NumPy's."""
    value = to_numpy(function(_array(point, like)))
    if value.size != 1:
        raise ShapeError(
            f"The function must return one number for a vector of two, got an array of shape {value.shape}."
        )
    return float(value.reshape(()))


def _array(x: Any, like: Any) -> Any:
    home = adapter_of(like)
    return home.asarray(x, dtype=home.dtype("float64"), device=device_of(like))


def _levels(z: Any, levels: Any, lowest: list[float]) -> Any:
    """The heights of the contour lines, increasing."""
    if not (levels is None or Number().allows(levels)):
        heights = numbers(levels, "contours: levels")
        if heights.ndim != 1 or len(heights) < 2 or not (np.diff(heights) > 0.0).all():
            raise OptionError(f"contours: levels must be two or more increasing numbers, got {levels!r}.")
        return heights
    count = Number(least=2, whole=True)("contours", "levels", _LEVELS if levels is None else levels)
    finite = z[np.isfinite(z)]
    if not finite.size:
        raise DataError("contours: the function is not finite at any point of the limits.")
    low, high = min([float(finite.min()), *lowest]), float(finite.max())
    if not high > low:
        raise DataError(f"contours: the function is {low:g} everywhere within the limits: no contours.")
    even = np.linspace(low, high, count + 2)[1:-1]
    if np.mean(finite < even[0]) <= 0.5:
        return even
    above = np.sort(finite - low)
    # One point in two hundred lies below the first line; a floor for functions with a flat bottom.
    first = max(above[len(above) // 200], 1e-8 * (high - low))
    return low + np.geomspace(first, high - low, count + 1)[:-1]


def _points(minima: Any) -> Any:
    """The minima to be marked, (k, 2)."""
    if len(minima) == 0:
        return np.empty((0, 2))
    points = numbers(minima, "contours: minima")
    points = points.reshape(1, 2) if points.shape == (2,) else points
    if points.ndim != 2 or points.shape[1] != 2:
        raise ShapeError(f"contours: minima must be points of two numbers, got shape {points.shape}.")
    return points
