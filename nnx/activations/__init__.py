"""Room 2: activation functions, each with its derivative.

``nnx.activations.get("leaky_relu")`` and ``nnx.activations.LeakyReLU(negative_slope=0.1)`` are what a layer
is given; ``nnx.activations.leaky_relu(x, negative_slope=0.1)`` computes at once.

Value and slope at NaN are NaN, also of functions made of straight pieces (the slope of ``linear`` is 1
everywhere); PyTorch and JAX take one of the pieces' slopes there.

In ``Shapes:`` lines ``...`` stands for any number of axes and a name for a length, as in
``(..., n), (..., n) → (...)``: two arrays are given, one comes back, without the last axis.
"""

from __future__ import annotations

from typing import Any

from nnx import autodiff  # noqa: F401 (whole rooms first)
from nnx.activations.base import registry
from nnx.activations.bounded import hard_sigmoid, hard_tanh, sigmoid, softsign, sparse_sigmoid, tanh
from nnx.activations.exponentials import celu, elu, exponential, log_sigmoid, selu, softplus
from nnx.activations.gates import erf, gelu, glu, hard_silu, mish, silu
from nnx.activations.rectifiers import leaky_relu, linear, relu, relu6, sparse_plus, squareplus
from nnx.activations.shrinkage import hard_shrink, soft_shrink, tanh_shrink, threshold
from nnx.activations.vectors import log_softmax, softmax, sparsemax

__all__ = [
    "celu",
    "elu",
    "erf",
    "exponential",
    "gelu",
    "get",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "registry",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "tanh",
    "tanh_shrink",
    "threshold",
]


def get(spec: Any) -> Any:
    """The activation that a name, a class name, a function or a configuration stands for; None is linear.

    Raises :class:`nnx.errors.UnknownName` with the nearest names.

    >>> nnx.activations.get("swish")(np.asarray([0.0]))
    array([0.])
    """
    return registry.get("linear" if spec is None else spec)


__getattr__ = registry.attribute


def __dir__() -> list[str]:
    return sorted({*__all__, *registry.attributes()})
