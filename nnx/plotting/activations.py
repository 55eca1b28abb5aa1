"""An activation function and its derivative."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from nnx import activations
from nnx.autodiff import jvp
from nnx.backend import get_backend, namespace, to_numpy
from nnx.errors import OptionError, ShapeError
from nnx.plotting.canvas import axes_for, colour, dressed, interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_POINTS = 601
#: a jump is more than this share of the range of values
_JUMP = 0.02


def activation(activation: Any, *, limits: tuple[float, float] = (-3.0, 3.0), ax: Axes | None = None) -> Axes:
    """Axes with the curves of an activation function g and of its derivative g′, which nnx finds.

    ``activation`` is a name (``"tanh"``), an object with options
    (``nnx.activations.LeakyReLU(negative_slope=0.1)``), or any function that maps an array elementwise and
    that nnx can differentiate. It is computed in double precision at 601 points of ``limits`` = (low, high);
    where g or g′ jumps, by more than a fiftieth of its range, the curve has a gap.

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
    z = np.linspace(low, high, _POINTS)
    both = _checked(g, z, name)
    left, right = _jumps(g, z, both)
    # Both sides of each jump, and NaN right after the left one: the curve has a gap there.
    sides = np.concatenate([left, right])
    z = np.concatenate([z, sides, left])
    both = np.concatenate([both, _both(g, sides), np.full((2, left.size), np.nan)], axis=1)
    order = np.argsort(z, kind="stable")
    ax = axes_for(ax, "activation")
    for i, (what, dash) in enumerate((("$g(z)$", "-"), ("$g'(z)$", "--"))):
        ax.plot(z[order], both[i, order], dash, color=colour(i), linewidth=2.0, label=what)
    ax.set_xlim(low, high)
    ax.legend(loc="best")
    return dressed(ax, "$z$", "", name)


def _both(g: Callable[[Any], Any], z: Any) -> Any:
    """Values of g and of g′ at z, (2, len(z))."""
    x = get_backend().asarray(z, dtype="float64")
    found = jvp(g, (x,), (namespace(x).ones_like(x),))
    return np.stack([np.asarray(to_numpy(part), dtype=np.float64) for part in found])


def _checked(g: Callable[[Any], Any], z: Any, name: str) -> Any:
    """The same, for a function that was found to be elementwise."""
    try:
        both = _both(g, z)
    except ShapeError:  # a function that splits its vectors
        both = np.empty(0)
    if both.shape == (2, z.size):
        part = to_numpy(g(get_backend().asarray(z[::2], dtype="float64")))
        # The same numbers must come out for half of the points, but for rounding in another order.
        if part.shape == z[::2].shape and np.allclose(both[0, ::2], part, rtol=1e-9, equal_nan=True):
            return both
    raise OptionError(
        f"activation: {name} is a function of whole vectors, so it has no curve. Only functions that map "
        "each number by itself can be drawn, such as 'tanh'."
    )


def _jumps(g: Callable[[Any], Any], z: Any, both: Any) -> tuple[Any, Any]:
    """Where g or g′ jumps: the numbers on both sides, found by halving each interval with a large change."""
    scale = np.nanmax(both, axis=1) - np.nanmin(both, axis=1)
    scale = np.where(scale > 0.0, scale, 1.0)[:, None] * _JUMP

    def changes(a: Any, b: Any) -> Any:
        return np.max(np.abs(b - a) / scale, axis=0)

    wide = changes(both[:, :-1], both[:, 1:]) > 1.0
    a, b = z[:-1][wide], z[1:][wide]
    if not a.size:
        return a, b
    for _ in range(60):
        middle = a + 0.5 * (b - a)
        at_a, at_middle, at_b = (_both(g, x) for x in (a, middle, b))
        in_left = changes(at_a, at_middle) >= changes(at_middle, at_b)
        a, b = np.where(in_left, a, middle), np.where(in_left, middle, b)
    still = changes(_both(g, a), _both(g, b)) > 1.0
    return a[still], b[still]
