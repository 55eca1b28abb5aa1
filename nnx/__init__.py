"""nnx: a differentiable array API, neural networks written against it, and their training."""

from nnx import autodiff, backend, errors
from nnx.autodiff import (
    check_derivatives,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    stop_gradient,
    value_and_grad,
    vjp,
)
from nnx.backend import (
    asarray,
    available_backends,
    get_backend,
    set_backend,
    show_versions,
    to_numpy,
    use_backend,
)

__version__ = "0.1.0"
