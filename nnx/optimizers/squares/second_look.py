"""A second look at a point from which no step led further: is it a minimum, or is there a lower point?

Where J loses its rank the curvature is that of second derivatives, which JᵀJ does not have.
Here H is learned by probing, one gradient at a time.
"""

from __future__ import annotations

import math
from typing import Any

from nnx.backend import device_of, namespace
from nnx.optimizers.descent.evaluation import precision
from nnx.optimizers.problem import Problem, read
from nnx.optimizers.squares.linearized import Linearized
from nnx.optimizers.squares.verdict import Verdict, nothing_left, tolerance

Array = Any

#: so many variables are tried alone
SINGLE = 10


def look_again(problem: Problem, here: Linearized) -> Verdict:
    """The verdict where no step led further.

    The steps −H⁻¹g are tried themselves, so that a lower point may come out; and each is probed: the gradient
    a little way along it corrects H by the BFGS formula. It ends when the decrement is negligible. One
    variable for which the model does not hold spoils such a step, and H along it, for the others as well:
    before anything that was probed is believed, shorter steps and steps of single variables are tried.
    """
    if not here.system.has_matrix:
        end = nothing_left(here)
        return Verdict(end, f"the linear model promises {'nothing more' if end else 'more'}")
    return _Look(problem, here).verdict()


class _Look:
    """The second look at a point, in units in which every column of J has the length 1."""

    def __init__(self, problem: Problem, here: Linearized) -> None:
        self.problem, self.here = problem, here
        xp, diagonal = namespace(here.w), here.system.diagonal
        unit = 1.0 / xp.sqrt(xp.where(diagonal > 0.0, diagonal, 1.0))
        self.unit = unit if here.free is None else unit * here.free
        self.h = self.unit[:, None] * here.system.matrix * self.unit[None, :]
        self.g = self.unit * here.gradient
        # a probed H has a few digits less than JᵀJ
        self.enough = max(50.0 * tolerance(here), here.rounding)

    def verdict(self) -> Verdict:
        here, first = self.here, _newton(self.h, self.g)
        weak, strong = _parts(self.h, self.g)
        q, decrement = first, math.inf
        for tried in range(min(here.w.shape[0], 30) + 2):
            decrement = -0.5 * read(namespace(q).vecdot(self.g, q))[0]
            if decrement <= self.enough:
                words = f"Newton's step promises {decrement:.1e}"
                # curvature that was probed does not hold everywhere: is JᵀJ's own step lower at any length?
                return self._scanned(first, words) if tried else Verdict(True, words)
            if (lower := self._lower(q)) is not None:
                return Verdict(False, f"Newton's step lowers it to {lower.total:.6g}", lower)
            if (blame := self._learns(q, decrement)) is not None:
                if blame:
                    return Verdict(blame == _HIDDEN, blame)
                break
            q = _newton(self.h, self.g)
        if strong <= self.enough:
            words = f"the {decrement:.1e} that the model still promises is nowhere to be found"
            return self._scanned(weak, words)
        words = f"Newton's step still promises {decrement:.1e} of {here.total:.6g}"
        return self._by_one() or Verdict(False, words)

    def _lower(self, q: Array) -> Any:
        """The point a step further, if the cost is lower there."""
        here = self.here
        there = here.moved(self.problem, here.how.within(here.w + self.unit * q))
        lower = read(here.fall_to(there))[0] > 10.0 * here.rounding and there.compute().finite
        return there if lower else None

    def _scanned(self, q: Array, words: str) -> Verdict:
        """A minimum, with these words, unless the cost is lower somewhere along q."""
        for power in range(0, 12, 2):
            if (lower := self._lower(10.0**-power * q)) is not None:
                return Verdict(False, f"a shorter step lowers it to {lower.total:.6g}", lower)
        return self._by_one() or Verdict(True, words)

    def _by_one(self) -> Verdict | None:
        """The verdict where the Gauss–Newton step of one variable alone leads to a lower point."""
        xp, g = namespace(self.g), self.g
        n = g.shape[0]
        for _ in range(min(n, SINGLE)):
            if 0.5 * read(xp.max(g * g))[0] <= 50.0 * tolerance(self.here):
                break
            one = xp.arange(n, device=device_of(g)) == xp.argmax(xp.abs(g))
            if (lower := self._lower(xp.where(one, -g, 0.0))) is not None:
                return Verdict(False, f"one variable lowers it to {lower.total:.6g}", lower)
            g = xp.where(one, 0.0, g)
        return None

    def _learns(self, q: Array, decrement: float) -> str | None:
        """Corrects H by the gradient a little way along q. Words: no use, the derivatives are to blame."""
        here, xp = self.here, namespace(q)
        noise = 100.0 * precision(here.w).eps * math.sqrt(2.0 * here.total)
        along, further = self._ways(q)
        for _ in range(8):
            probe = here.moved(self.problem, here.w + (along * self.unit) * q).compute()
            if not probe.finite:
                return ""
            g = self.unit * probe.gradient
            y, image = (g - self.g) / along, self.h @ q
            fall, down, up, curvature, bent, length = read(
                here.fall_to(probe), xp.vecdot(self.g, q), xp.vecdot(g, q), xp.vecdot(y, q),
                xp.vecdot(q, image), xp.linalg.vector_norm(q),
            )  # fmt: skip
            mismatch, seen = abs(fall + 0.5 * along * (down + up)), along * (abs(down) + abs(up))
            if mismatch > 0.25 * seen and mismatch > here.rounding:
                left = self._mismatch(q, 0.1 * along, down) / mismatch
                if left > 0.3:  # there is as much of it nearby
                    if decrement > mismatch:
                        return ""
                    negligible = decrement <= math.sqrt(precision(here.w).eps) * here.total
                    return _HIDDEN if negligible else _JUMPS
                if left > 0.03 and seen > 1e4 * here.rounding:  # it grows like the way: a wrong slope
                    return _CONTRADICTED
                along *= 0.1  # it grows like the cube of the way: too long a way
                continue
            if abs(up - down) > noise * length or along * further > 1.0:
                break
            along *= further
        if not (curvature > 0.0 and bent > 0.0):
            return ""
        self.h = self.h - image[:, None] * image[None, :] / bent + y[:, None] * y[None, :] / curvature
        return None

    def _ways(self, q: Array) -> tuple[float, float]:
        """How far along q the gradient is probed at first, and the factor by which then, if it is the same.

        At first a few digits of each variable change; in the end what changes a few digits of the residuals.
        """
        here, xp, eps = self.here, namespace(q), precision(self.here.w).eps
        other = math.sqrt(eps * 2.0 * here.total) * self.unit
        own = xp.where(here.w != 0.0, xp.abs(here.w), xp.where(other > 0.0, other, 1.0))
        step, most = xp.abs(self.unit * q), xp.linalg.vector_norm(q)
        first, last = read(xp.max(step / own), most / math.sqrt(eps * 2.0 * here.total))
        if not (0.0 < first < math.inf and 0.0 < last < math.inf):
            return 1.0, 2.0
        first, last = (min(eps ** (1.0 / 3.0) / size, 1.0) for size in (first, last))
        return first, max((last / first) ** (1.0 / 6.0), 100.0)

    def _mismatch(self, q: Array, along: float, slope: float) -> float:
        """By how much the change of the cost is not that which the slopes at both ends of the way give."""
        here = self.here
        near = here.moved(self.problem, here.w + (along * self.unit) * q).compute()
        fall, end = read(here.fall_to(near), namespace(q).vecdot(self.unit * near.gradient, q))
        return abs(fall + 0.5 * along * (slope + end))


_HIDDEN = "what the model still promises is hidden by the function's rounding"
_JUMPS = "the function jumps nearby, by more than the model still promises"
_CONTRADICTED = "the derivatives contradict the function's values: a wrong jac, a kink, or rounding"


def _parts(h: Array, g: Array) -> tuple[Array, float]:
    """The part of the step −h⁻¹g in directions that J hardly feels, and what the rest of it promises.

    These are singular values of J below the root of ε times the largest: h, which has their squares, and the
    derivatives themselves may have nothing but rounding there.
    """
    xp = namespace(h)
    values, vectors = xp.linalg.eigh(h)
    along, most, eps = g @ vectors, xp.max(values), float(xp.finfo(h.dtype).eps)
    felt = values > 100.0 * eps * most
    strong = 0.5 * read(xp.sum(xp.where(felt, along * along / xp.where(felt, values, 1.0), 0.0)))[0]
    least = xp.maximum(values, 10.0 * h.shape[0] * eps * most)
    return -(vectors @ xp.where(felt, 0.0, along / least)), strong


def _newton(h: Array, g: Array) -> Array:
    """−h⁻¹g, with the eigenvalues of h that are rounding raised to it."""
    xp = namespace(h)
    values, vectors = xp.linalg.eigh(0.5 * (h + h.T))
    least = 10.0 * h.shape[0] * float(xp.finfo(h.dtype).eps) * xp.max(values)
    return -(vectors @ ((g @ vectors) / xp.maximum(values, least)))
