"""Points with a linear model of the residuals: r(w + p) ≈ r + Jp, with a penalty or without."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any, NamedTuple

from nnx.backend import adapter_of, namespace
from nnx.optimizers.descent.box import Box
from nnx.optimizers.descent.evaluation import Iterate, max_norm
from nnx.optimizers.problem import Problem, read
from nnx.optimizers.squares.systems import MatrixFree, NormalEquations, OrthogonalFactors, Ridged, of_each

Array = Any


class Linearization(NamedTuple):
    """How points are linearized: the solver of the system, the bytes for rows of J, the bounds."""

    solver: str
    memory_limit: float
    box: Box | None = None

    def at(self, problem: Problem, w: Array) -> Unpenalized:
        """The point ``w``."""
        return Unpenalized(self, problem, w)

    def within(self, w: Array) -> Array:
        """The nearest point within the bounds."""
        return w if self.box is None else self.box.project(w)

    def has_matrix(self, w: Array) -> bool:
        """Whether an n × n matrix is kept, and not only products with J used."""
        size = namespace(w).finfo(w.dtype).bits // 8
        return self.solver != "products" and w.shape[0] ** 2 * size <= self.memory_limit

    def system(self, point: Any, w: Array) -> Any:
        """The Jacobian, reduced to what the solver needs."""
        if not self.has_matrix(w):
            return MatrixFree(point, point.ridge, w)
        kind = OrthogonalFactors if self.solver == "qr" else NormalEquations
        return kind(point.blocks(self.memory_limit), point.ridge, w)


class Linearized(Iterate):
    """Base class: a point with its residuals and the linear system of its Jacobian."""

    how: Linearization

    # -- what a subclass says -------------------------------------------------------------------------

    @property
    def system(self) -> Any:
        """The linear system of the model."""
        raise NotImplementedError

    @property
    def ridge(self) -> Array | None:
        """The vector d of penalties ½ Σ dᵢwᵢ² in the system; None without any."""
        raise NotImplementedError

    @property
    def total(self) -> float:
        """What the method minimises: the cost, and a penalty of its own where it has one."""
        raise NotImplementedError

    def fall_to(self, there: Any) -> Array:
        """Total here − total there, an array of shape ().

        From differences of residuals, so that it keeps digits where the two totals agree in all of theirs.
        """
        raise NotImplementedError

    def moved(self, problem: Problem, w: Array) -> Any:
        """The point ``w``, linearized in the same way as this one."""
        raise NotImplementedError

    # -- what follows from it -------------------------------------------------------------------------

    @cached_property
    def gradient(self) -> Array:
        """The gradient of the total."""
        return self.system.gradient

    @cached_property
    def norm(self) -> float:
        return self._measured(lambda: max_norm(self.gradient))

    @cached_property
    def free(self) -> Array | None:
        """1.0 for each variable that may move against the gradient, 0.0 for others; None: all may."""
        return None if self.how.box is None else self.how.box.free(self.w, self.gradient)

    @property
    def projected_gradient(self) -> Array:
        return self.gradient if self.free is None else self.free * self.gradient

    @cached_property
    def usable(self) -> bool:
        """Whether the columns of the Jacobian are finite, and their squares."""
        return math.isfinite(read(namespace(self.w).max(self.system.diagonal))[0])

    @cached_property
    def noise(self) -> float:
        """S·ε with S² = Σ wⱼ²‖Jⱼ‖²: how much the residuals change if the last digit of each variable does."""
        xp = namespace(self.w)
        square = read(self.system.spread(self.w))[0]
        return math.sqrt(square) * float(xp.finfo(self.w.dtype).eps) if math.isfinite(square) else 0.0

    @property
    def rounding(self) -> float:
        """What rounding may hide of a difference of totals: 4ε of them, and what noise of residuals makes."""
        eps, total = float(namespace(self.w).finfo(self.w.dtype).eps), self.total
        return 4.0 * eps * total + (math.sqrt(2.0 * total) + 8.0 * self.noise) * self.noise

    @cached_property
    def vanishes(self) -> bool:
        """Whether each residual is nothing but rounding: last digits of variables make more of it."""
        if self.total > 8.0 * self.noise**2:
            return False
        if not self.system.has_matrix:
            return True
        xp = namespace(self.w)
        eps = 4.0 * float(xp.finfo(self.w.dtype).eps)
        blocks = self.point.blocks(self.how.memory_limit)

        def beyond(rows: Array, r: Array) -> Array:
            return xp.max(xp.abs(r) - eps * xp.sqrt((rows * rows) @ (self.w * self.w)))

        return max(read(*of_each(blocks, beyond))) <= 0.0

    @cached_property
    def cosine(self) -> float:
        """The largest cosine of the angle between the residuals and a column of the Jacobian.

        It is 0 at a minimum, whatever the units of the variables and of the cost. Columns of variables that
        an active bound holds do not count.
        """
        xp = namespace(self.w)
        lengths = xp.sqrt(self.system.diagonal)
        part = xp.abs(self.projected_gradient) / xp.where(lengths > 0.0, lengths, 1.0)
        size = math.sqrt(max(2.0 * self.total, 0.0))
        return read(xp.max(part))[0] / size if size > 0.0 else 0.0


class Unpenalized(Linearized):
    """A point whose total is the problem's cost, penalties of the problem included."""

    def __init__(self, how: Linearization, problem: Problem, w: Array) -> None:
        super().__init__(w, problem.at(w), getattr(problem, "version", 0))
        self.how = how

    @cached_property
    def system(self) -> Any:
        return self.how.system(self.point, self.w)

    @property
    def ridge(self) -> Array | None:
        return self.point.ridge

    @property
    def total(self) -> float:
        return self.cost

    def fall_to(self, there: Any) -> Array:
        r, s = self.point.residual, there.point.residual
        xp = namespace(r)
        with adapter_of(r).without_warnings():  # to a point whose cost is infinite the fall is −inf
            fall = 0.5 * xp.vecdot(r - s, r + s)
        ridge = self.point.ridge
        if ridge is not None:
            fall = fall + 0.5 * xp.vecdot(ridge * (self.w - there.w), self.w + there.w)
        return fall

    def moved(self, problem: Problem, w: Array) -> Unpenalized:
        return self.how.at(problem, w)


class Penalized(Linearized):
    """The point ``plain`` with the penalty ½·``ratio``·‖w‖² in system and total, but not in the cost."""

    def __init__(self, plain: Unpenalized, ratio: float) -> None:
        super().__init__(plain.w, plain.point, plain.version)
        self.how, self.plain, self.ratio = plain.how, plain, ratio
        self.made_of = plain

    def with_ratio(self, ratio: float) -> Penalized:
        """The same point with another penalty."""
        other = Penalized(self.plain, ratio)
        if self.cost_is_known:  # else it comes with the residuals
            other.cost, other.cost_is_known = self.cost, True
        return other

    @cached_property
    def squares(self) -> float:
        """E_W = Σ w²."""
        return read(namespace(self.w).vecdot(self.w, self.w))[0]

    @cached_property
    def system(self) -> Ridged:
        return Ridged(self.plain.system, self.ratio, self.w)

    @property
    def ridge(self) -> Array:
        return namespace(self.w).zeros_like(self.w) + self.ratio

    @property
    def total(self) -> float:
        return self.cost + 0.5 * self.ratio * self.squares

    def fall_to(self, there: Any) -> Array:
        w, v = self.w, there.w
        return self.plain.fall_to(there) + (0.5 * self.ratio) * namespace(w).vecdot(w - v, w + v)

    def moved(self, problem: Problem, w: Array) -> Penalized:
        return Penalized(self.plain.moved(problem, w), self.ratio)
