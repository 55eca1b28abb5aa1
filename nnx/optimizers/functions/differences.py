"""Derivatives by differences, for functions that nnx cannot look into: SciPy's schemes and steps."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nnx.autodiff import flatten
from nnx.backend import adapter_of, device_of, namespace
from nnx.errors import DerivativeError, OptionError
from nnx.optimizers.descent.box import Box
from nnx.options import Number

Array = Any
Function = Callable[[Array], Array]

SCHEMES = ("2-point", "3-point", "cs")


@dataclass(frozen=True)
class Differences:
    r"""How a derivative is taken by differences.

    ==============  =======================================  ===============================  ==============
    scheme          derivative by xᵢ                         h, relative                      calls, n xᵢ
    ==============  =======================================  ===============================  ==============
    ``"2-point"``   (f(x + h) − f(x)) / h                    ε^(1/2)                          n
    ``"3-point"``   (f(x + h) − f(x − h)) / 2h               ε^(1/3)                          2n
    ``"cs"``        Im f(x + ih) / h                         ε^(1/2)                          n
    ==============  =======================================  ===============================  ==============

    with h = ±relative·max(1, \|xᵢ\|), its sign that of xᵢ; ε is the rounding of x or of f's values, whichever
    is coarser. ``rel_step``, a number or one for each variable, gives h = ``rel_step``·xᵢ instead,
    ``abs_step`` gives h itself; where xᵢ + h would be xᵢ, the default is taken. Within ``box`` no call lies
    outside (those of "cs" leave the real axis only): a step turns round or becomes shorter, and at a bound
    the central difference becomes (−3f(x) + 4f(x + h) − f(x + 2h)) / 2h. The derivative by a variable that
    its bounds fix is 0.

    Source: ``scipy.optimize._numdiff`` (SciPy 1.17); W. Squire, G. Trapp, "Using complex variables to
    estimate derivatives of real functions", SIAM Review 40 (1998) 110–112.
    """

    scheme: str = "2-point"
    rel_step: Any = None
    abs_step: Any = None
    box: Box | None = None

    def within(self, box: Box | None) -> Differences:
        """The same differences, which never leave the box."""
        return replace(self, box=box)

    def steps(self, w: Array, eps: float) -> Array:
        """The h for each entry of ``w``, before bounds are considered."""
        xp, given = namespace(w), self.abs_step if self.rel_step is None else self.rel_step
        sign = xp.where(w >= 0.0, 1.0, -xp.ones_like(w))
        usual = (
            eps ** (1 / 3 if self.scheme == "3-point" else 1 / 2) * sign * xp.maximum(abs(w), xp.ones_like(w))
        )
        if given is None:
            return usual
        h = xp.zeros_like(w) + adapter_of(w).asarray(given, dtype=w.dtype, device=device_of(w))
        h = h if self.rel_step is None else h * sign * abs(w)
        return xp.where((w + h) - w == 0.0, usual, h)

    def bounded_steps(self, w: Array, eps: float) -> Array:
        """The h of one-sided differences, within the bounds."""
        h = self.steps(w, eps)
        return h if self.box is None else _one_sided(self.box, w, h)

    def columns(
        self, f: Function, w: Array, f0: Array, eps: float, only: Sequence[int] | None = None
    ) -> Array:
        r"""∂f/∂w, of shape (\*f's, n), where ``f0`` is f(w); of ``only`` some columns if they are named.

        ``f`` owns each vector that it is given.
        """
        xp = namespace(w)
        index = xp.arange(w.shape[0], device=device_of(w))
        column = self._column(f, w, f0, eps)
        return xp.stack([column(index == i, i) for i in only or range(w.shape[0])], axis=-1)

    def _column(self, f: Function, w: Array, f0: Array, eps: float) -> Callable[[Array, int], Array]:
        """The function that finds column ``i``; its first argument is True for that variable alone."""
        xp = namespace(w)
        if self.scheme == "cs":
            h = self.steps(w, eps)
            return lambda own, i: self._imaginary(f, w, xp.where(own, h, 0.0), h[i])
        if self.scheme == "2-point":
            first = w + self.bounded_steps(w, eps)
            dx = first - w
            return lambda own, i: _ratio(xp, f(xp.where(own, first, w)) - f0, dx[i])
        h = abs(self.steps(w, eps))
        h, aside = (h, h < 0.0) if self.box is None else _two_sided(self.box, w, h)
        first, second = xp.where(aside, w + h, w - h), xp.where(aside, w + 2.0 * h, w + h)
        dx = xp.where(aside, second - w, second - first)

        def column(own: Array, i: int) -> Array:
            f1, f2 = f(xp.where(own, first, w)), f(xp.where(own, second, w))
            return _ratio(xp, xp.where(aside[i], -3.0 * f0 + 4.0 * f1 - f2, f2 - f1), dx[i])

        return column

    def along(self, f: Function, w: Array, v: Array, f0: Array, eps: float) -> Array:
        """∂f/∂w·v by one difference (central: two calls): no entry moves farther than for its own column.

        The box is not heeded.
        """
        xp = namespace(w)
        longest = xp.max(abs(v / self.steps(w, eps)))
        t = 1.0 / xp.where(longest > 0.0, longest, 1.0)
        if self.scheme == "cs":
            return self._imaginary(f, w, t * v, t)
        if self.scheme == "2-point":
            return (f(w + t * v) - f0) / t
        return (f(w + t * v) - f(w - t * v)) / (2.0 * t)

    @staticmethod
    def _imaginary(f: Function, w: Array, step: Array, length: Array) -> Array:
        xp = namespace(w)
        kind = xp.complex64 if w.dtype == xp.float32 else xp.complex128
        return xp.imag(f(xp.astype(w, kind) + 1j * xp.astype(step, kind))) / length


def scheme(where: str, name: str, value: Any, pair: bool = False) -> Any:
    """``jac`` or ``hess`` as a user gave it: None, a function, a scheme of differences, True if ``pair``.

    Raises :class:`nnx.errors.OptionError` for anything else.

    >>> from nnx.optimizers.functions.differences import scheme
    >>> scheme("minimize", "jac", "3-point")
    '3-point'
    >>> scheme("minimize", "jac", "4-point")
    Traceback (most recent call last):
    nnx.errors.OptionError: minimize: jac must be None (...), a function, '2-point', '3-point' or 'cs' (...
    """
    if value is None or value is False:
        return None
    if callable(value) or (pair and value is True) or (isinstance(value, str) and value in SCHEMES):
        return value
    raise OptionError(
        f"{where}: {name} must be None (derivatives by nnx), a function, '2-point', '3-point' or 'cs' "
        f"(differences){', or True (fun returns value and gradient)' if pair else ''}, got {value!r}."
    )


def relative_step(where: str, name: str, value: Any) -> Any:
    """The option of a step, a number or an array of them, or None."""
    if value is None or hasattr(value, "dtype"):
        return value
    if isinstance(value, list | tuple) and all(map(Number().allows, value)):
        return [float(step) for step in value]
    return Number()(where, name, value)


def rounding(w: Array, returned: Any) -> float:
    """The ε of the coarsest floating-point type among ``w`` and the arrays that a function returned."""
    found = [_eps(w)]
    for leaf in flatten(returned)[0]:
        if hasattr(leaf, "dtype") and hasattr(leaf, "shape"):
            xp = namespace(leaf)
            if xp.isdtype(leaf.dtype, ("real floating", "complex floating")):
                found.append(_eps(leaf))
    return max(found)


def _eps(x: Array) -> float:
    return float(namespace(x).finfo(x.dtype).eps)


def cannot_be_traced(error: Exception, again: Callable[[], Any]) -> DerivativeError:
    """What to raise where a function failed as it was differentiated, though it is fine without: ``again()``.

    A function that fails there too raises its own error.
    """
    again()
    said = str(error)
    if not isinstance(error, DerivativeError):
        said = textwrap.shorten(said, 300, placeholder=" ...")
        said = (
            "The function works on plain arrays, but nnx cannot differentiate it: on an array that is being "
            f"differentiated it raised {type(error).__name__}: {said}"
        )
    return DerivativeError(
        f"{said} Where the function cannot be written otherwise (it calls compiled code, quad, odeint, math, "
        "float, ...), ask for differences, which call it with plain arrays: jac='2-point', or '3-point', "
        "which is more accurate and takes twice as many calls."
    )


def _ratio(xp: Any, df: Array, dx: Array) -> Array:
    """df/dx, and 0 where the bounds left no step."""
    return xp.where(dx == 0.0, 0.0, df / xp.where(dx == 0.0, 1.0, dx))


def _one_sided(box: Box, w: Array, h: Array) -> Array:
    """Steps that stay inside: they turn round, or end at the farther bound, only where they must."""
    xp, below, above = namespace(w), w - box.lower, box.upper - w
    outside = (w + h < box.lower) | (w + h > box.upper)
    fits = abs(h) <= xp.maximum(below, above)
    turned = xp.where(outside & fits, -h, h)
    return xp.where(fits, turned, xp.where(above >= below, above, -below))


def _two_sided(box: Box, w: Array, h: Array) -> tuple[Array, Array]:
    """Steps of central differences, and where they cannot be central: f is wanted at w + h, w + 2h."""
    xp, below, above = namespace(w), w - box.lower, box.upper - w
    central = (below >= h) & (above >= h)
    up, down = xp.minimum(h, 0.5 * above), -xp.minimum(h, 0.5 * below)
    aside = xp.where(above >= below, up, down)
    nearer = xp.minimum(below, above)
    shorter = ~central & (abs(aside) <= nearer)  # a shorter central difference reaches as far
    adjusted = xp.where(central, h, xp.where(shorter, nearer, aside))
    return adjusted, ~central & ~shorter
