"""Programs on a million numbers, entry by entry: NumPy as it is, ``nnx.jit``, and JAX' ``jit``.

Values and gradients by all entries, in float64. Call by call NumPy writes every result to memory; joined
calls go through the caches block by block. A number is the median of several calls in milliseconds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import _turns
import numpy as np

N, CALLS = 1_000_000, 9
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


def numpy_calls(f: Callable[..., Any], slope: bool, x: np.ndarray) -> Callable[[], Any]:
    import nnx

    gradient = nnx.grad(lambda x: np.sum(f(np, x)))
    return (lambda: gradient(x)) if slope else lambda: f(np, x)


def nnx_jit(f: Callable[..., Any], slope: bool, x: np.ndarray) -> Callable[[], Any]:
    import nnx

    made = nnx.jit(nnx.grad(lambda x: np.sum(f(np, x))) if slope else lambda x: f(np, x))
    return lambda: made(x)


def jax_jit(f: Callable[..., Any], slope: bool, x: np.ndarray) -> Callable[[], Any]:
    import jax

    jax.config.update("jax_enable_x64", True)
    jnp = jax.numpy
    made = jax.jit(jax.grad(lambda x: jnp.sum(f(jnp, x))) if slope else lambda x: f(jnp, x))
    moved = jnp.asarray(x)
    return lambda: made(moved).block_until_ready()


TOOLS = {"NumPy, nnx.grad": numpy_calls, "nnx.jit": nnx_jit, "JAX jit": jax_jit}


def run(tool: Callable[..., Callable[[], Any]]) -> dict[str, float]:
    """Milliseconds by program, of the value and of the gradient."""
    found = {}
    for name, f in PROGRAMS.items():
        for slope in (False, True):
            step = tool(f, slope, RANDOM.uniform(0.5, 3.0, N))
            times = []
            for _ in range(CALLS + 2):
                start = time.perf_counter()
                step()
                times.append(time.perf_counter() - start)
            found[f"{name}, gradient" if slope else name] = 1e3 * statistics.median(times[2:])
    return found


def main() -> None:
    contenders = {name: partial(run, tool) for name, tool in TOOLS.items()}
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
