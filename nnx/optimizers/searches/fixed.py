"""No search: one step of a length that was said before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nnx.optimizers.searches.base import Algorithm, Search, Trial, register
from nnx.options import number


@register("none")
@dataclass(frozen=True)
class Fixed(Search):
    """One trial: φ(α) ≤ φ(0) at α = ``step``. None takes the first step that the method offers.

    Where the condition does not hold, the start is returned: a step that raises the cost is not
    made. Asks for one value.

    Source: :class:`Armijo`'s condition with c₁ = 0 and a single trial.

    >>> line = nnx.optimizers.searches.ScalarLine(lambda a: (a - 1.0) ** 2, lambda a: 2.0 * (a - 1.0))
    >>> nnx.optimizers.searches.Fixed(0.5)(line, line.slope(0.0), 1.0).trial.alpha
    0.5
    """

    max_trials: ClassVar[int] = 1  # type: ignore[misc]

    step: float | None = number(None, above=0.0, optional=True)

    def accepts(self, start: Trial, trial: Trial) -> bool:
        return trial.value <= start.value

    def steps(self, start: Trial, first: float) -> Algorithm:
        yield first if self.step is None else self.step
        return False, "the cost rises, or is not finite"
