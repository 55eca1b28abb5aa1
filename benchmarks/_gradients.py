"""How each library takes the gradient of a function written once: ``f(np, x)`` with its own ``np``.

A tool is a function ``tool(f, x, *constants)`` that returns a step: called, it computes the gradient of ``f``
with respect to the NumPy array ``x``, in the library's own kind of array.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Step = Callable[[], Any]


def nnx_standard(f: Callable[..., Any], x: np.ndarray, *constants: np.ndarray) -> Step:
    import nnx

    gradient = nnx.grad(lambda x, *rest: f(x.__array_namespace__(), x, *rest))
    return lambda: gradient(x, *constants)


def nnx_numpy(f: Callable[..., Any], x: np.ndarray, *constants: np.ndarray) -> Step:
    import nnx

    gradient = nnx.grad(lambda x, *rest: f(np, x, *rest))
    return lambda: gradient(x, *constants)


def nnx_jit(f: Callable[..., Any], x: np.ndarray, *constants: np.ndarray) -> Step:
    import nnx

    gradient = nnx.jit(nnx.grad(lambda x, *rest: f(np, x, *rest)))
    return lambda: gradient(x, *constants)


def hips_autograd(f: Callable[..., Any], x: np.ndarray, *constants: np.ndarray) -> Step:
    import autograd
    import autograd.numpy

    gradient = autograd.grad(lambda x, *rest: f(autograd.numpy, x, *rest))
    return lambda: gradient(x, *constants)


def mygrad(f: Callable[..., Any], x: np.ndarray, *constants: np.ndarray) -> Step:
    import mygrad

    def step() -> np.ndarray:
        t = mygrad.tensor(x, copy=False)
        f(mygrad, t, *constants).backward()
        return t.grad

    return step


def jax_eager(f: Callable[..., Any], x: np.ndarray, *constants: np.ndarray) -> Step:
    return _jax(f, (x, *constants), lambda function: function)


def jax_jit(f: Callable[..., Any], x: np.ndarray, *constants: np.ndarray) -> Step:
    import jax

    return _jax(f, (x, *constants), jax.jit)


def _jax(f: Callable[..., Any], arrays: tuple[np.ndarray, ...], made: Callable[..., Any]) -> Step:
    import jax

    jax.config.update("jax_enable_x64", True)
    gradient = made(jax.grad(lambda *arrays: f(jax.numpy, *arrays)))
    moved = [jax.numpy.asarray(a) for a in arrays]
    return lambda: gradient(*moved).block_until_ready()


# -- products of the Hessian with a vector of ones ------------------------------------------------------


def nnx_product(f: Callable[..., Any], x: np.ndarray, *constants: np.ndarray) -> Step:
    product, ones = _product_of_nnx(f), np.ones_like(x)
    return lambda: product(x, ones, *constants)


def nnx_jit_product(f: Callable[..., Any], x: np.ndarray, *constants: np.ndarray) -> Step:
    import nnx

    product, ones = nnx.jit(_product_of_nnx(f)), np.ones_like(x)
    return lambda: product(x, ones, *constants)


def _product_of_nnx(f: Callable[..., Any]) -> Callable[..., Any]:
    import nnx

    def product(x: Any, v: Any, *rest: Any) -> Any:
        return nnx.jvp(nnx.grad(lambda x: f(np, x, *rest)), (x,), (v,))[1]

    return product


def hips_autograd_product(f: Callable[..., Any], x: np.ndarray, *constants: np.ndarray) -> Step:
    import autograd
    import autograd.numpy

    product = autograd.hessian_vector_product(lambda x, *rest: f(autograd.numpy, x, *rest))
    ones = np.ones_like(x)
    return lambda: product(x, *constants, ones)


def jax_jit_product(f: Callable[..., Any], x: np.ndarray, *constants: np.ndarray) -> Step:
    import jax

    jax.config.update("jax_enable_x64", True)

    def product(x: Any, v: Any, *rest: Any) -> Any:
        return jax.jvp(jax.grad(lambda x: f(jax.numpy, x, *rest)), (x,), (v,))[1]

    compiled = jax.jit(product)
    moved = [jax.numpy.asarray(a) for a in (x, np.ones_like(x), *constants)]
    return lambda: compiled(*moved).block_until_ready()


def pytorch(f: Callable[..., Any], x: np.ndarray, *constants: np.ndarray) -> Step:
    import torch

    t = torch.from_numpy(x).requires_grad_()
    rest = [torch.from_numpy(c) for c in constants]
    return lambda: torch.autograd.grad(f(torch, t, *rest), t)[0]


TOOLS = {
    "nnx (array API)": nnx_standard,
    "nnx (NumPy calls)": nnx_numpy,
    "HIPS/autograd": hips_autograd,
    "MyGrad": mygrad,
    "JAX eager": jax_eager,
    "JAX jit": jax_jit,
    "PyTorch eager": pytorch,
}


def checked(step: Step, expected: Any) -> Step:
    """``step``, after a look at its result: a wrong gradient is no contender."""
    np.testing.assert_allclose(np.asarray(step()), expected, rtol=1e-8, atol=1e-10)
    return step
