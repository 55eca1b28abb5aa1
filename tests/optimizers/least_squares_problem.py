"""What a least-squares problem of the tests is: residuals, a start, the minima that are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from nnx.backend import namespace

Array = Any
Residual = Callable[[Any, Array], Array]


@dataclass(frozen=True)
class LeastSquares:
    """``residual(xp, x)``, in array API calls; the standard start; the minima of Σ r², the least one first.

    Called with x alone it returns the residuals: what ``least_squares`` of nnx and of SciPy asks for. No
    known minimum is an empty tuple.
    """

    name: str
    residual: Residual
    start: tuple[float, ...]
    minima: tuple[float, ...]
    group: str

    def __call__(self, x: Array) -> Array:
        return self.residual(namespace(x), x)

    def sum_of_squares(self, x: Array) -> float:
        """Σ r² in NumPy; infinite where the residuals are not finite."""
        with np.errstate(all="ignore"):
            value = float(np.sum(np.square(self(np.asarray(x, dtype=float)))))
        return value if np.isfinite(value) else np.inf

    @cached_property
    def at_start(self) -> float:
        """Σ r² at the standard start."""
        return self.sum_of_squares(self.start)

    def bar(self, minimum: float) -> float:
        """The largest Σ r² that counts as having reached a minimum: f*(1 + 1e-6) + 1e-14 f(standard start).

        Relative, since some minima are as small as 1e-10; the second term is for those that are 0.
        """
        return minimum * (1.0 + 1e-6) + 1e-14 * self.at_start

    def reached(self, value: float) -> float | None:
        """The known minimum that Σ r² = ``value`` is at; None where it is at none."""
        if self.minima and value <= self.bar(self.minima[0]):
            return self.minima[0]
        return next((m for m in self.minima[1:] if m * (1.0 - 1e-6) <= value <= self.bar(m)), None)

    def in_units(self, of_residuals: float, of_x: Sequence[float]) -> LeastSquares:
        """The same problem with residuals and variables in other units: c·r(x/s), started from s·start."""
        c, s, original = float(of_residuals), np.asarray(of_x, dtype=float), self.residual

        def residual(xp: Any, x: Array) -> Array:
            return c * original(xp, x / xp.asarray(s, dtype=x.dtype))

        return replace(
            self,
            residual=residual,
            start=tuple(s * np.asarray(self.start)),
            minima=tuple(c * c * m for m in self.minima),
        )
