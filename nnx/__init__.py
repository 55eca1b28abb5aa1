"""nnx: a differentiable array API, neural networks written against it, and their training."""

from importlib import import_module
from typing import Any

from nnx import (
    activations,
    applications,
    autodiff,
    backend,
    callbacks,
    constraints,
    datasets,
    errors,
    initializers,
    interop,  # noqa: F401 (makes its files known to save and load)
    layers,
    losses,
    metrics,
    models,
    optimizers,
    parameters,
    regularizers,
    utils,
)
from nnx.autodiff import (
    check_derivatives,
    checkpoint,
    custom_derivative,
    grad,
    hessian,
    hvp,
    implicit,
    jacobian,
    jvp,
    per_sample_grad,
    per_sample_jacobian,
    register_ufunc,
    stop_gradient,
    value_and_grad,
    vjp,
    vmap,
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
from nnx.jitting import jit
from nnx.layers import Input, Symbol
from nnx.models import Model, Sequential, load_model
from nnx.optimizers import curve_fit, least_squares, minimize

__version__ = "0.1.0"

__all__ = [
    "Input",
    "Model",
    "Sequential",
    "Symbol",
    "activations",
    "applications",
    "asarray",
    "autodiff",
    "available_backends",
    "backend",
    "callbacks",
    "check_derivatives",
    "checkpoint",
    "constraints",
    "curve_fit",
    "custom_derivative",
    "datasets",
    "errors",
    "get_backend",
    "grad",
    "hessian",
    "hvp",
    "implicit",
    "initializers",
    "jacobian",
    "jit",
    "jvp",
    "layers",
    "least_squares",
    "load_model",
    "losses",
    "metrics",
    "minimize",
    "models",
    "optimizers",
    "parameters",
    "per_sample_grad",
    "per_sample_jacobian",
    "plotting",
    "register_ufunc",
    "regularizers",
    "set_backend",
    "show_versions",
    "stop_gradient",
    "to_numpy",
    "use_backend",
    "utils",
    "value_and_grad",
    "vjp",
    "vmap",
]


def __getattr__(name: str) -> Any:
    """``nnx.plotting``, imported at its first use: a program that draws nothing does not wait for it."""
    if name == "plotting":
        return import_module("nnx.plotting")
    raise AttributeError(f"module 'nnx' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), "plotting"})
