"""The line along which a search goes, and what its trials tell of the cost there."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

from nnx.backend import namespace
from nnx.optimizers.descent.evaluation import Evaluation, precision
from nnx.optimizers.descent.outlook import Outlook, contradiction
from nnx.optimizers.problem import Problem, read
from nnx.optimizers.searches import Found, Search, Trial

Array = Any


class _NothingToSee(Exception):
    """Ends a search where values can no longer tell a lower cost."""


class Ray:
    """The problem along w + αp from the point ``here``, as a search evaluates it; ``at`` makes the points.

    It keeps the trials, without their points. A search ends early where w + αp is w; and where the slopes say
    that a trial is at the minimum of a parabola, but the value, within ``noise`` of the start's, does not
    follow: the shorter steps that the search would try show even less.
    """

    #: trials after which it is checked whether w + αp is still another point
    patience: ClassVar[int] = 4

    def __init__(
        self,
        problem: Problem,
        here: Evaluation,
        p: Array,
        at: Callable[[Problem, Array], Evaluation] = Evaluation,
        noise: float = 0.0,
    ) -> None:
        self.problem, self.here, self.p, self.at, self.noise = problem, here, p, at, noise
        self.start = self.lowest = Trial(0.0, here.cost, here.slope(p), here)
        self.trials: list[Trial] = []
        #: whether p is a descent direction, with a slope that is a number
        self.leads_down = -math.inf < self.start.slope < 0.0

    def search(self, by: Search, first: float) -> Found:
        """What the search ``by`` finds from the step ``first`` on; the start where that is nothing lower."""
        if not self.leads_down:
            return Found(self.start, False, "The slope is not finite and negative.")
        try:
            found = by(self, self.start, first)
        except _NothingToSee as reason:
            found = Found(self.lowest, False, f"{reason}.")
        if found.trial.alpha == 0.0 or not found.trial.point.compute().finite:
            found = found._replace(trial=self.start)
        return found

    def value(self, alpha: float) -> Trial:
        """The cost at α."""
        point = self._at(alpha)
        return self._kept(Trial(alpha, point.cost, math.nan, point))

    def slope(self, alpha: float) -> Trial:
        """Cost and slope at α."""
        point = self._at(alpha)
        slope = point.slope(self.p)
        trial = self._kept(Trial(alpha, point.cost, slope, point))
        before = self.start.slope
        level = 0.0 <= trial.value - self.start.value <= self.noise and -0.5 * alpha * before <= self.noise
        if level and abs(slope) <= -0.1 * before:
            raise _NothingToSee("The values no longer follow the slopes")
        return trial

    def _at(self, alpha: float) -> Evaluation:
        w = self.here.w + alpha * self.p
        if len(self.trials) >= self.patience:
            xp = namespace(w)
            if read(xp.astype(xp.all(w == self.here.w), w.dtype))[0]:
                raise _NothingToSee("The steps have become shorter than the rounding of the weights")
        return self.at(self.problem, w)

    def _kept(self, trial: Trial) -> Trial:
        self.trials.append(Trial(trial.alpha, trial.value, trial.slope))
        if trial.value < self.lowest.value:
            self.lowest = trial
        return trial

    # -- what the trials tell ---------------------------------------------------------------------------

    def outlook(self, model: float | None = None) -> Outlook | None:
        """The parabola through the slopes at the start and at the first trial beyond its minimum, or near it.

        Without slopes, the one whose minimum is at α = ``model``, if that is given.
        """
        slope, alpha = self.start.slope, model
        bent = [t for t in self.trials if slope < t.slope < math.inf]
        if bent:
            beyond = [t for t in bent if t.slope >= 0.0]
            end = min(beyond, key=lambda t: t.alpha) if beyond else max(bent, key=lambda t: t.slope)
            alpha = end.alpha * (slope / (slope - end.slope))
        if alpha is None or (not bent and any(t.slope <= slope for t in self.trials)):
            return None
        near = [t for t in self.trials if 0.25 * alpha <= t.alpha <= 2.0 * alpha and math.isfinite(t.value)]
        parabola = [t.alpha * slope * (1.0 - 0.5 * t.alpha / alpha) for t in near]
        missed = [abs(t.value - self.start.value - y) for t, y in zip(near, parabola, strict=True)]
        flat = all(t.value == self.start.value for t in near)
        return Outlook(alpha * self.p, -0.5 * alpha * slope, max(missed, default=math.nan), flat)

    def contradiction(self) -> str:
        """In words, that the gradient is not that of the values on this line; empty where it may be."""
        visible = 1e3 * precision(self.p).eps * abs(self.start.value)
        clear = [t.alpha for t in self.trials if visible < abs(t.value - self.start.value) < math.inf]
        return contradiction(self.here, self.p, self.start.slope, min(clear)) if clear else ""
