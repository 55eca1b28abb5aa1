"""nnx: a differentiable array API, neural networks written against it, and their training.

Nothing is imported before it is asked for: ``nnx.grad`` imports the derivatives, ``nnx.Sequential`` the
networks.
"""

from typing import TYPE_CHECKING

from nnx import later

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

if TYPE_CHECKING:  # the same names for those who read the source: type checkers and editors
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
        layers,
        losses,
        metrics,
        models,
        optimizers,
        parameters,
        plotting,
        regularizers,
        utils,
    )
    from nnx import interop as interop
    from nnx import jitting as jitting
    from nnx import options as options
    from nnx import registry as registry
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
else:
    __getattr__, __dir__ = later.names(
        __name__,
        taken={
            "nnx.autodiff": "check_derivatives checkpoint custom_derivative grad hessian hvp implicit "
            "jacobian jvp per_sample_grad per_sample_jacobian register_ufunc stop_gradient value_and_grad "
            "vjp vmap",
            "nnx.backend": "asarray available_backends get_backend set_backend show_versions to_numpy "
            "use_backend",
            "nnx.jitting": "jit",
            "nnx.layers": "Input Symbol",
            "nnx.models": "Model Sequential load_model",
            "nnx.optimizers": "curve_fit least_squares minimize",
        },
    )

# What a file names may stand in a room that was not imported yet.
later.announce(
    "things with names",
    *"nnx.activations nnx.constraints nnx.initializers nnx.layers nnx.losses nnx.metrics".split(),
    *"nnx.optimizers nnx.regularizers".split(),
)
later.announce("nnx.layers", "nnx.applications")  # which has a layer of its own
later.announce("kinds of files", "nnx.interop")
