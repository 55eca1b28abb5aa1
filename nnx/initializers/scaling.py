"""Initial weights whose variance keeps signals from growing or fading from layer to layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nnx.initializers.base import SEED, registry, source
from nnx.initializers.distributions import random_normal, random_uniform, truncated_normal
from nnx.options import Number, OneOf

# The standard deviation of a standard normal distribution that is cut off at ±2.
_TRUNCATED = 0.87962566103423978

Array = Any
Shape = Sequence[int]


def fans(shape: Shape) -> tuple[float, float]:
    """``(fan_in, fan_out)``: how many inputs an output of a kernel has, and how many outputs an input.

    A matrix is (in, out), a convolution's kernel ``(*window, in, out)``, as in Keras.

    >>> nnx.initializers.fans((3, 3, 16, 32))
    (144, 288)
    """
    if len(shape) < 2:
        n = shape[0] if shape else 1
        return n, n
    window = math.prod(shape[:-2])
    return window * shape[-2], window * shape[-1]


@registry.register(
    checks={
        "scale": Number(above=0.0),
        "mode": OneOf(("fan_in", "fan_out", "fan_avg")),
        "distribution": OneOf(("truncated_normal", "normal", "untruncated_normal", "uniform")),
        **SEED,
    },
    in_blocks=True,
    formula=r"\operatorname{var} = s / \text{fan}",
    use="What the six below are made of.",
)
def variance_scaling(
    shape: Shape,
    random: Any = None,
    out: Array = None,
    *,
    scale: float = 1.0,
    mode: str = "fan_in",
    distribution: str = "truncated_normal",
    seed: int | None = None,
) -> Array:
    """Random entries with mean 0 and variance ``scale`` / fan: signals keep their size from layer to layer.

    ``mode``: the fan is "fan_in", "fan_out" or their mean "fan_avg", see :func:`fans`. ``distribution``:
    "truncated_normal" (or "normal"), "untruncated_normal" or "uniform". Raises
    :class:`nnx.errors.OptionError` for others, and for a ``scale`` that is not positive.

    Shapes: (inputs, units) or ``(*window, inputs, units)``. Source: Keras' ``initializers.variance_scaling``.

    >>> w = nnx.initializers.VarianceScaling(2.0, "fan_in", "uniform", seed=1)((600, 4))
    >>> bool(abs(w).max() <= 0.1)
    True
    """
    fan_in, fan_out = fans(shape)
    fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2.0}[mode]
    variance, draw = scale / max(1.0, fan), source(random, seed)
    if distribution == "uniform":
        limit = math.sqrt(3.0 * variance)
        return random_uniform(shape, draw, out, minval=-limit, maxval=limit)
    if distribution in ("truncated_normal", "normal"):
        return truncated_normal(shape, draw, out, stddev=math.sqrt(variance) / _TRUNCATED)
    return random_normal(shape, draw, out, stddev=math.sqrt(variance))


@registry.register(
    checks=SEED,
    in_blocks=True,
    formula=r"U(-l, l), \; l = \sqrt{6 / (n_{in} + n_{out})}",
    use="tanh, sigmoid, softmax; the default.",
)
def glorot_uniform(shape: Shape, random: Any = None, out: Array = None, *, seed: int | None = None) -> Array:
    """Uniformly distributed entries with variance 2/(fan_in + fan_out).

    Raises :class:`nnx.errors.OptionError` for a ``seed`` that is no whole number from 0 to 2⁶⁴ − 1.
    Shapes: (inputs, units) or ``(*window, inputs, units)``.
    Source: X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS 2010, equation 16.

    >>> w = nnx.initializers.glorot_uniform((2, 4))
    >>> w.shape, bool(abs(w).max() <= 1.0)
    ((2, 4), True)
    """
    return variance_scaling(shape, random, out, mode="fan_avg", distribution="uniform", seed=seed)


@registry.register(
    checks=SEED, in_blocks=True, formula=r"N(0, 2 / (n_{in} + n_{out}))", use="tanh, sigmoid, softmax."
)
def glorot_normal(shape: Shape, random: Any = None, out: Array = None, *, seed: int | None = None) -> Array:
    """Entries of a truncated normal distribution with variance 2/(fan_in + fan_out).

    The rule is that of :func:`glorot_uniform`.

    Raises :class:`nnx.errors.OptionError` for a ``seed`` that is no whole number from 0 to 2⁶⁴ − 1.
    Shapes: (inputs, units) or ``(*window, inputs, units)``. Source: Keras' ``initializers.glorot_normal``.

    >>> nnx.initializers.glorot_normal((2, 4)).shape
    (2, 4)
    """
    return variance_scaling(shape, random, out, mode="fan_avg", seed=seed)


@registry.register(
    checks=SEED, in_blocks=True, formula=r"U(-l, l), \; l = \sqrt{6 / n_{in}}", use="relu and its relatives."
)
def he_uniform(shape: Shape, random: Any = None, out: Array = None, *, seed: int | None = None) -> Array:
    """Uniformly distributed entries with variance 2/fan_in; source as :func:`he_normal`.

    Raises :class:`nnx.errors.OptionError` for a ``seed`` that is no whole number from 0 to 2⁶⁴ − 1.
    Shapes: (inputs, units) or ``(*window, inputs, units)``. Source: Keras' ``initializers.he_uniform``.

    >>> bool(abs(nnx.initializers.he_uniform((6, 4))).max() <= 1.0)
    True
    """
    return variance_scaling(shape, random, out, scale=2.0, distribution="uniform", seed=seed)


@registry.register(checks=SEED, in_blocks=True, formula=r"N(0, 2 / n_{in})", use="relu and its relatives.")
def he_normal(shape: Shape, random: Any = None, out: Array = None, *, seed: int | None = None) -> Array:
    """Entries of a truncated normal distribution with variance 2/fan_in.

    Raises :class:`nnx.errors.OptionError` for a ``seed`` that is no whole number from 0 to 2⁶⁴ − 1.
    Shapes: (inputs, units) or ``(*window, inputs, units)``.
    Source: K. He et al., "Delving deep into rectifiers", ICCV 2015, equation 10.

    >>> nnx.initializers.he_normal((6, 4)).shape
    (6, 4)
    """
    return variance_scaling(shape, random, out, scale=2.0, seed=seed)


@registry.register(checks=SEED, in_blocks=True, formula=r"U(-l, l), \; l = \sqrt{3 / n_{in}}", use="selu.")
def lecun_uniform(shape: Shape, random: Any = None, out: Array = None, *, seed: int | None = None) -> Array:
    """Uniformly distributed entries with variance 1/fan_in; source as :func:`lecun_normal`.

    Raises :class:`nnx.errors.OptionError` for a ``seed`` that is no whole number from 0 to 2⁶⁴ − 1.
    Shapes: (inputs, units) or ``(*window, inputs, units)``. Source: Keras' ``initializers.lecun_uniform``.

    >>> bool(abs(nnx.initializers.lecun_uniform((3, 4))).max() <= 1.0)
    True
    """
    return variance_scaling(shape, random, out, distribution="uniform", seed=seed)


@registry.register(checks=SEED, in_blocks=True, formula=r"N(0, 1 / n_{in})", use="selu.")
def lecun_normal(shape: Shape, random: Any = None, out: Array = None, *, seed: int | None = None) -> Array:
    """Entries of a truncated normal distribution with variance 1/fan_in.

    Raises :class:`nnx.errors.OptionError` for a ``seed`` that is no whole number from 0 to 2⁶⁴ − 1.
    Shapes: (inputs, units) or ``(*window, inputs, units)``.
    Source: Y. LeCun et al., "Efficient BackProp", in Neural Networks: Tricks of the Trade, 1998, section 4.6.

    >>> nnx.initializers.lecun_normal((6, 4)).shape
    (6, 4)
    """
    return variance_scaling(shape, random, out, seed=seed)
