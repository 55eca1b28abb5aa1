"""Activations between two bounds: sigmoids, smooth and piecewise linear."""

from __future__ import annotations

from typing import Any

from nnx.activations.base import FAR, ones_where, registry
from nnx.autodiff import fused
from nnx.autodiff.rules.saturation import logistic_slope, sech_squared
from nnx.backend import adapter_of, namespace

Array = Any


@registry.register(
    formula=r"\frac{1}{1 + e^{-z}}",
    derivative=r"a (1 - a)",
    range="(0, 1)",
    limits=(0.0, 1.0),
    slopes=(0.0, 0.0),
    use="The probability of one of two classes; gates of recurrent cells.",
)
@fused(derivative=lambda xp, x, y: xp.restored(y * (1.0 - y), x, logistic_slope))
def sigmoid(x: Array) -> Array:
    """1/(1 + e⁻ˣ), the logistic function: a probability, in (0, 1).

    The relative error is a few units in the last place for every x: nothing overflows, and far to the
    left the result is eˣ. sigmoid(−∞) = 0, sigmoid(∞) = 1. Also σ(x) = (1 + tanh(x/2)) / 2.

    Shapes: (...) → (...). Source: Keras' ``activations.sigmoid``.

    >>> nnx.activations.sigmoid(np.asarray([0.0, -100.0, 1e4]))
    array([5.00000000e-01, 3.72007598e-44, 1.00000000e+00])
    """
    return adapter_of(x).sigmoid(x)


@registry.register(
    formula=r"\tanh z = \frac{e^z - e^{-z}}{e^z + e^{-z}}",
    derivative=r"1 - a^2",
    range="(-1, 1)",
    limits=(-1.0, 1.0),
    slopes=(0.0, 0.0),
    use="Hidden layers of small networks: as the sigmoid, but centred at 0.",
)
@fused(derivative=lambda xp, x, y: xp.restored(1.0 - y * y, x, sech_squared))
def tanh(x: Array) -> Array:
    """The hyperbolic tangent, in (−1, 1).

    Shapes: (...) → (...). Source: Keras' ``activations.tanh``.

    >>> nnx.activations.tanh(np.asarray([0.0, 1.0, -np.inf]))
    array([ 0.        ,  0.76159416, -1.        ])
    """
    return adapter_of(x).tanh(x)


def _softsign_slope(xp: Any, x: Array, y: Array) -> Array:
    r = 1.0 / (1.0 + xp.abs(x))
    return r * r


@registry.register(
    formula=r"\frac{z}{1 + |z|}",
    derivative=r"\frac{1}{(1 + |z|)^2}",
    range="(-1, 1)",
    limits=(-1.0, 1.0),
    slopes=(0.0, 0.0),
    kinks=(0.0,),
    use="As tanh, but it saturates slowly (like 1/z², not like an exponential).",
)
@fused(derivative=_softsign_slope)
def softsign(x: Array) -> Array:
    """x/(1 + abs(x)), in (−1, 1). Its second derivative jumps at 0 and is taken as 0 there.

    Shapes: (...) → (...). Source: Keras' ``activations.softsign``.

    >>> nnx.activations.softsign(np.asarray([0.0, 1.0, -3.0]))
    array([ 0.  ,  0.5 , -0.75])
    """
    xp = namespace(x)
    x = xp.minimum(xp.maximum(x, -FAR), FAR)
    return x / (1.0 + xp.abs(x))


def _between(low: float, high: float, slope: float) -> Any:
    """The derivative ``slope`` for low < x < high, else 0."""
    return lambda xp, x, y: slope * ones_where(xp, x, (x > low) & (x < high))


@registry.register(
    formula=r"\max(0, \min(1, z/6 + 1/2))",
    derivative=r"1/6 \text{ for } |z| < 3, \text{ else } 0",
    range="[0, 1]",
    limits=(0.0, 1.0),
    slopes=(0.0, 0.0),
    kinks=(-3.0, 3.0),
    use="A cheap sigmoid without an exponential.",
)
@fused(derivative=_between(-3.0, 3.0, 1.0 / 6.0))
def hard_sigmoid(x: Array) -> Array:
    """x/6 + 1/2 cut off at 0 and 1. The derivative at the kinks −3 and 3 is 0.

    Shapes: (...) → (...). Source: Keras' ``activations.hard_sigmoid``.

    >>> nnx.activations.hard_sigmoid(np.asarray([-4.0, 0.0, 1.5]))
    array([0.  , 0.5 , 0.75])
    """
    xp = namespace(x)
    return xp.minimum(xp.maximum(x * (1.0 / 6.0) + 0.5, 0.0), 1.0)


@registry.register(
    formula=r"\max(-1, \min(1, z))",
    derivative=r"1 \text{ for } |z| < 1, \text{ else } 0",
    range="[-1, 1]",
    limits=(-1.0, 1.0),
    slopes=(0.0, 0.0),
    kinks=(-1.0, 1.0),
    use="A cheap tanh without an exponential.",
)
@fused(derivative=_between(-1.0, 1.0, 1.0))
def hard_tanh(x: Array) -> Array:
    """``x`` cut off at −1 and 1. The derivative at the kinks −1 and 1 is 0.

    Shapes: (...) → (...). Source: Keras' ``activations.hard_tanh``.

    >>> nnx.activations.hard_tanh(np.asarray([-4.0, 0.5, 1.5]))
    array([-1. ,  0.5,  1. ])
    """
    xp = namespace(x)
    return xp.minimum(xp.maximum(x, -1.0), 1.0)


@registry.register(
    formula=r"\max(0, \min(1, (z + 1)/2))",
    derivative=r"1/2 \text{ for } |z| < 1, \text{ else } 0",
    range="[0, 1]",
    limits=(0.0, 1.0),
    slopes=(0.0, 0.0),
    kinks=(-1.0, 1.0),
    use="The sigmoid that reaches 0 and 1 exactly: the derivative of sparse_plus.",
)
@fused(derivative=_between(-1.0, 1.0, 0.5))
def sparse_sigmoid(x: Array) -> Array:
    """(x + 1)/2 cut off at 0 and 1. The derivative at the kinks −1 and 1 is 0.

    Shapes: (...) → (...).
    Source: M. Blondel, A. Martins, V. Niculae, "Learning with Fenchel-Young losses", JMLR 21 (2020).

    >>> nnx.activations.sparse_sigmoid(np.asarray([-4.0, 0.0, 0.5]))
    array([0.  , 0.5 , 0.75])
    """
    xp = namespace(x)
    return xp.minimum(xp.maximum(0.5 * x + 0.5, 0.0), 1.0)
