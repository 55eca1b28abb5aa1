"""Activations made of straight pieces, from the identity to the rectifiers."""

from __future__ import annotations

import math
from types import NoneType
from typing import Any

from nnx.activations.base import FAR, ones_where, registry
from nnx.autodiff import fused
from nnx.autodiff.array import raw
from nnx.backend import adapter_of, namespace
from nnx.options import Number

Array = Any


@registry.register(
    formula="z",
    derivative="1",
    range="(-∞, ∞)",
    limits=(float("-inf"), float("inf")),
    slopes=(1.0, 1.0),
    use="The output of a regression.",
)
def linear(x: Array) -> Array:
    """``x`` itself: the identity.

    Shapes: (...) → (...). Source: Keras' ``activations.linear``.

    >>> nnx.activations.linear(np.asarray([-1.0, 2.0]))
    array([-1.,  2.])
    """
    return x


_NUMBER = Number(arrays=True)
_MAX_VALUE = Number(least=0.0, optional=True, finite=False, arrays=True)


def _relu_slope(
    xp: Any,
    x: Array,
    y: Array,
    negative_slope: float = 0.0,
    max_value: float | None = None,
    threshold: float = 0.0,
) -> Array:
    numbers = type(threshold) is type(negative_slope) is float
    if max_value is None and numbers and threshold == 0.0 == negative_slope:
        return adapter_of(x).unit_step(raw(x))
    passes = x > threshold
    if max_value is not None:
        passes = passes & (x < max_value)
    d = ones_where(xp, x, passes)
    if negative_slope:
        d = d + negative_slope * xp.astype(x <= threshold, x.dtype)
    return d


def _rises(negative_slope: Any = 0.0, max_value: Any = None, threshold: Any = 0.0) -> bool:
    """Whether y lies on the same side of each kink as x: for numbers, where no piece falls or jumps down."""
    if not all(isinstance(v, (int, float, NoneType)) for v in (negative_slope, max_value, threshold)):
        return False
    bounded = negative_slope > 0.0 and max_value is not None and max_value <= threshold
    return bool(negative_slope >= 0.0 and threshold >= 0.0 and not bounded)


@registry.register(
    class_name="ReLU",
    checks={"negative_slope": _NUMBER, "max_value": _MAX_VALUE, "threshold": _NUMBER},
    formula=r"\max(z, 0)",
    derivative=r"1 \text{ for } z > 0, \text{ else } 0",
    range="[0, ∞)",
    limits=(0.0, float("inf")),
    slopes=(0.0, 1.0),
    kinks=(0.0,),
    use="The first choice for hidden layers: cheap, and it does not saturate to the right.",
)
@fused(derivative=_relu_slope, of_result=_rises)
def relu(
    x: Array, *, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Array:
    """Returns max(x, 0): the rectified linear unit.

    With options: x for threshold < x < max_value, ``max_value`` above (None: no bound), and
    negative_slope·(x − threshold) below. The derivative at a kink is that of the piece to the left of 0
    (relu′(0) = 0) and 0 at ``max_value``. With a threshold below 0 inputs between
    it and 0 pass as they are, also with ``max_value`` (where Keras cuts them off at 0). Raises
    :class:`nnx.errors.OptionError` for a ``max_value`` below 0.
    Shapes: (...) → (...).
    Source: V. Nair, G. Hinton, "Rectified linear units improve restricted Boltzmann machines", ICML 2010.

    >>> nnx.activations.relu(np.asarray([-2.0, 0.0, 3.0]))
    array([0., 0., 3.])
    >>> nnx.activations.relu(np.asarray([-2.0, 1.0, 9.0]), negative_slope=0.5, max_value=6.0, threshold=2.0)
    array([-2. , -0.5,  6. ])
    """
    _MAX_VALUE("relu", "max_value", max_value)
    xp = namespace(x)
    if negative_slope == 0.0 and threshold == 0.0:
        return adapter_of(x).rectified(x, max_value)
    below = negative_slope * (x - threshold) if negative_slope else xp.zeros_like(x)
    y = xp.where(x <= threshold, below, x)
    return y if max_value is None else xp.minimum(y, max_value)


def _leaky_relu_slope(xp: Any, x: Array, y: Array, negative_slope: float = 0.2) -> Array:
    return (1.0 - negative_slope) * ones_where(xp, x, x > 0.0) + negative_slope


@registry.register(
    class_name="LeakyReLU",
    checks={"negative_slope": _NUMBER},
    formula=r"\max(z, 0) + s \min(z, 0)",
    derivative=r"1 \text{ for } z > 0, \text{ else } s",
    range="(-∞, ∞)",
    limits=(float("-inf"), float("inf")),
    slopes=(0.2, 1.0),
    kinks=(0.0,),
    use="As relu, but a neuron cannot die: the slope to the left is not 0.",
)
@fused(derivative=_leaky_relu_slope, of_result=_rises)
def leaky_relu(x: Array, *, negative_slope: float = 0.2) -> Array:
    """``x`` where it is positive, else negative_slope·x. The derivative at 0 is ``negative_slope``.

    Shapes: (...) → (...).
    Source: A. Maas, A. Hannun, A. Ng, "Rectifier nonlinearities improve neural network acoustic models",
    ICML 2013.

    >>> nnx.activations.leaky_relu(np.asarray([-2.0, 3.0]))
    array([-0.4,  3. ])
    """
    xp = namespace(x)
    if negative_slope == 0.0:
        return xp.maximum(x, 0.0)  # 0·(−∞) would be nan
    choose = xp.maximum if negative_slope <= 1.0 else xp.minimum
    return choose(x, negative_slope * x)


@registry.register(
    class_name="ReLU6",
    formula=r"\min(\max(z, 0), 6)",
    derivative=r"1 \text{ for } 0 < z < 6, \text{ else } 0",
    range="[0, 6]",
    limits=(0.0, 6.0),
    slopes=(0.0, 0.0),
    kinks=(0.0, 6.0),
    use="Networks for arithmetic with few bits, such as MobileNet.",
)
@fused(derivative=lambda xp, x, y: ones_where(xp, x, (x > 0.0) & (x < 6.0)), of_result=True)
def relu6(x: Array) -> Array:
    """``x`` cut off at 0 and 6. The derivative at the kinks 0 and 6 is 0.

    Shapes: (...) → (...).
    Source: A. Krizhevsky, "Convolutional deep belief networks on CIFAR-10", 2010.

    >>> nnx.activations.relu6(np.asarray([-2.0, 3.0, 8.0]))
    array([0., 3., 6.])
    """
    xp = namespace(x)
    return xp.clip(x, 0.0, 6.0)


def _sparse_plus_slope(xp: Any, x: Array, y: Array) -> Array:
    return xp.minimum(xp.maximum(0.5 * x + 0.5, 0.0), 1.0)


@registry.register(
    formula=r"0 \text{ for } z \le -1, \; (z + 1)^2 / 4 \text{ for } |z| < 1, \; z \text{ for } z \ge 1",
    derivative=r"\max(0, \min(1, (z + 1)/2))",
    range="[0, ∞)",
    limits=(0.0, float("inf")),
    slopes=(0.0, 1.0),
    kinks=(-1.0, 1.0),
    use="A softplus that reaches 0 exactly, without an exponential.",
)
@fused(derivative=_sparse_plus_slope)
def sparse_plus(x: Array) -> Array:
    """max(x, 0) with its corner rounded off between −1 and 1 by the parabola (x + 1)²/4.

    Shapes: (...) → (...). Source: Keras' ``activations.sparse_plus``.

    >>> nnx.activations.sparse_plus(np.asarray([-2.0, 0.0, 3.0]))
    array([0.  , 0.25, 3.  ])
    """
    xp = namespace(x)
    c = 0.5 * xp.minimum(xp.maximum(x, -1.0), 1.0) + 0.5
    return c * c + xp.maximum(x - 1.0, 0.0)


def _length(xp: Any, x: Array, b: float) -> Array:
    """√(x² + b), and 1 in place of 0."""
    h = xp.hypot(x, xp.full_like(x, math.sqrt(b)))
    return h if b else xp.where(h == 0.0, 1.0, h)


def _squareplus_slope(xp: Any, x: Array, y: Array, b: float = 4.0) -> Array:
    x, y = (xp.minimum(xp.maximum(a, -FAR), FAR) for a in (x, y))
    h = _length(xp, x, b)
    return xp.where(x < 0.0, y / h, 0.5 + 0.5 * (x / h))  # to the left the two halves would cancel


@registry.register(
    checks={"b": Number(least=0.0)},
    formula=r"(z + \sqrt{z^2 + b}) / 2",
    derivative=r"(1 + z / \sqrt{z^2 + b}) / 2",
    range="(0, ∞)",
    limits=(0.0, float("inf")),
    slopes=(0.0, 1.0),
    use="A softplus without an exponential; it falls off like b/(4|z|) only.",
    source="J. T. Barron, Squareplus, arXiv 2112.11687, 2021",
)
@fused(derivative=_squareplus_slope)
def squareplus(x: Array, *, b: float = 4) -> Array:
    """(x + √(x² + b)) / 2, without cancellation or overflow; ``b`` ≥ 0 rounds the corner (0: relu).

    Shapes: (...) → (...).
    Source: J. T. Barron, "Squareplus: a softplus-like algebraic rectifier", arXiv 2112.11687, 2021.

    >>> nnx.activations.squareplus(np.asarray([-1e9, 0.0, 1.5]))
    array([1.e-09, 1.e+00, 2.e+00])
    """
    xp = namespace(x)
    a = xp.abs(x)
    return xp.maximum(x, 0.0) + (0.5 * b) / (a + _length(xp, a, b))
