"""Limits of a run, kept within its iterations: no call of the function more than was allowed."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import Any, ClassVar

from nnx.backend import namespace
from nnx.optimizers.descent.box import Box
from nnx.optimizers.options import Options
from nnx.optimizers.problem import Point, Problem, Stop, read
from nnx.options import flag, number

Array = Any


@dataclass(frozen=True)
class Limits(Options):
    """When to stop whatever the method.

    ``maxiter`` iterations; ``maxfev`` evaluations of the function, of which a run makes not one more, nor
    begins one after ``maxtime`` seconds: both end it within an iteration too; a cost of at most ``goal``.
    ``disp`` prints the reason at the end.
    """

    renamed: ClassVar = {
        "iprint": "disp",
        "max_iter": "maxiter",
        "max_nfev": "maxfev",
        "maxfun": "maxfev",
        "return_all": "callback=, which gets every point",
        "verbose": "disp",
    }

    maxiter: int | None = number(None, least=0, whole=True, optional=True)
    maxfev: int | None = number(None, least=1, whole=True, optional=True)
    maxtime: float | None = number(None, above=0.0, optional=True)
    goal: float | None = number(None, optional=True)
    disp: bool = flag(False)

    @property
    def within_iterations(self) -> bool:
        """Whether one of them may end a run in the middle of an iteration."""
        return self.maxfev is not None or self.maxtime is not None


class Spent(Exception):
    """Raised where a limit forbids a further call of the function; ``stop`` says which one."""

    def __init__(self, stop: Stop) -> None:
        super().__init__(stop.message)
        self.stop = stop


class Budget(Counter[str]):
    """Counts of what a problem computed that allow no call of its function beyond the limits."""

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self._limits, self._begin = limits, math.inf

    @property
    def scarce(self) -> bool:
        """Whether calls of the function are limited."""
        return self._limits.maxfev is not None

    @property
    def left(self) -> float:
        """How many calls of the function are left."""
        most = self._limits.maxfev
        return math.inf if most is None else most - self["value"]

    def start(self, begin: float) -> None:
        """The clock runs from ``begin`` on; before, only calls are limited."""
        self._begin = begin

    def stop_clock(self) -> None:
        """The run is over: what is computed now is for its result. Calls remain limited."""
        self._begin = math.inf

    def allow(self) -> None:
        """Raises :class:`Spent` where the function must not be called once more."""
        limits = self._limits
        if limits.maxfev is not None and self["value"] >= limits.maxfev:
            raise Spent(Stop(0, f"The limit of {limits.maxfev} evaluations is reached.", False))
        if limits.maxtime is not None and time.perf_counter() - self._begin >= limits.maxtime:
            raise Spent(Stop(0, f"The time limit of {limits.maxtime:g} seconds is over.", False))


class Observed:
    """A problem that remembers the lowest of the points at which its function was evaluated.

    ``box``: only points within it count.
    """

    def __init__(self, problem: Any, box: Box | None) -> None:
        self._problem, self._box = problem, box
        self._recent: deque[Point] = deque(maxlen=8)
        self._best: Point | None = None
        self._cost = math.inf

    def __getattr__(self, name: str) -> Any:
        return getattr(self._problem, name)

    def at(self, w: Array) -> Point:
        """The point at a copy of ``w``, so that it stays what it is where a step writes into ``w``."""
        self._settle()
        point: Point = self._problem.at(namespace(w).asarray(w, copy=True))
        self._recent.append(point)
        return point

    def best(self) -> tuple[Point | None, float]:
        """The lowest point so far with its cost; None, ∞ where no cost was finite."""
        self._settle()
        return self._best, self._cost

    def _settle(self) -> None:
        evaluated = [point for point in self._recent if point.is_evaluated]
        for point in evaluated:
            self._recent.remove(point)
            cost = read(point.value)[0]
            if cost < self._cost and self._holds(point.w):
                self._best, self._cost = point, cost

    def _holds(self, w: Array) -> bool:
        if self._box is None:
            return True
        xp = namespace(w)
        return bool(read(xp.astype(xp.all(self._box.project(w) == w), w.dtype))[0])


class FirstPointKnown:
    """Wraps a problem so that the next ``at(w)`` returns a point that is evaluated already."""

    def __init__(self, problem: Problem, point: Any) -> None:
        self.layout, self._problem, self._point = problem.layout, problem, point

    def at(self, w: Array) -> Any:
        point, self._point = self._point, None
        return self._problem.at(w) if point is None else point
