"""An activation function and its derivative."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from nnx import activations
from nnx.autodiff import jvp
from nnx.backend import get_backend, namespace, to_numpy
from nnx.errors import OptionError
from nnx.plotting.canvas import axes_for, colour, dressed, interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_POINTS = 601


def activation(activation: Any, *, limits: tuple[float, float] = (-3.0, 3.0), ax: Axes | None = None) -> Axes:
    """Axes with the curves of an activation function g and of its derivative g′, which nnx finds.

    ``activation`` is a name (``"tanh"``), an object with options
    (``nnx.activations.LeakyReLU(negative_slope=0.1)``), or any function that maps an array elementwise and
    that nnx can differentiate. It is computed in double precision at 601 points of ``limits`` = (low, high);
    where g or g′ is declared to jump, both sides are drawn and the gap stays open.

    Raises :class:`nnx.errors.UnknownName` for a name that does not exist, and
    :class:`nnx.errors.OptionError` for functions of whole vectors, such as softmax, and for limits that are
    not increasing.

    >>> ax = nnx.plotting.activation("sigmoid")
    >>> z, slope = ax.lines[1].get_data()
    >>> ax.get_title(), float(slope.max())
    ('sigmoid', 0.25)

    Source: the range −3 … 3 and the pairs of curves are those of the lectures; C. M. Bishop, *Pattern
    Recognition and Machine Learning*, Springer 2006, section 5.1.
    """
    g = activations.get(activation)
    name = str(getattr(g, "name", "") or type(g).__name__)
    if not callable(g):
        raise OptionError(f"activation must be a name or a function of arrays, got {activation!r}.")
    low, high = interval(limits, "activation: limits")
    z = _points(low, high, () if getattr(g, "options", None) else getattr(g.traits, "kinks", ()))
    value, slope = _value_and_slope(g, z[~np.isnan(z)], name)
    ax = axes_for(ax, "activation")
    place = np.cumsum(~np.isnan(z)) - 1
    for i, (what, y, dash) in enumerate((("$g(z)$", value, "-"), ("$g'(z)$", slope, "--"))):
        curve = np.where(np.isnan(z), np.nan, y[place])
        ax.plot(z, curve, dash, color=colour(i), linewidth=2.0, label=what)
    ax.set_xlim(low, high)
    ax.legend(loc="best")
    return dressed(ax, "$z$", "", name)


def _points(low: float, high: float, kinks: tuple[float, ...]) -> Any:
    """Equally spaced numbers; around each kink its two neighbours, and NaN between them: a gap."""
    z = np.linspace(low, high, _POINTS)
    for kink in kinks:
        if low < kink < high:
            sides = [np.nextafter(kink, low), np.nan, np.nextafter(kink, high)]
            z = np.concatenate([z[z < sides[0]], sides, z[z > sides[2]]])
    return z


def _value_and_slope(g: Callable[[Any], Any], z: Any, name: str) -> tuple[Any, Any]:
    x = get_backend().asarray(z, dtype="float64")
    value, slope = jvp(g, (x,), (namespace(x).ones_like(x),))
    alone = g(x[::2])
    if tuple(value.shape) == tuple(x.shape) and tuple(alone.shape) == z[::2].shape:
        whole, part = to_numpy(value), to_numpy(alone)
        # Elementwise: the same numbers come out for half of the points, but for rounding in another order.
        if np.allclose(whole[::2], part, rtol=1e-9, atol=1e-12, equal_nan=True):
            return whole, to_numpy(slope)
    raise OptionError(
        f"activation: {name} is a function of whole vectors, so it has no curve. Only functions that map "
        "each number by itself can be drawn, such as 'tanh'."
    )
