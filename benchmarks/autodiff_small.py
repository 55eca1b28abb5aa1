"""Gradients of functions of a 4×4 array in ten operations each: what a library's own machinery costs.

"per op" is the time beyond that of the gradient written by hand in NumPy, divided by the ten operations. The
second derivative is the product of the Hessian with a vector (MyGrad has none).
"""

from __future__ import annotations

import statistics

import _gradients
import _turns
import numpy as np

OPERATIONS, CALLS = 10, 300
X, V = np.random.default_rng(0).standard_normal((2, 4, 4))
FIRST = "NumPy by hand"


def elementwise(np, x):
    y = np.exp(np.sin(np.tanh(x) * 2.0) + 1.0)
    z = np.sqrt(y / 3.0) - 0.5
    return np.sum(z * z)


def elementwise_by_hand(x):
    t = np.tanh(x)
    u = t * 2.0
    y = np.exp(np.sin(u) + 1.0)
    r = np.sqrt(y / 3.0)
    z = r - 0.5
    return 2.0 * z * (0.5 / r) / 3.0 * y * np.cos(u) * 2.0 * (1.0 - t * t)


def products(np, x):
    y = np.tanh(np.tanh(np.tanh(np.tanh(x @ x) @ x) @ x) @ x)
    return np.sum(y * y)


def products_by_hand(x):
    ys = [x]
    for _ in range(4):
        ys.append(np.tanh(ys[-1] @ x))
    g = 2.0 * ys[-1]
    total = 0.0
    for before, y in zip(reversed(ys[:-1]), reversed(ys[1:]), strict=True):
        d = g * (1.0 - y * y)
        total = total + before.T @ d
        g = d @ x.T
    return total + g


def log_sum_exp(np, x):
    z = np.log(np.sum(np.exp(x * 2.0 - 3.0), axis=1)) + 3.0
    return np.sqrt(np.sum(z * z) / 4.0)


def log_sum_exp_by_hand(x):
    e = np.exp(x * 2.0 - 3.0)
    s = np.sum(e, axis=1)
    z = np.log(s) + 3.0
    return (z / (s * (2.0 * np.sqrt(np.sum(z * z) / 4.0))))[:, None] * e


def indexing(np, x):
    y = (x[0] * x[1] + x[2] * x[:, 3])[1:3]
    return np.sum(y * y)


def indexing_by_hand(x):
    d = np.zeros(4)
    d[1:3] = 2.0 * (x[0] * x[1] + x[2] * x[:, 3])[1:3]
    g = np.zeros((4, 4))
    g[0] = d * x[1]
    g[1] = d * x[0]
    g[2] = d * x[:, 3]
    g[:, 3] += d * x[2]
    return g


FUNCTIONS = {
    "elementwise chain": (elementwise, elementwise_by_hand),
    "matrix products": (products, products_by_hand),
    "log-sum-exp": (log_sum_exp, log_sum_exp_by_hand),
    "indexing": (indexing, indexing_by_hand),
}


def second_by_hand(x, v):
    """The derivative of ``elementwise_by_hand`` along v."""
    t = np.tanh(x)
    u = t * 2.0
    s, c = np.sin(u), np.cos(u)
    r = np.sqrt(np.exp(s + 1.0) / 3.0)
    slope = 2.0 * (1.0 - t * t)
    du = slope * v
    dr = 0.5 * r * c * du
    return ((2.0 * r - 0.5) * dr * c - (r - 0.5) * r * s * du) * slope - (r - 0.5) * r * c * 2.0 * t * du


def second_nnx(np_of):
    import nnx

    return lambda: nnx.hvp(lambda x: elementwise(np_of(x), x), X, V)


def second_autograd():
    import autograd
    import autograd.numpy

    product = autograd.hessian_vector_product(lambda x: elementwise(autograd.numpy, x))
    return lambda: product(X, V)


def second_jax(jit):
    import jax

    jax.config.update("jax_enable_x64", True)
    gradient = jax.grad(lambda x: elementwise(jax.numpy, x))
    product = jit(jax)(lambda x, v: jax.jvp(gradient, (x,), (v,))[1])
    x, v = jax.numpy.asarray(X), jax.numpy.asarray(V)
    return lambda: product(x, v).block_until_ready()


def second_pytorch():
    import torch

    x, v = torch.from_numpy(X).requires_grad_(), torch.from_numpy(V)

    def step():
        (g,) = torch.autograd.grad(elementwise(torch, x), x, create_graph=True)
        return torch.autograd.grad(g, x, v)[0]

    return step


SECOND = {
    FIRST: lambda: lambda: second_by_hand(X, V),
    "nnx (array API)": lambda: second_nnx(lambda x: x.__array_namespace__()),
    "nnx (NumPy calls)": lambda: second_nnx(lambda x: np),
    "HIPS/autograd": second_autograd,
    "JAX eager": lambda: second_jax(lambda jax: lambda f: f),
    "JAX jit": lambda: second_jax(lambda jax: jax.jit),
    "PyTorch eager": second_pytorch,
}


def contender(name):
    """``{function: seconds}`` of one contender."""

    def run():
        steps = {}
        for title, (f, by_hand) in FUNCTIONS.items():
            step = (lambda g: lambda: g(X))(by_hand) if name == FIRST else _gradients.TOOLS[name](f, X)
            steps[title] = _gradients.checked(step, by_hand(X))
        if name in SECOND:
            steps["second derivative"] = _gradients.checked(SECOND[name](), second_by_hand(X, V))
        return {title: _turns.median_time(step, CALLS) for title, step in steps.items()}

    return run


def main():
    title = "Gradients of ten operations on a 4×4 array of float64"
    contenders = {name: contender(name) for name in (FIRST, *_gradients.TOOLS)}
    results, missing = _turns.in_turns(__file__, contenders, title)
    for function in (*FUNCTIONS, "second derivative"):
        times = {name: [t[function] for t in turns if function in t] for name, turns in results.items()}

        def per_operation(name, times=times):
            beyond = statistics.median(times[name]) - statistics.median(times.get(FIRST) or [0.0])
            return f"{beyond / OPERATIONS * 1e6:>10.2f} µs per op" if name != FIRST else ""

        _turns.table(f"\n{title}: {function}", times, missing, "µs", per_operation)


if __name__ == "__main__":
    main()
