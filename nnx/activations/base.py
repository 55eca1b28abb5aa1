"""The registry of activations, and what is declared with each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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

#: the checks of options that several have
POSITIVE = Number(above=0.0, arrays=True)
NOT_NEGATIVE = Number(least=0.0, arrays=True)
