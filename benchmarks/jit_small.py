"""Derivatives of twelve small programs: as they are, recorded by ``nnx.jit``, and by other libraries.

First gradients, then products of the Hessian with a vector, forward over reverse (in HIPS/autograd, which has
no other, reverse over reverse).

Ten to sixty operations on arrays of one to a thousand numbers: there the time is that of the library. A
number is the median of many calls in microseconds; the last line is the median over the programs of the ratio
to nnx without jit. Recording and compiling are not counted.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from typing import Any

import _gradients
import _turns
import numpy as np

CALLS, SECONDS = 200, 0.3
RANDOM = np.random.default_rng(0)


def rosenbrock(np, x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def logistic(np, w, x, y):
    z = x @ w
    return np.mean(np.log(1.0 + np.exp(-y * z))) + 0.01 * np.sum(w * w)


def log_likelihood(np, m, x, c):
    d = x - m
    return 0.5 * np.sum((d @ c) * d) + 0.5 * np.log(np.sum(c * c))


def kalman(np, q, x, p, f, h, z):
    mean, cov = f @ x, f @ p @ f.T + q * np.eye(4)
    innovation = z - h @ mean
    s = h @ cov @ h.T + np.eye(2)
    gain = np.linalg.solve(s, h @ cov).T
    new = mean + gain @ innovation
    return np.sum(new * new) + np.sum((cov - gain @ h @ cov) ** 2)


def runge_kutta(np, y, k):
    def slope(y):
        return np.sin(y) * k - 0.1 * y

    h = 0.1
    a = slope(y)
    b = slope(y + 0.5 * h * a)
    c = slope(y + 0.5 * h * b)
    d = slope(y + h * c)
    return np.sum((y + h / 6.0 * (a + 2.0 * b + 2.0 * c + d)) ** 2)


def perceptron(np, w, x, v):
    return np.sum((np.tanh(np.tanh(x @ w) @ w) @ v) ** 2)


def softmax(np, w, x, y):
    z = x @ w
    z = z - np.max(z, axis=1, keepdims=True)
    return -np.mean(np.sum(y * (z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))), axis=1))


def springs(np, x, k):
    d = x[1:] - x[:-1]
    length = np.sqrt(np.sum(d * d, axis=1))
    return 0.5 * np.sum(k * (length - 1.0) ** 2) + 9.81 * np.sum(x[:, 1])


def polynomial(np, c, x, y):
    value = c[0] + x * (c[1] + x * (c[2] + x * (c[3] + x * c[4])))
    return np.sum((value - y) ** 2)


def growth(np, r, y):
    state = 0.1
    total = 0.0
    for k in range(8):
        state = state + r * state * (1.0 - state)
        total = total + (state - y[k]) ** 2
    return np.sum(total)


def kernel(np, a, x, y):
    distance = np.sum((x[:, None, :] - x[None, :, :]) ** 2, axis=2)
    k = np.exp(-distance * a[0] ** 2) * a[1] ** 2
    return np.sum(y * (k @ y)) + np.sum(a * a)


def price(np, p, strike):
    d = (np.log(p[0] / strike) + 0.5 * p[1] ** 2) / p[1]
    n = 1.0 / (1.0 + np.exp(-1.7 * d))
    m = 1.0 / (1.0 + np.exp(-1.7 * (d - p[1])))
    return np.sum((p[0] * n - strike * m) ** 2)


def made(*shapes: Any) -> tuple[np.ndarray, ...]:
    return tuple(RANDOM.uniform(0.5, 1.5, shape) for shape in shapes)


PROGRAMS = {
    "Rosenbrock, 10": (rosenbrock, made(10)),
    "logistic regression, 50×5": (logistic, made(5, (50, 5), 50)),
    "Gaussian log-likelihood, 50×4": (log_likelihood, made(4, (50, 4), (4, 4))),
    "Kalman step, 4 states": (kalman, made((), 4, (4, 4), (4, 4), (2, 4), 2)),
    "Runge–Kutta step, 20": (runge_kutta, made(20, 20)),
    "perceptron, 20×6": (perceptron, made((6, 6), (20, 6), 6)),
    "softmax regression, 40×6→4": (softmax, made((6, 4), (40, 6), (40, 4))),
    "springs, 20 masses": (springs, made((20, 2), 19)),
    "polynomial, 100 points": (polynomial, made(5, 100, 100)),
    "growth, 8 steps": (growth, made((), 8)),
    "kernel, 20 points": (kernel, made(2, (20, 3), 20)),
    "option prices, 200": (price, made(2, 200)),
}
KINDS = ("gradient", "Hessian times vector")
TOOLS = {
    "nnx": (_gradients.nnx_numpy, _gradients.nnx_product),
    "nnx.jit": (_gradients.nnx_jit, _gradients.nnx_jit_product),
    "HIPS/autograd": (_gradients.hips_autograd, _gradients.hips_autograd_product),
    "JAX jit": (_gradients.jax_jit, _gradients.jax_jit_product),
}


def run(tools: Sequence[Callable[..., Callable[[], Any]]]) -> dict[str, dict[str, float]]:
    """Microseconds by kind of derivative and program."""
    found: dict[str, dict[str, float]] = {kind: {} for kind in KINDS}
    for (kind, tool), (name, (f, arrays)) in product(zip(KINDS, tools, strict=True), PROGRAMS.items()):
        step = tool(f, *arrays)
        for _ in range(5):
            step()
        times, end = [], time.perf_counter() + SECONDS
        while len(times) < CALLS or time.perf_counter() < end:
            start = time.perf_counter()
            step()
            times.append(time.perf_counter() - start)
        found[kind][name] = 1e6 * statistics.median(times)
    return found


def main() -> None:
    contenders = {name: partial(run, tool) for name, tool in TOOLS.items()}
    turns, missing = _turns.in_turns(__file__, contenders, __doc__ or "", turns=3)
    done = {name: results for name, results in turns.items() if results}
    for kind in KINDS:
        times = {
            n: {p: statistics.median(t[kind][p] for t in results) for p in PROGRAMS}
            for n, results in done.items()
        }
        print(f"| {kind} of, µs | {' | '.join(times)} |")
        print("|---|" + "---:|" * len(times))
        for program in PROGRAMS:
            print(f"| {program} | {' | '.join(f'{of[program]:.1f}' for of in times.values())} |")
        first = times[next(iter(times))]
        ratios = [statistics.median(of[p] / first[p] for p in PROGRAMS) for of in times.values()]
        print(f"| median ratio to nnx | {' | '.join(f'{ratio:.3f}' for ratio in ratios)} |\n")
    for name in missing:
        print(_turns.not_run(name, missing))


if __name__ == "__main__":
    main()
