"""A fitted curve with its confidence band."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from nnx.autodiff import jvp
from nnx.backend import adapter_of, device_of, given, namespace, to_numpy
from nnx.errors import DataError, ShapeError
from nnx.optimizers.functions.student import student_quantile
from nnx.options import Number, truth
from nnx.plotting.canvas import axes_for, colour, dressed, pairs_of_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_POINTS = 200
_SHARE = Number(above=0.0, below=1.0)


def fit(
    f: Callable[..., Any],
    popt: Any,
    pcov: Any,
    xdata: Any,
    ydata: Any,
    *,
    confidence: float = 0.95,
    absolute_sigma: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Axes with data, the curve that was fitted to them, and a confidence band around the curve.

        f(x, p̂) ± t · √(J(x) C J(x)ᵀ),    J(x) = ∂f(x, p)/∂p at p̂

    by the delta method: f is linear in p near p̂ = ``popt``, whose covariance is C = ``pcov``, and t is the
    quantile of Student's distribution with m − n degrees of freedom for m data and n parameters. J comes from
    automatic differentiation (forward mode, one pass for each parameter). At each x by itself, the band holds
    the true curve with probability ``confidence``, as far as the model is right, the errors of the data are
    independent and normal, and f is nearly linear over the uncertainty of p. It is no band for new data:
    their own scatter is not in it.

    - ``f(xdata, *p)``, ``popt``, ``pcov``: as given to and returned by :func:`nnx.curve_fit` (or SciPy's);
      the arrays of ``popt`` say which library computes.
    - ``xdata``, ``ydata``: (m,) each. The curve is drawn over their range at 200 points.
    - ``absolute_sigma``: as given to ``curve_fit``: where C was not estimated from the scatter of the data,
      t is the quantile of the normal distribution.

    Raises :class:`nnx.errors.ShapeError` for data that are not vectors of the same length and for a ``pcov``
    that is not (n, n), :class:`nnx.errors.DataError` for a ``pcov`` that is not finite, for data that are no
    more than the parameters, and for a negative variance, and :class:`nnx.errors.OptionError` for a
    ``confidence`` outside of (0, 1) and an ``absolute_sigma`` that is neither True nor False.

    >>> def decay(x, a, b):
    ...     return a * np.exp(-b * x)
    >>> x = np.linspace(0.0, 4.0, 30)
    >>> y = decay(x, 2.0, 1.0) + 0.05 * np.cos(40.0 * x)
    >>> popt, pcov = nnx.curve_fit(decay, x, y)
    >>> ax = nnx.plotting.fit(decay, popt, pcov, x, y)
    >>> [artist.get_label() for artist in (*ax.lines, *ax.collections)]
    ['data', 'fit', '95 % confidence']

    Source: D. M. Bates, D. G. Watts, *Nonlinear Regression Analysis and Its Applications*, Wiley 1988,
    section 2.3; G. A. F. Seber, C. J. Wild, *Nonlinear Regression*, Wiley 1989, section 5.1.
    """
    share = _SHARE("fit", "confidence", confidence)
    truth("fit", "absolute_sigma", absolute_sigma)
    x, y = pairs_of_numbers(xdata, ydata, ("xdata", "ydata"))
    if x.size != len(to_numpy(given(xdata, "xdata", on_host=True))):
        raise ShapeError("fit: xdata must be one number for each datum: a curve has one variable.")
    p = given(popt, "fit: popt")
    covariance = _covariance(pcov, p)
    freedom = x.size - p.shape[0]
    if freedom < 1 and not absolute_sigma:
        raise DataError(
            f"fit: {x.size} data for {p.shape[0]} parameters leave no degree of freedom: no band."
        )
    t = NormalDist().inv_cdf(0.5 + 0.5 * share) if absolute_sigma else student_quantile(share, freedom)
    grid = np.linspace(x.min(), x.max(), _POINTS)
    curve, spread = _curve_and_deviation(f, p, covariance, grid)
    ax = axes_for(ax, "fit")
    size = 5.0 if x.size <= 100 else 3.0
    ax.plot(x, y, "o", color=colour(0), markersize=size, alpha=0.8, label="data", zorder=3)
    ax.plot(grid, curve, color=colour(1), linewidth=1.8, label="fit", zorder=2)
    band: dict[str, Any] = {"color": colour(1), "alpha": 0.25, "linewidth": 0.0, "zorder": 1}
    percent = f"{100.0 * share:.4g} % confidence"
    ax.fill_between(grid, curve - t * spread, curve + t * spread, label=percent, **band)
    ax.legend(loc="best")
    return dressed(ax, "$x$", "$y$")


def _covariance(pcov: Any, p: Any) -> Any:
    covariance, n = to_numpy(given(pcov, "fit: pcov", on_host=True)).astype(np.float64), p.shape
    if len(n) != 1 or covariance.shape != (*n, *n):
        raise ShapeError(
            f"fit: popt must be a vector of n parameters and pcov their covariance (n, n), got shapes "
            f"{tuple(n)} and {covariance.shape}."
        )
    if not np.isfinite(covariance).all():
        raise DataError(
            "fit: pcov is not finite: the data do not determine all parameters, so there is no band."
        )
    return covariance


def _curve_and_deviation(f: Callable[..., Any], p: Any, covariance: Any, grid: Any) -> tuple[Any, Any]:
    """f(x, p) and √(J C Jᵀ) at the points of ``grid``, as NumPy's arrays."""
    home, xp, n = adapter_of(p), namespace(p), p.shape[0]
    p = p if home.is_floating(p.dtype) else xp.astype(p, xp.float64)
    x = home.asarray(grid, dtype=p.dtype, device=device_of(p))
    unit = xp.eye(n, dtype=p.dtype, device=device_of(p))
    columns = []
    for j in range(n):
        value, column = jvp(lambda p: f(x, *(p[i] for i in range(n))), (p,), (unit[j, :],))
        if tuple(value.shape) not in ((), grid.shape):
            raise ShapeError(
                f"fit: f must return one number for each x, {grid.shape}, got {tuple(value.shape)}."
            )
        columns.append(np.broadcast_to(to_numpy(column), grid.shape))
    rows = np.stack(columns, axis=1).astype(np.float64)
    variance = np.sum((rows @ covariance) * rows, axis=1)
    # Rounding alone may make a variance of 0 a little negative.
    if variance.min() < -1e-9 * max(np.sum(rows * rows) * np.abs(covariance).max(), 0.0):
        raise DataError("fit: pcov is no covariance: it gives the curve a negative variance.")
    curve = np.broadcast_to(to_numpy(value), grid.shape).astype(np.float64)
    return curve, np.sqrt(np.maximum(variance, 0.0))
