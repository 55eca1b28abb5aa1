"""Room 1: derivatives of any order of functions of arrays."""

from nnx.autodiff.absorbing import zeros_absorb
from nnx.autodiff.array import Traced
from nnx.autodiff.check import check_derivatives
from nnx.autodiff.custom import custom_derivative, register_ufunc
from nnx.autodiff.fused import FusedFunction, fused
from nnx.autodiff.implicit import implicit
from nnx.autodiff.mapping import vmap
from nnx.autodiff.per_sample_transforms import per_sample_grad, per_sample_jacobian
from nnx.autodiff.recomputation import checkpoint
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
    "checkpoint",
    "custom_derivative",
    "flatten",
    "fused",
    "grad",
    "hessian",
    "hvp",
    "implicit",
    "jacobian",
    "jvp",
    "per_sample_grad",
    "per_sample_jacobian",
    "register_ufunc",
    "space_of",
    "stop_gradient",
    "value_and_grad",
    "vjp",
    "vmap",
    "zeros_absorb",
]
