"""The best step within a trust region: the p with ‖√D·p‖ ≤ Δ that minimises the model ‖Jp + r‖².

It is p(μ) = −(JᵀJ + μD)⁻¹Jᵀr, with μ = 0 where the Gauss–Newton step is short enough, and else the μ > 0 at
which ‖√D·p(μ)‖ = Δ (the secular equation). A tenth of Δ more or less is as good. Each kind of system has its
own way to that μ; none of them needs the Jacobian again.

Source: J. Moré, *The Levenberg–Marquardt algorithm: implementation and theory*, LNM 630 (1978) 105–116;
T. Steihaug, SIAM J. Numer. Anal. 20 (1983) 626–637, for products.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

from nnx.backend import namespace
from nnx.optimizers.problem import read
from nnx.optimizers.squares.systems import MatrixFree, NormalEquations, OrthogonalFactors, Ridged

Array = Any


class RegionStep(NamedTuple):
    """A step, the μ that it belongs to (0: the region does not bind), and its length ‖√D·p‖."""

    p: Array
    mu: float
    length: float


class Region:
    """The steps from one point, for a matrix D (``scale``, its diagonal) and the variables that may move."""

    #: ‖√D·p‖ may differ from Δ by this fraction
    slack: ClassVar[float] = 0.1
    #: whether directions that J does not feel, up to rounding, are known, and left out of the steps
    knows_rank: ClassVar[bool] = False
    #: values of μ tried: Newton's method needs two or three
    most: ClassVar[int] = 12

    def __init__(self, system: Any, scale: Array, free: Array | None) -> None:
        self.system, self.scale, self.free = system, scale, free

    def step(self, radius: float, mu: float) -> RegionStep | None:
        """The step for Δ = ``radius``; ``mu`` is a guess. None where the system cannot be solved."""
        raise NotImplementedError

    def solve(self, mu: float, right: Array) -> Array | None:
        """−(JᵀJ + μD)⁻¹·``right``."""
        raise NotImplementedError

    @property
    def decrement(self) -> float:
        """½·gᵀ(JᵀJ)⁻¹g: by how much the whole Gauss–Newton step lowers the model.

        Directions that J does not feel, up to rounding, are left out.
        """
        raise NotImplementedError

    def fits(self, length: float, radius: float) -> bool:
        """Whether a step of that length is inside the region, give or take the slack."""
        return length <= (1.0 + self.slack) * radius


class SpectralRegion(Region):
    """By the singular values σ of R·D^(-1/2), R the triangle of J: one decomposition for all μ."""

    knows_rank = True

    @cached_property
    def _decomposed(self) -> tuple[Array, Array, Array]:
        xp = namespace(self.scale)
        unit = 1.0 / xp.sqrt(self.scale)
        unit = unit if self.free is None else unit * self.free
        u, s, vh = xp.linalg.svd(self.system.factor * unit[None, :], full_matrices=False)
        return u.T @ self.system.right, s, vh * unit[None, :]

    @cached_property
    def _newton(self) -> tuple[Array, float, float]:
        """The Gauss–Newton step by singular vectors, its length, and the largest μ for Δ = 1."""
        b, s, _ = self._decomposed
        xp = namespace(b)
        live = s > 0.1 * _rounding(s)
        q = xp.where(live, b / xp.where(live, s, 1.0), 0.0)
        return q, *read(xp.linalg.vector_norm(q), xp.linalg.vector_norm(s * b))

    @property
    def decrement(self) -> float:
        b, s, _ = self._decomposed
        xp = namespace(b)
        return 0.5 * read(xp.sum(xp.where(s > _rounding(s), b * b, 0.0)))[0]

    def step(self, radius: float, mu: float) -> RegionStep:
        b, s, rows = self._decomposed
        xp, (q, length, slope) = namespace(b), self._newton
        if self.fits(length, radius):
            return RegionStep(-(q @ rows), 0.0, length)
        low, high, squares = 0.0, slope / radius, s * s
        mu = min(mu, high) or slope / length
        for _ in range(self.most):
            q = s * b / (squares + mu)
            length, bend = read(xp.linalg.vector_norm(q), xp.sum(q * q / (squares + mu)))
            if abs(length - radius) <= self.slack * radius:
                break
            low, high = (mu, high) if length > radius else (low, min(mu, high))
            # Newton's method for 1/‖q(μ)‖ = 1/Δ, which is nearly linear in μ
            mu += (length - radius) / radius * length * length / bend
            mu = min(max(mu, low + 1e-3 * (high - low)), high)
        return RegionStep(-(q @ rows), mu, length)

    def solve(self, mu: float, right: Array) -> Array:
        _, s, rows = self._decomposed
        return -((rows @ right) / (s * s + mu)) @ rows


class FactoredRegion(Region):
    """By Cholesky factors of JᵀJ + μD, one for each μ; a secant takes the place of Newton's method."""

    @cached_property
    def _newton(self) -> RegionStep | None:
        return self._at(0.0)

    def _at(self, mu: float) -> RegionStep | None:
        p = self.system.solve(mu * self.scale, self.free)
        if p is None:
            return None
        xp = namespace(p)
        length = read(xp.linalg.vector_norm(xp.sqrt(self.scale) * p))[0]
        return RegionStep(p, mu, length) if math.isfinite(length) else None

    def solve(self, mu: float, right: Array) -> Array | None:
        return self.system.solve(mu * self.scale, self.free, right)

    @property
    def decrement(self) -> float:
        xp, unit = namespace(self.scale), 1.0 / namespace(self.scale).sqrt(self.scale)
        unit = unit if self.free is None else unit * self.free
        values, vectors = xp.linalg.eigh(unit[:, None] * self.system.matrix * unit[None, :])
        along, live = (unit * self.system.gradient) @ vectors, values > _rounding(values)
        return 0.5 * read(xp.sum(xp.where(live, along * along / xp.where(live, values, 1.0), 0.0)))[0]

    @cached_property
    def _slope(self) -> float:
        g = self.system.gradient if self.free is None else self.free * self.system.gradient
        xp = namespace(g)
        return read(xp.linalg.vector_norm(g / xp.sqrt(self.scale)))[0]

    def step(self, radius: float, mu: float) -> RegionStep | None:
        low, high, before, last = 0.0, self._slope / radius, None, None
        if mu == 0.0:
            before = self._newton
            if before is not None and self.fits(before.length, radius):
                return before
            mu = 1e-3 * high if before is None else self._slope / before.length
        mu = min(mu, high)
        for _ in range(self.most):
            tried = self._at(mu)
            if tried is None:  # not positive definite to working precision
                low, mu = mu, max(10.0 * mu, 1e-15 * high)
                continue
            last = tried
            if abs(last.length - radius) <= self.slack * radius:
                break
            if last.length < radius and before is None:
                before = self._newton
                if before is not None and self.fits(before.length, radius):
                    return before
            low, high = (mu, high) if last.length > radius else (low, min(mu, high))
            mu = self._secant(before, last, radius, low, high)
            before = last
        return last

    @staticmethod
    def _secant(before: RegionStep | None, last: RegionStep, radius: float, low: float, high: float) -> float:
        """The next μ: 1/‖√D·p(μ)‖ is nearly linear in it."""
        mu = last.mu * last.length / radius
        if before is not None and before.length != last.length:
            change = (last.mu - before.mu) * last.length * before.length / (before.length - last.length)
            mu = last.mu + change * (1.0 / radius - 1.0 / last.length)
        return min(max(mu, low + 1e-3 * (high - low)), high)


class TruncatedRegion(Region):
    """By conjugate gradients with products only, which end at the edge of the region."""

    @property
    def decrement(self) -> float:
        return self.system.decrement(self.free)

    def solve(self, mu: float, right: Array) -> Array | None:
        return self.system.solve(mu * self.scale, self.free, right)

    def step(self, radius: float, mu: float) -> RegionStep | None:
        xp, root = namespace(self.scale), namespace(self.scale).sqrt(self.scale)
        p, bound = self.system.within(root, radius, self.free)
        norm = xp.linalg.vector_norm
        length, slope, bend = read(
            norm(root * p), xp.vecdot(self.system.gradient, p), xp.vecdot(p, self.system.image(p))
        )
        if not (math.isfinite(length) and slope < 0.0):
            return None
        # the multiplier that fits best: pᵀ(Gp + g + μDp) = 0
        return RegionStep(p, max(-(slope + bend), 0.0) / length**2 if bound else 0.0, length)


def _rounding(spectrum: Array) -> Array:
    """Below which singular values or eigenvalues are rounding of the others."""
    xp = namespace(spectrum)
    return 10.0 * spectrum.shape[0] * float(xp.finfo(spectrum.dtype).eps) * xp.max(spectrum)


def region(system: Any, scale: Array, free: Array | None) -> Region:
    """The steps for a system of any kind."""
    kinds = {NormalEquations: FactoredRegion, Ridged: FactoredRegion, OrthogonalFactors: SpectralRegion}
    kind = next((kinds[k] for k in kinds if isinstance(system, k)), TruncatedRegion)
    assert kind is not TruncatedRegion or isinstance(system, MatrixFree)
    return kind(system, scale, free)
