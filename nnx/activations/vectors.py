"""Activations of whole vectors: softmax, its logarithm, and the projection that is its sparse relative."""

from __future__ import annotations

import math
from typing import Any

from nnx.activations.base import AXIS, need_axis, registry
from nnx.autodiff import fused
from nnx.backend import device_of, namespace, summed

Array = Any


def _softmax_back(xp: Any, g: Array, needs: Any, y: Array, x: Array, axis: int = -1) -> tuple[Array]:
    gy = g * y
    return (gy - y * xp.summed(gy, axis, True),)


@registry.register(
    checks={"axis": AXIS},
    formula=r"\frac{e^{z_i}}{\sum_j e^{z_j}}",
    derivative=r"\frac{\partial a_i}{\partial z_j} = a_i (\delta_{ij} - a_j)",
    range="(0, 1)",
    use="The probabilities of classes that exclude each other.",
)
@fused(reverse=_softmax_back, samples=True)
def softmax(x: Array, *, axis: int = -1) -> Array:
    """exp(x) divided by its sum along ``axis``: probabilities, positive and with sum 1.

    The largest entry is subtracted first, so nothing overflows. An entry −∞ gets probability 0; a vector with
    +∞ or nan in it, or of −∞ alone, gives nan.

    Raises :class:`nnx.errors.AxisError` for an ``axis`` that ``x`` does not have.
    Shapes: (..., n) → (..., n). Source: Keras' ``activations.softmax``.

    >>> nnx.activations.softmax(np.asarray([[0.0, 0.0], [1e4, -np.inf]]))
    array([[0.5, 0.5],
           [1. , 0. ]])
    """
    need_axis("Inputs of softmax", x, axis)
    xp = namespace(x)
    e = xp.exp(x - xp.max(x, axis=axis, keepdims=True))
    return e / summed(e, axis, True)


def _log_softmax_back(xp: Any, g: Array, needs: Any, y: Array, x: Array, axis: int = -1) -> tuple[Array]:
    return (g - xp.exp(y) * xp.summed(g, axis, True),)


@registry.register(
    checks={"axis": AXIS},
    formula=r"z_i - \ln \sum_j e^{z_j}",
    derivative=r"\frac{\partial a_i}{\partial z_j} = \delta_{ij} - e^{a_j}",
    range="(-∞, 0]",
    use="The logarithms of probabilities, accurate where softmax itself is 0 or 1.",
)
@fused(reverse=_log_softmax_back, samples=True)
def log_softmax(x: Array, *, axis: int = -1) -> Array:
    """The logarithm of softmax, x − ln Σ exp(x) along ``axis``: nothing overflows.

    Entries −∞ stay −∞. The error is below one rounding of the largest magnitude and of 1: the logarithm of a
    probability nearer to 1 than that is 0. A vector with +∞ or nan in it, or of −∞ alone, gives nan.

    Raises :class:`nnx.errors.AxisError` for an ``axis`` that ``x`` does not have.
    Shapes: (..., n) → (..., n). Source: Keras' ``activations.log_softmax``.

    >>> nnx.activations.log_softmax(np.asarray([0.0, 1e4]))
    array([-10000.,      0.])
    """
    need_axis("Inputs of log_softmax", x, axis)
    xp = namespace(x)
    u = x - xp.max(x, axis=axis, keepdims=True)
    return u - xp.log(summed(xp.exp(u), axis, True))


def _sparsemax_back(xp: Any, g: Array, needs: Any, y: Array, x: Array, axis: int = -1) -> tuple[Array]:
    inside = xp.astype(y > 0.0, g.dtype)
    count = xp.sum(inside, axis=axis, keepdims=True)  # 0 of a vector with NaN in it
    mean = xp.sum(g * inside, axis=axis, keepdims=True) / xp.where(count > 0.0, count, math.nan)
    return (inside * (g - mean),)


@registry.register(
    checks={"axis": AXIS},
    formula=r"\max(z_i - \tau, 0), \; \tau \text{ such that } \sum_i a_i = 1",
    derivative=r"\delta_{ij} - 1/k \text{ among the } k \text{ positive } a, \text{ else } 0",
    range="[0, 1]",
    use="Probabilities, many of them exactly 0.",
    source="A. Martins, R. Astudillo, From softmax to sparsemax, ICML 2016",
)
@fused(reverse=_sparsemax_back, samples=True)
def sparsemax(x: Array, *, axis: int = -1) -> Array:
    """The point nearest to ``x`` among those with entries ≥ 0 and sum 1 along ``axis``: sparse probabilities.

    Where an entry becomes 0 the derivative jumps: it is that of the side where the entry is 0. (Keras 3.15
    adds up cumulative sums on the way, so its result has sum 1 only where one entry is positive.)

    Raises :class:`nnx.errors.AxisError` for an ``axis`` that ``x`` does not have.
    Shapes: (..., n) → (..., n).
    Source: A. Martins, R. Astudillo, "From softmax to sparsemax", ICML 2016, algorithm 1.

    >>> nnx.activations.sparsemax(np.asarray([[0.0, 0.0], [2.0, 0.5], [0.5, 0.0]]))
    array([[0.5 , 0.5 ],
           [1.  , 0.  ],
           [0.75, 0.25]])
    """
    need_axis("Inputs of sparsemax", x, axis)
    xp = namespace(x)
    shape = [1] * x.ndim
    shape[axis] = -1
    count = xp.reshape(xp.arange(1, x.shape[axis] + 1, dtype=x.dtype, device=device_of(x)), tuple(shape))
    x = x - xp.max(x, axis=axis, keepdims=True)
    falling = xp.flip(xp.sort(x, axis=axis), axis=axis)
    total = xp.cumulative_sum(falling, axis=axis)
    # τ for k entries, and k is the largest for which all of them stay positive: the largest τ.
    tau = xp.max((total - 1.0) / count, axis=axis, keepdims=True)
    return xp.maximum(x - tau, 0.0)
