"""Programs on a million numbers, entry by entry: NumPy as it is, ``nnx.jit``, and JAX' ``jit``.

Values, gradients by all entries, the mean of the values, and this with its gradient, in float64. Call by call
NumPy writes every result to memory; joined calls go through the caches block by block, or are one loop. A
number is the median of several calls in milliseconds, after calls of three seconds.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import _turns
import numpy as np

N, CALLS, WARMUP = 1_000_000, 15, 3.0
RANDOM = np.random.default_rng(0)


def rational(np: Any, x: Any) -> Any:
    return np.sqrt(1.0 + x * x) * (x - 0.5 * x * x) + 3.0 * x / (1.0 + x * x)


def option(np: Any, x: Any) -> Any:
    d = (np.log(x / 100.0) + 0.065) / 0.3
    n = 1.0 / (1.0 + np.exp(-1.702 * d))
    m = 1.0 / (1.0 + np.exp(-1.702 * (d - 0.3)))
    return x * n - 98.0 * m


def mixture(np: Any, x: Any) -> Any:
    a, b = np.exp(-0.5 * (x - 1.0) ** 2), np.exp(-0.5 * ((x - 3.0) / 0.5) ** 2)
    return np.log(0.3 * a + 1.4 * b + 1e-9)


def saturation(np: Any, x: Any) -> Any:
    return np.where(x > 1.0, np.tanh(x), x * (1.0 - x * x / 3.0)) * np.exp(-0.1 * x)


PROGRAMS = {f.__name__: f for f in (rational, option, mixture, saturation)}


def value(np: Any, f: Callable[..., Any], transforms: Any) -> Callable[[Any], Any]:
    return lambda x: f(np, x)


def gradient(np: Any, f: Callable[..., Any], transforms: Any) -> Callable[[Any], Any]:
    return transforms.grad(lambda x: np.sum(f(np, x)))


def mean(np: Any, f: Callable[..., Any], transforms: Any) -> Callable[[Any], Any]:
    return lambda x: np.mean(f(np, x))


def mean_and_gradient(np: Any, f: Callable[..., Any], transforms: Any) -> Callable[[Any], Any]:
    return transforms.value_and_grad(lambda x: np.mean(f(np, x)))


ASKED = {"": value, ", gradient": gradient, ", mean": mean, ", mean and gradient": mean_and_gradient}


def numpy_calls(f: Callable[..., Any], asked: Callable[..., Any], x: np.ndarray) -> Callable[[], Any]:
    import nnx

    made = asked(np, f, nnx)
    return lambda: made(x)


def nnx_jit(f: Callable[..., Any], asked: Callable[..., Any], x: np.ndarray) -> Callable[[], Any]:
    import nnx

    made = nnx.jit(asked(np, f, nnx))
    return lambda: made(x)


def jax_jit(f: Callable[..., Any], asked: Callable[..., Any], x: np.ndarray) -> Callable[[], Any]:
    import jax

    jax.config.update("jax_enable_x64", True)
    made, moved = jax.jit(asked(jax.numpy, f, jax)), jax.numpy.asarray(x)
    return lambda: jax.block_until_ready(made(moved))


#: name → how a program is called, and whether Numba is left out
TOOLS = {
    "NumPy, nnx.grad": (numpy_calls, True),
    "nnx.jit": (nnx_jit, True),
    "nnx.jit with Numba": (nnx_jit, False),
    "JAX jit": (jax_jit, True),
}


def run(tool: Callable[..., Callable[[], Any]], without_numba: bool) -> dict[str, float]:
    """Milliseconds by program and by what is asked of it."""
    if without_numba:
        os.environ["NNX_NUMBA"] = "0"
    found = {}
    for name, f in PROGRAMS.items():
        for words, asked in ASKED.items():
            step = tool(f, asked, RANDOM.uniform(0.5, 3.0, N))
            step()
            end = time.perf_counter() + WARMUP  # chains are compiled after they have run for a while
            while time.perf_counter() < end:
                step()
            times = []
            for _ in range(CALLS):
                start = time.perf_counter()
                step()
                times.append(time.perf_counter() - start)
            found[name + words] = 1e3 * statistics.median(times)
    return found


def main() -> None:
    contenders = {name: partial(run, *tool) for name, tool in TOOLS.items()}
    turns, missing = _turns.in_turns(__file__, contenders, __doc__ or "", turns=3)
    times = {
        name: {p: statistics.median(t[p] for t in results) for p in results[0]}
        for name, results in turns.items()
        if results
    }
    print(f"| a million numbers, ms | {' | '.join(times)} |")
    print("|---|" + "---:|" * len(times))
    for program in next(iter(times.values())):
        print(f"| {program} | {' | '.join(f'{of[program]:.1f}' for of in times.values())} |")
    for name in missing:
        print(_turns.not_run(name, missing))


if __name__ == "__main__":
    main()
