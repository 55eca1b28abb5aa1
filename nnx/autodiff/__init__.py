"""Room 1: derivatives of any order of functions of arrays."""

from nnx.autodiff.array import Traced
from nnx.autodiff.check import check_derivatives
from nnx.autodiff.fused import FusedFunction, fused
from nnx.autodiff.space import space_of
from nnx.autodiff.transforms import (
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    stop_gradient,
    value_and_grad,
    vjp,
)
from nnx.autodiff.tree import flatten

__all__ = [
    "FusedFunction",
    "Traced",
    "check_derivatives",
    "flatten",
    "fused",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "space_of",
    "stop_gradient",
    "value_and_grad",
    "vjp",
]
