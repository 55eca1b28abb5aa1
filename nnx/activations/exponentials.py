"""Activations made with an exponential that do not stay between two bounds."""

from __future__ import annotations

from typing import Any

from nnx.activations.base import NOT_NEGATIVE, POSITIVE, registry
from nnx.autodiff import fused
from nnx.autodiff.rules.saturation import exponential_left
from nnx.backend import namespace

Array = Any

# Klambauer et al., section 2: with these two, mean 0 and variance 1 are kept from layer to layer.
_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946


@registry.register(
    formula="e^z",
    derivative="a",
    range="(0, ∞)",
    limits=(0.0, float("inf")),
    slopes=(0.0, float("inf")),
    use="The output where a positive number is asked for, such as a rate.",
)
@fused(derivative=lambda xp, x, y: y, of_result=True)
def exponential(x: Array) -> Array:
    """eˣ. It overflows to ∞ where x is above 88.7 in float32, above 709.7 in float64.

    Shapes: (...) → (...). Source: Keras' ``activations.exponential``.

    >>> nnx.activations.exponential(np.asarray([0.0, 1.0]))
    array([1.        , 2.71828183])
    """
    return namespace(x).exp(x)


@registry.register(
    formula=r"\ln(1 + e^z)",
    derivative=r"\sigma(z) = 1 - e^{-a}",
    range="(0, ∞)",
    limits=(0.0, float("inf")),
    slopes=(0.0, 1.0),
    use="A smooth relu; the output where a positive number is asked for.",
)
@fused(derivative=lambda xp, x, y: -xp.expm1(-y), of_result=True)
def softplus(x: Array) -> Array:
    """ln(1 + eˣ), computed as max(x, 0) + ln(1 + e^(−abs(x))): accurate and without overflow for every x.

    Shapes: (...) → (...).
    Source: C. Dugas et al., "Incorporating second-order functional knowledge for better option pricing",
    NIPS 2000.

    >>> nnx.activations.softplus(np.asarray([0.0, -100.0, 1e4]))
    array([6.93147181e-01, 3.72007598e-44, 1.00000000e+04])
    """
    xp = namespace(x)
    return xp.maximum(x, 0.0) + xp.log1p(xp.exp(-xp.abs(x)))


@registry.register(
    formula=r"\ln \sigma(z) = -\ln(1 + e^{-z})",
    derivative=r"1 - \sigma(z) = 1 - e^a",
    range="(-∞, 0)",
    limits=(float("-inf"), 0.0),
    slopes=(1.0, 0.0),
    use="The logarithm of a probability of one of two classes.",
)
@fused(derivative=lambda xp, x, y: -xp.expm1(y), of_result=True)
def log_sigmoid(x: Array) -> Array:
    """ln(1/(1 + e⁻ˣ)) = −softplus(−x): accurate where the sigmoid itself would be 0 or 1.

    Shapes: (...) → (...). Source: Keras' ``activations.log_sigmoid``.

    >>> nnx.activations.log_sigmoid(np.asarray([0.0, -1e4]))
    array([-6.93147181e-01, -1.00000000e+04])
    """
    xp = namespace(x)
    return xp.minimum(x, 0.0) - xp.log1p(xp.exp(-xp.abs(x)))


def _elu_slope(xp: Any, x: Array, y: Array, alpha: float = 1.0) -> Array:
    if type(alpha) is float and alpha == 1.0:
        return xp.restored(xp.minimum(y, 0.0) + 1.0, x, exponential_left)
    left = xp.astype(x <= 0.0, x.dtype) * alpha
    return left * exponential_left(xp, x) + xp.astype(x > 0.0, x.dtype)


@registry.register(
    class_name="ELU",
    checks={"alpha": NOT_NEGATIVE},
    formula=r"\max(z, 0) + \alpha (e^{\min(z, 0)} - 1)",
    derivative=r"1 \text{ for } z > 0, \text{ else } \alpha e^z = a + \alpha",
    range="(-1, ∞)",
    limits=(-1.0, float("inf")),
    slopes=(0.0, 1.0),
    kinks=(0.0,),
    use="As relu, with activations whose mean is nearer to 0; slower.",
)
@fused(derivative=_elu_slope)
def elu(x: Array, *, alpha: float = 1.0) -> Array:
    """``x`` where it is positive, else α(eˣ − 1): the exponential linear unit.

    The derivative at 0 is α. Raises :class:`nnx.errors.OptionError` for α < 0.
    Shapes: (...) → (...).
    Source: D.-A. Clevert, T. Unterthiner, S. Hochreiter, "Fast and accurate deep network learning by
    exponential linear units", ICLR 2016.

    >>> nnx.activations.elu(np.asarray([-np.inf, 0.0, 3.0]))
    array([-1.,  0.,  3.])
    """
    NOT_NEGATIVE("elu", "alpha", alpha)
    xp = namespace(x)
    return xp.maximum(x, 0.0) + alpha * xp.expm1(xp.minimum(x, 0.0))


def _selu_exponential(xp: Any, x: Array) -> Array:
    return (_SELU_SCALE * _SELU_ALPHA) * exponential_left(xp, x)


def _selu_slope(xp: Any, x: Array, y: Array) -> Array:
    left = _SELU_SCALE * _SELU_ALPHA
    d = xp.restored(xp.minimum(y, 0.0) + left, x, _selu_exponential)
    return d + (_SELU_SCALE - left) * xp.astype(x > 0.0, x.dtype)


@registry.register(
    class_name="SELU",
    formula=r"\lambda (\max(z, 0) + \alpha (e^{\min(z, 0)} - 1)), \; \lambda = 1.0507, \; \alpha = 1.6733",
    derivative=r"\lambda \text{ for } z > 0, \text{ else } \lambda \alpha e^z = a + \lambda \alpha",
    range="(-1.7580993408473766, ∞)",
    limits=(-_SELU_SCALE * _SELU_ALPHA, float("inf")),
    slopes=(0.0, _SELU_SCALE),
    kinks=(0.0,),
    use="Deep plain networks with LeCun-normal weights: they normalise themselves.",
)
@fused(derivative=_selu_slope)
def selu(x: Array) -> Array:
    """λ·elu(x, α) with λ = 1.0507 and α = 1.6733: the scaled exponential linear unit.

    The derivative at 0 is λα. Use it with ``lecun_normal`` initial weights.
    Shapes: (...) → (...).
    Source: G. Klambauer et al., "Self-normalizing neural networks", NIPS 2017.

    >>> nnx.activations.selu(np.asarray([-1.0, 1.0]))
    array([-1.11133074,  1.05070099])
    """
    xp = namespace(x)
    left = (_SELU_SCALE * _SELU_ALPHA) * xp.expm1(xp.minimum(x, 0.0))
    return _SELU_SCALE * xp.maximum(x, 0.0) + left


def _celu_slope(xp: Any, x: Array, y: Array, alpha: float = 1.0) -> Array:
    if type(alpha) is float and alpha == 1.0:
        return xp.restored(xp.minimum(y, 0.0) + 1.0, x, exponential_left)
    return exponential_left(xp, x * (1.0 / alpha))


@registry.register(
    class_name="CELU",
    checks={"alpha": POSITIVE},
    formula=r"\max(z, 0) + \alpha (e^{\min(z, 0) / \alpha} - 1)",
    derivative=r"1 \text{ for } z > 0, \text{ else } e^{z / \alpha} = a / \alpha + 1",
    range="(-1, ∞)",
    limits=(-1.0, float("inf")),
    slopes=(0.0, 1.0),
    kinks=(0.0,),
    use="An elu whose derivative is continuous for every α.",
)
@fused(derivative=_celu_slope)
def celu(x: Array, *, alpha: float = 1.0) -> Array:
    """``x`` where it is positive, else α(e^(x/α) − 1). Raises :class:`nnx.errors.OptionError` for α ≤ 0.

    Shapes: (...) → (...).
    Source: J. Barron, "Continuously differentiable exponential linear units", arXiv 1704.07483, 2017.

    >>> nnx.activations.celu(np.asarray([-np.inf, 0.0, 3.0]), alpha=0.5)
    array([-0.5,  0. ,  3. ])
    """
    POSITIVE("celu", "alpha", alpha)
    xp = namespace(x)
    return xp.maximum(x, 0.0) + alpha * xp.expm1(xp.minimum(x, 0.0) * (1.0 / alpha))
