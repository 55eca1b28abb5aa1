"""An independent check that a point is a minimum of Σ r²: nothing here is nnx's but the residuals.

The Jacobian is taken by extrapolated central differences (Ridders 1982) in ``np.longdouble``, 64 bits where
the processor has them. Two things decide, neither of which knows of units:

- the *decrement*: by which share of Σ r² a Gauss–Newton step would lower it, ‖P r‖²/‖r‖² with P the
  projection on the columns of J; these get length 1, and singular values below 1e-7 of the largest are left
  out;
- the *gain*: by which share MINPACK, started there with tolerances of 1e-15, does lower it.

Where the first promises what the second does not find, JᵀJ may not be the Hessian, since J loses its rank.
There the Hessian itself decides, by extrapolated differences of the gradient: Newton's decrement.

Rounding of x and of r in float64 is allowed for: ``noise`` is the Σ r² that it makes.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.optimize
from optimizers.least_squares_problem import LeastSquares

EPS = float(np.finfo(float).eps)
#: what counts as nothing: a share of Σ r²
NOTHING = 1e-6
#: a decrement so small that no polishing is asked for
SURE = 1e-12
#: a gain below which a minimum is not only near
ARRIVED = 1e-10
#: times the rounding errors themselves: errors of x and r add up along a run's last step
ROUNDING = 20.0


class Verdict(NamedTuple):
    """``kind``: "minimum", "flat" or "no".

    Flat: the gradient vanishes in the variables' units and no method gets away, though J promises a fall.
    ``gain`` and ``decrement`` as above; ``cosine`` is the largest between residuals and a column of J.
    """

    kind: str
    gain: float
    decrement: float
    cosine: float

    @property
    def minimum(self) -> bool:
        return self.kind == "minimum"

    @property
    def reached(self) -> bool:
        """A minimum from which nothing at all leads lower: a run that stands here has arrived."""
        return self.minimum and self.gain <= ARRIVED


def verdict(p: LeastSquares, x: Any) -> Verdict:
    """What the point is."""
    x = np.asarray(x, dtype=float)
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        return _verdict(p, x)


def _verdict(p: LeastSquares, x: Any) -> Verdict:
    at = x.astype(np.longdouble)
    r = p(at)
    f = r @ r
    if not (np.all(np.isfinite(x)) and np.isfinite(f)):
        return Verdict("no", math.inf, math.inf, 1.0)
    if f == 0.0 or p.reached(float(f)) is not None:
        return Verdict("minimum", 0.0, 0.0, 0.0)
    scale = _scale(p, x)
    j = differences(p, at, scale)
    rounding = (np.abs(j) @ np.abs(x)) * EPS + np.abs(r - p(x))
    noise = float(ROUNDING**2 * (rounding @ rounding) / f)
    lengths = np.sqrt(np.sum(j * j, axis=0))
    used = np.isfinite(lengths) & (lengths > 0.0)
    if not np.any(used):
        return Verdict("flat", 0.0, 0.0, 0.0)
    at_best = "flat" if any(_matters(p, at, i) for i in np.flatnonzero(lengths == 0.0)) else "minimum"
    unit = (j[:, used] / lengths[used]).astype(float)
    cosines = ((j[:, used] / lengths[used]).T @ r / np.sqrt(f)).astype(float)
    decrement = _decrement(unit, cosines)
    cosine = float(np.max(np.abs(cosines), initial=0.0))
    if decrement <= max(SURE, noise):
        return Verdict(at_best, 0.0, decrement, cosine)
    # a bold first step only where the model promises a fall: else it would leap to another minimum
    gain = polished(p, x, scale, np.sqrt(f), (0.1,) if decrement <= NOTHING else (0.1, 100.0))
    if gain <= max(NOTHING, noise):
        # without a way down although the model has one: only if the gradient vanishes in x's own units
        own = float(np.max(np.abs(j.T @ r) * np.abs(x), initial=0.0) / f)
        if decrement <= NOTHING or newton(p, at, lengths, used) <= f * max(NOTHING, noise):
            return Verdict(at_best, gain, decrement, cosine)
        kind = "flat" if own <= NOTHING + noise else "no"
        return Verdict(kind, gain, decrement, cosine)
    return Verdict("no", gain, decrement, cosine)


def newton(p: LeastSquares, x: Any, lengths: Any, used: Any) -> float:
    """gᵀH⁻¹g, by which Newton's step lowers Σ r²; ∞ where the Hessian is not positive definite.

    Variables are measured by the ``lengths`` of their columns: over ‖r‖/length r changes by its own size.
    """
    inner = np.zeros((np.count_nonzero(used), x.size), dtype=x.dtype)
    inner[:, used] = np.diag(np.sqrt(p(x) @ p(x)) / lengths[used])

    def gradient(z: Any) -> Any:
        at = x + z @ inner
        return inner @ (differences(p, at, _scale(p, at)).T @ p(at))

    zero = np.zeros(inner.shape[0], dtype=x.dtype)
    h, g = differences(gradient, zero, np.full(zero.shape, 1e-3)), gradient(zero)
    values, vectors = np.linalg.eigh((0.5 * (h + h.T)).astype(float))
    along = vectors.T @ g.astype(float)
    if not np.all(np.isfinite(values)) or values[0] <= 1e-12 * values[-1]:
        return math.inf
    return float(np.sum(along**2 / values))


def _matters(p: LeastSquares, x: Any, i: int) -> bool:
    """Whether a variable without a derivative here has influence elsewhere: this is a plateau then."""
    r = p(x)
    moved = (np.where(np.arange(x.size) == i, x * factor, x) for factor in (-1.0, 0.01, 0.1, 10.0, 100.0))
    return any(not np.array_equal(p(z), r) for z in moved)


def _decrement(unit: Any, cosines: Any) -> float:
    _, s, vh = np.linalg.svd(unit, full_matrices=False)
    kept = s > 1e-7 * s[0]
    return float(np.sum((vh[kept] @ cosines / s[kept]) ** 2))


def _scale(p: LeastSquares, x: Any) -> Any:
    """A size for each variable: its own, else that of the start, else 1."""
    start = np.abs(np.asarray(p.start))
    return np.where(x != 0.0, np.abs(x), np.where(start > 0.0, start, 1.0))


def differences(p: Callable[[Any], Any], x: Any, scale: Any, levels: int = 18) -> Any:
    """∂r/∂x in ``np.longdouble``, column by column.

    Steps shrink by 4 from a tenth of the variable to 6e-12 of it, since poles and phases want short ones. Of
    the extrapolations that with the least error is taken.
    """
    columns = []
    for i, size in enumerate(scale):
        step = np.zeros_like(x)
        best, error, before = np.full(p(x).shape, np.nan, dtype=x.dtype), np.inf, []
        for level in range(levels):
            step[i] = np.longdouble(size) * np.longdouble(0.1) * np.longdouble(4.0) ** -level
            row = [(p(x + step) - p(x - step)) / (2.0 * step[i])]
            for k, coarse in enumerate(before):
                power = np.longdouble(16.0) ** (k + 1)
                row.append((power * row[k] - coarse) / (power - 1.0))
                off = float(max(np.max(np.abs(row[-1] - row[-2])), np.max(np.abs(row[-1] - coarse))))
                # as a part of the derivative: over a way of many periods differences of a sine are small
                off /= float(np.max(np.abs(row[-1]))) or 1.0
                if off < error:
                    best, error = row[-1], off
            before = row
        columns.append(best)
    return np.stack(columns, axis=1)


def polished(p: LeastSquares, x: Any, scale: Any, size: Any, factors: tuple[float, ...]) -> float:
    """The share of Σ r² that MINPACK takes off, started at x; its first step is bounded by a factor of x."""

    def residual(z: Any) -> Any:
        r = (p(scale * z) / size).astype(float)
        return np.where(np.isfinite(r), r, 1e150)

    def jacobian(z: Any) -> Any:
        at = (scale * z).astype(np.longdouble)
        j = (differences(p, at, np.maximum(np.abs(scale * z), 1e-8 * scale)) * scale / size).astype(float)
        return np.where(np.isfinite(j), j, 0.0)

    tight = dict.fromkeys(("ftol", "xtol", "gtol"), 1e-15)
    best = float(p(x.astype(np.longdouble)) @ p(x.astype(np.longdouble)) / size**2)
    first = best
    for factor in factors:
        z, *_ = scipy.optimize.leastsq(
            residual, x / scale, Dfun=jacobian, full_output=True, factor=factor, maxfev=60, **tight
        )
        r = p((scale * z).astype(np.longdouble)) / size
        value = float(r @ r)
        best = min(best, value) if math.isfinite(value) else best
        if first - best > NOTHING * first:
            break
    return (first - best) / first
