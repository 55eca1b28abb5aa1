"""Activations that pull their input towards 0 (small inputs are taken for noise), and a threshold."""

from __future__ import annotations

from typing import Any

from nnx.activations.base import NOT_NEGATIVE, registry
from nnx.autodiff import fused
from nnx.backend import namespace
from nnx.options import Number

Array = Any


def _tanh_shrink_slope(xp: Any, x: Array, y: Array) -> Array:
    t = xp.tanh(x)
    return t * t


@registry.register(
    formula=r"z - \tanh z",
    derivative=r"\tanh^2 z",
    range="(-∞, ∞)",
    limits=(float("-inf"), float("inf")),
    slopes=(1.0, 1.0),
    use="Denoising: small inputs nearly vanish (like z³/3).",
)
@fused(derivative=_tanh_shrink_slope)
def tanh_shrink(x: Array) -> Array:
    """The difference x − tanh(x).

    Shapes: (...) → (...). Source: Keras' ``activations.tanh_shrink``.

    >>> nnx.activations.tanh_shrink(np.asarray([0.0, 1.0]))
    array([0.        , 0.23840584])
    """
    return x - namespace(x).tanh(x)


def _outside(xp: Any, x: Array, y: Array, threshold: float = 0.5) -> Array:
    return xp.astype(xp.abs(x) > threshold, x.dtype)


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
    return xp.astype(x > threshold, x.dtype)


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
