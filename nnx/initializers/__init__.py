"""Room 2: initial weights. Each is called ``initializer(shape, random)`` and returns a host float64 array.

``random`` is a ``numpy.random.Generator`` (a model hands out its own, from its seed); None means one with a
new seed. The option ``seed=``, as in Keras, makes an initializer return the same numbers at every call,
whatever ``random`` is. Initial weights are drawn on the host, so they are the same on every array library.

Those that draw entry by entry also take a vector ``out``: they write into it block by block, rounded to its
data type, so that the float64 numbers of a large network are never there all at once.

``Shapes:`` lines say which shapes can be asked for; ``...`` stands for any number of axes.
"""

from __future__ import annotations

from nnx import backend  # noqa: F401 (whole rooms first)
from nnx.initializers.base import Initializer, registry
from nnx.initializers.constants import constant, identity, ones, zeros
from nnx.initializers.directions import nguyen_widrow, orthogonal
from nnx.initializers.distributions import random_normal, random_uniform, truncated_normal
from nnx.initializers.scaling import (
    fans,
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
    variance_scaling,
)

__all__ = [
    "Initializer",
    "constant",
    "fans",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "nguyen_widrow",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "registry",
    "truncated_normal",
    "variance_scaling",
    "zeros",
]

get = registry.get


__getattr__ = registry.attribute


def __dir__() -> list[str]:
    return sorted({*__all__, *registry.attributes()})
