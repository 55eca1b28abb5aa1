"""Activations that pull their input towards 0 (small inputs are taken for noise), and a threshold."""

from __future__ import annotations

from typing import Any

from nnx.activations.base import NOT_NEGATIVE, ones_where, registry
from nnx.autodiff import fused
from nnx.backend import namespace
from nnx.options import Number

Array = Any


def _tanh_squared_slope(xp: Any, x: Array, y: Array) -> Array:
    e = xp.exp(-2.0 * xp.abs(x))
    return 8.0 * xp.tanh(x) * e / ((1.0 + e) * (1.0 + e))  # 1 − tanh² would cancel far out


@fused(derivative=_tanh_squared_slope)
def _tanh_squared(x: Array) -> Array:
    t = namespace(x).tanh(x)
    return t * t


def _fraction(xp: Any, x: Array) -> Array:
    """``c`` in Lambert's tanh x = x/(1 + c), for abs(x) ≤ 1: all terms are positive, so nothing cancels."""
    x = xp.minimum(xp.maximum(x, -1.0), 1.0)
    square, c = x * x, 0.0
    # The rest is below 1e-8 of the whole after five terms, below 1e-17 after nine.
    for odd in range(11 if x.dtype == xp.float32 else 19, 1, -2):
        c = square / (odd + c)
    return c


@registry.register(
    formula=r"z - \tanh z",
    derivative=r"\tanh^2 z",
    range="(-∞, ∞)",
    limits=(float("-inf"), float("inf")),
    slopes=(1.0, 1.0),
    use="Denoising: small inputs nearly vanish (like z³/3).",
)
@fused(derivative=lambda xp, x, y: _tanh_squared(x))
def tanh_shrink(x: Array) -> Array:
    """The difference x − tanh(x), x³/3 near 0, to the last places for every x.

    For abs(x) ≤ 1 it is x·c/(1 + c), where c = x²/(3 + x²/(5 + x²/(7 + ...))) is Lambert's continued fraction
    for tanh(x) = x/(1 + c).

    Shapes: (...) → (...).
    Source: Keras' ``activations.tanh_shrink``; J. H. Lambert, "Mémoire sur quelques propriétés remarquables
    des quantités transcendentes circulaires et logarithmiques", Berlin 1761.

    >>> nnx.activations.tanh_shrink(np.asarray([0.0, 1.0]))
    array([0.        , 0.23840584])
    """
    xp = namespace(x)
    c = _fraction(xp, x)
    return xp.where(xp.abs(x) < 1.0, x * (c / (1.0 + c)), x - xp.tanh(x))


def _outside(xp: Any, x: Array, y: Array, threshold: float = 0.5) -> Array:
    return ones_where(xp, x, xp.abs(x) > threshold)


@registry.register(
    checks={"threshold": NOT_NEGATIVE},
    formula=r"\max(z - t, 0) + \min(z + t, 0)",
    derivative=r"1 \text{ for } |z| > t, \text{ else } 0",
    range="(-∞, ∞)",
    limits=(float("-inf"), float("inf")),
    slopes=(1.0, 1.0),
    kinks=(-0.5, 0.5),
    use="Sparse codes: the proximal operator of t·|z|.",
)
@fused(derivative=_outside)
def soft_shrink(x: Array, *, threshold: float = 0.5) -> Array:
    """``x`` moved towards 0 by ``threshold``, and 0 within it. The derivative at the kinks ±threshold is 0.

    Raises :class:`nnx.errors.OptionError` for a threshold below 0.
    Shapes: (...) → (...). Source: Keras' ``activations.soft_shrink``.

    >>> nnx.activations.soft_shrink(np.asarray([-2.0, 0.25, 1.0]))
    array([-1.5,  0. ,  0.5])
    """
    NOT_NEGATIVE("soft_shrink", "threshold", threshold)
    xp = namespace(x)
    return xp.maximum(x - threshold, 0.0) + xp.minimum(x + threshold, 0.0)


@registry.register(
    checks={"threshold": NOT_NEGATIVE},
    formula=r"z \text{ for } |z| > t, \text{ else } 0",
    derivative=r"1 \text{ for } |z| > t, \text{ else } 0",
    range="(-∞, ∞)",
    limits=(float("-inf"), float("inf")),
    slopes=(1.0, 1.0),
    kinks=(-0.5, 0.5),
    use="Sparse codes, without a bias on what remains; not continuous.",
)
@fused(derivative=_outside)
def hard_shrink(x: Array, *, threshold: float = 0.5) -> Array:
    """``x`` where abs(x) is above ``threshold``, else 0.

    The derivative at the jumps ±threshold is taken as 0.

    Raises :class:`nnx.errors.OptionError` for a threshold below 0.
    Shapes: (...) → (...). Source: Keras' ``activations.hard_shrink``.

    >>> nnx.activations.hard_shrink(np.asarray([-2.0, 0.25, 1.0]))
    array([-2.,  0.,  1.])
    """
    NOT_NEGATIVE("hard_shrink", "threshold", threshold)
    xp = namespace(x)
    return xp.where(xp.abs(x) <= threshold, 0.0, x)


def _above(
    xp: Any,
    x: Array,
    y: Array,
    threshold: float = 0.0,
    default_value: float = 0.0,
) -> Array:
    return ones_where(xp, x, x > threshold)


_NUMBER = Number(arrays=True)


@registry.register(
    checks={"threshold": _NUMBER, "default_value": _NUMBER},
    formula=r"z \text{ for } z > t, \text{ else } c",
    derivative=r"1 \text{ for } z > t, \text{ else } 0",
    range="(-∞, ∞)",
    use="Hidden layers whose neurons fire above a threshold only; not continuous.",
)
@fused(derivative=_above)
def threshold(x: Array, *, threshold: float, default_value: float) -> Array:
    """``x`` where it is above ``threshold``, else ``default_value``. Both options must be given.

    The derivative at the jump is taken as 0.

    Shapes: (...) → (...). Source: Keras' ``activations.threshold``.

    >>> nnx.activations.threshold(np.asarray([-1.0, 0.5, 2.0]), threshold=1.0, default_value=0.0)
    array([0., 0., 2.])
    """
    return namespace(x).where(x <= threshold, default_value, x)  # so that NaN stays NaN
