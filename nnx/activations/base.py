"""The registry of activations, and what is declared with each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nnx.autodiff.array import raw
from nnx.backend import adapter_of
from nnx.errors import AxisError
from nnx.options import Number
from nnx.registry import Registry, Traits

Shape = tuple[int, ...]


@dataclass(frozen=True)
class ActivationTraits(Traits):
    """What is declared with an activation a = f(z); functions of whole vectors have no limits and slopes."""

    #: LaTeX of its derivative
    derivative: str = ""
    #: the values it takes, as an interval
    range: str = ""
    #: its values at z = −∞ and z = +∞
    limits: tuple[float, float] | None = None
    #: its derivative there: 0 is saturation, where learning stops
    slopes: tuple[float, float] | None = None
    #: where its first or second derivative jumps (for the default options)
    kinks: tuple[float, ...] = ()
    #: the shape of the result as a function of the argument's, where the two differ
    shape: Callable[[Shape], Shape] | None = None


registry = Registry("activation", ActivationTraits)

#: So far out that every activation has reached its limit, but finite: 0·∞ would be nan, 0·FAR is 0.
FAR = 1e30


def ones_where(xp: Any, x: Any, holds: Any) -> Any:
    """1 where ``holds``, else 0, and NaN where x is NaN: the slope of a function made of straight pieces."""
    return adapter_of(x).unless_nan(raw(x), xp.astype(holds, x.dtype))


#: the checks of options that several have
POSITIVE = Number(above=0.0, arrays=True)
NOT_NEGATIVE = Number(least=0.0, arrays=True)
AXIS = Number(whole=True)


def need_axis(what: str, x: Any, axis: Any) -> None:
    """Raises :class:`nnx.errors.AxisError` for an axis that ``what``, the array x, does not have.

    And :class:`nnx.errors.OptionError` for one that is no whole number.
    """
    if type(axis) is not int:
        AXIS(what, "axis", axis)
    if not -x.ndim <= axis < x.ndim:
        raise AxisError(
            f"{what} of shape {tuple(x.shape)} have no axis {axis}: axis counts from 0 (the batch), or "
            "from −1 (the last) backwards."
        )
