"""Points whose scalars have come to the host: where a deterministic method stands, and what it tries."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple, Self

from nnx.backend import namespace
from nnx.optimizers.descent.box import Box
from nnx.optimizers.problem import Problem, read

Array = Any


class Precision(NamedTuple):
    """What is known of a type: its rounding ε, and the least number whose square is not below its range."""

    eps: float
    least: float


_KNOWN: dict[tuple[type, Any], Precision] = {}


def precision(w: Array) -> Precision:
    """That of the type of ``w``."""
    key = type(w), w.dtype  # types of two libraries with one hash would be compared
    found = _KNOWN.get(key)
    if found is None:
        info = namespace(w).finfo(w.dtype)
        found = _KNOWN[key] = Precision(float(info.eps), math.sqrt(float(info.smallest_normal)))
    return found


class Iterate:
    """Base class: a point of a problem, with its cost as a float. It owns its arrays.

    A subclass says where the gradient comes from.
    """

    #: the iterate at the same point whose derivatives it uses, where there is one
    made_of: Iterate | None = None

    def __init__(self, w: Array, point: Any, version: int) -> None:
        self.w, self.point, self.version = w, point, version
        self.cost_is_known = False

    @property
    def gradient(self) -> Array:
        """The gradient of what the method minimises."""
        raise NotImplementedError

    @property
    def projected_gradient(self) -> Array:
        """The gradient, with 0 for each variable that an active bound holds."""
        raise NotImplementedError

    @property
    def norm(self) -> float:
        """The max-norm of the gradient; NaN if an entry is."""
        raise NotImplementedError

    @cached_property
    def cost(self) -> float:
        """The value."""
        self.cost_is_known = True
        return read(self.point.value)[0]

    def slope(self, p: Array) -> float:
        """The derivative of the cost along ``p``; the cost comes with it in one transfer."""
        return self._measured(lambda: self._slope(p))

    def _slope(self, p: Array) -> float:
        slope = namespace(p).vecdot(self.gradient, p)
        if self.cost_is_known:
            return read(slope)[0]
        self.cost, found = read(self.point.value, slope)
        self.cost_is_known = True
        return found

    def _measured(self, measure: Callable[[], float]) -> float:
        """``measure()`` of the derivatives; of mended ones where it is not finite and the cost is."""
        found = measure()
        if math.isfinite(found) or not math.isfinite(self.cost) or not self._mend():
            return found
        return measure()

    def _mend(self) -> bool:
        """Whether the problem has found finite derivatives in place of those known so far."""
        mend = getattr(self.point, "mend", None)
        if mend is None or not mend():
            return False
        self.forget()
        return True

    def forget(self) -> None:
        """Lets go what was computed of the derivatives."""
        for name in ("gradient", "system", "free", "cosine"):
            self.__dict__.pop(name, None)
        if self.made_of is not None:
            self.made_of.forget()

    def compute(self) -> Self:
        """This point, with gradient and cost computed, in this order: most gradients bring the cost along."""
        _ = self.norm, self.cost
        return self

    @property
    def finite(self) -> bool:
        """Whether cost and gradient are finite, so that a method can go on from here."""
        return math.isfinite(self.norm) and math.isfinite(self.cost) and self.usable

    @property
    def usable(self) -> bool:
        """Whether what the method needs beyond cost and gradient is finite."""
        return True


class Evaluation(Iterate):
    """The point ``w`` with the gradient that the problem gives; within ``box``, the nearest point of it."""

    def __init__(self, problem: Problem, w: Array, box: Box | None = None) -> None:
        w = w if box is None else box.project(w)
        super().__init__(w, problem.at(w), getattr(problem, "version", 0))
        self.problem, self.box = problem, box

    def neighbour(self, w: Array) -> Evaluation:
        """Another point, of the same problem and box."""
        return Evaluation(self.problem, w, self.box)

    @property
    def sizes(self) -> Array:
        """The magnitudes of the variables: the units in which their steps are short or long."""
        return namespace(self.w).abs(self.w)

    @cached_property
    def gradient(self) -> Array:
        """The gradient: a copy, since a problem may use one buffer for all of its points."""
        return namespace(self.w).asarray(self.point.gradient, copy=True)

    @property
    def projected_gradient(self) -> Array:
        return self.gradient if self.box is None else self.box.free(self.w, self.gradient) * self.gradient

    @cached_property
    def norm(self) -> float:
        """The max-norm of the projected gradient; NaN if an entry is."""
        return self._measured(lambda: max_norm(self.projected_gradient))


def max_norm(g: Array) -> float:
    """The largest magnitude of an entry; NaN if an entry is, 0 without entries."""
    xp = namespace(g)
    return read(xp.max(xp.abs(g)))[0] if g.shape[0] else 0.0
