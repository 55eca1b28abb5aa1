"""Activations of whole vectors: softmax and its logarithm."""

from __future__ import annotations

from typing import Any

from nnx.activations.base import registry
from nnx.autodiff import fused
from nnx.backend import namespace

Array = Any


def _softmax_back(xp: Any, g: Array, needs: Any, y: Array, x: Array, axis: int = -1) -> tuple[Array]:
    gy = g * y
    return (gy - y * xp.sum(gy, axis=axis, keepdims=True),)


@registry.register(
    formula=r"\frac{e^{z_i}}{\sum_j e^{z_j}}",
    derivative=r"\frac{\partial a_i}{\partial z_j} = a_i (\delta_{ij} - a_j)",
    range="(0, 1)",
    use="The probabilities of classes that exclude each other.",
)
@fused(reverse=_softmax_back)
def softmax(x: Array, *, axis: int = -1) -> Array:
    """exp(x) divided by its sum along ``axis``: probabilities, positive and with sum 1.

    The largest number is subtracted first, so nothing overflows. An entry −∞ gets probability 0; a vector
    with +∞ or nan in it, or of −∞ alone, gives nan.

    >>> nnx.activations.softmax(np.asarray([[0.0, 0.0], [1e4, -np.inf]]))
    array([[0.5, 0.5],
           [1. , 0. ]])
    """
    xp = namespace(x)
    e = xp.exp(x - xp.max(x, axis=axis, keepdims=True))
    return e / xp.sum(e, axis=axis, keepdims=True)


def _log_softmax_back(xp: Any, g: Array, needs: Any, y: Array, x: Array, axis: int = -1) -> tuple[Array]:
    return (g - xp.exp(y) * xp.sum(g, axis=axis, keepdims=True),)


@registry.register(
    formula=r"z_i - \ln \sum_j e^{z_j}",
    derivative=r"\frac{\partial a_i}{\partial z_j} = \delta_{ij} - e^{a_j}",
    range="(-∞, 0]",
    use="The logarithms of probabilities, accurate where softmax itself is 0 or 1.",
)
@fused(reverse=_log_softmax_back)
def log_softmax(x: Array, *, axis: int = -1) -> Array:
    """The logarithm of softmax, x − ln Σ exp(x) along ``axis``: nothing overflows.

    Entries −∞ stay −∞. A vector with +∞ or nan in it, or of −∞ alone, gives nan.

    >>> nnx.activations.log_softmax(np.asarray([0.0, 1e4]))
    array([-10000.,      0.])
    """
    xp = namespace(x)
    u = x - xp.max(x, axis=axis, keepdims=True)
    return u - xp.log(xp.sum(xp.exp(u), axis=axis, keepdims=True))
