"""Section: recorded programs (``nnx.jit``) on the GPU, and the same captured in a CUDA graph.

First whether they give what the functions give, bit for bit, on the arrays of the recording and on others;
then what a call takes: of the function, of its program, of the graph. CuPy refuses to capture what waits and
what cuBLAS computes: such a program has no graph.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from checks import Check, Differs, Found, Skip
from machine import Machine

Array = Any
TURNS, CALLS = 7, 50


def chain(xp: Any, w: Array, x: Array) -> Array:
    """A cost of entries alone."""
    z = x * w
    return xp.sum(xp.tanh(z) * xp.exp(-z * z) + xp.where(z > 0.5, z, 0.1 * z))


def camera(xp: Any, w: Array, x: Array) -> Array:
    """The mean square of a layer of one unit."""
    return xp.mean((xp.tanh(x @ w) - 0.5) ** 2)


def crossentropy(xp: Any, w: Array, x: Array) -> Array:
    """That of rows of logits whose first entry is the right one."""
    z = x * w
    z = z - xp.max(z, axis=1, keepdims=True)
    return xp.mean(xp.log(xp.sum(xp.exp(z), axis=1)) - z[:, 0])


COSTS = (chain, camera, crossentropy)


def checks(machine: Machine) -> Iterator[Check]:
    """Equality of all, then the times."""
    for cost in COSTS:
        for dtype in ("float32", "float64"):
            for name, make in (("", plain), ("grad of ", gradient)):
                run = partial(equal, make=make, cost=cost, dtype=dtype)
                yield Check(f"{name}{cost.__name__}, {dtype}: the program is the function", run)
    for cost in COSTS:
        yield Check(f"grad of {cost.__name__}: captured", partial(graph, cost=cost), twice=False)
    for cost in COSTS:
        yield Check(f"grad of {cost.__name__}: times", partial(times, cost=cost), twice=False)


def plain(cost: Any) -> Callable[..., Array]:
    """The cost in the namespace of its arguments."""
    from nnx.backend import namespace

    def f(w: Array, x: Array) -> Array:
        return cost(namespace(w), w, x)

    return f


def gradient(cost: Any) -> Callable[..., Array]:
    """Its derivative by the weights."""
    from nnx import grad

    return grad(plain(cost))


def arguments(machine: Machine, dtype: str = "float32", scale: float = 1.0) -> tuple[Array, Array]:
    """Weights and 256 samples of 64 numbers."""
    random = np.random.default_rng(0)
    w, x = random.standard_normal(64), random.standard_normal((256, 64))
    return tuple(machine.backend.asarray(scale * v, dtype=dtype) for v in (w, x))  # type: ignore[return-value]


def equal(machine: Machine, make: Any, cost: Any, dtype: str) -> str:
    """Compares ``jit(f)`` with ``f``: recorded on one pair of arrays, replayed on another."""
    import nnx

    f = make(cost)
    jitted = nnx.jit(f)
    for scale in (1.0, 0.75, 1.0):
        same(jitted(*arguments(machine, dtype, scale)), f(*arguments(machine, dtype, scale)))
    return "bit for bit"


def same(found: Array, wanted: Array) -> None:
    """Raises Differs unless two arrays have one type and the same entries."""
    import nnx

    a, b = np.asarray(nnx.to_numpy(found)), np.asarray(nnx.to_numpy(wanted))
    if a.dtype != b.dtype or not np.array_equal(a, b, equal_nan=True):
        raise Differs(f"{a.dtype} {a.ravel()[:4]} instead of {b.dtype} {b.ravel()[:4]}")


def replay(machine: Machine, cost: Any) -> Callable[..., Any]:
    """The program of the cost's gradient as a function: it returns a tuple."""
    import nnx
    from nnx.jitting.replay import compiled

    program = nnx.jit(gradient(cost)).program(*arguments(machine))
    return compiled(program, ready=machine.backend.adapter.ready)


def launch(machine: Machine, cost: Any) -> Callable[..., Any]:
    """The program as one launch; raises Skip with what CuPy says where it captures nothing."""
    if machine.rehearsal:
        raise Skip("only on CuPy")
    from nnx.backend.cupy_graphs import capture

    try:
        return capture(replay(machine, cost), arguments(machine))
    except (RuntimeError, NotImplementedError) as error:
        raise Skip(f"CuPy does not capture it: {type(error).__name__}: {error}") from error


def graph(machine: Machine, cost: Any) -> str:
    """Compares launches of the graph, on other arguments in turn, with the program."""
    program, launched = replay(machine, cost), launch(machine, cost)
    kept = []
    for scale in (1.0, 0.75, 0.5, 1.0):
        given = arguments(machine, scale=scale)
        kept.append((launched(*given)[0], program(*given)[0]))
    for found, wanted in kept:  # after the last launch: each has results of its own
        same(found, wanted)
    return "bit for bit, and results are kept"


def times(machine: Machine, cost: Any) -> Found:
    """Microseconds of a call, of each kind in turn."""
    import nnx

    given = arguments(machine)
    calls = {"function": gradient(cost), "jit": nnx.jit(gradient(cost)), "program": replay(machine, cost)}
    says = ""
    try:
        calls["graph"] = launch(machine, cost)
    except Skip as reason:
        says = f"; no graph: {reason}"
    start = machine.stopwatch()
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for call in calls.values():
        call(*given)
    for _ in range(machine.sized(TURNS, 1)):
        for name, call in calls.items():
            machine.synchronize()
            stop = start()
            for _ in range(machine.sized(CALLS, 2)):
                call(*given)
            found[name].append(stop())
    rows: list[tuple[Any, ...]] = [("call of", "µs", "host µs", "× function")]
    n, base = machine.sized(CALLS, 2), statistics.median(t[0] for t in found["function"])
    for name, own in found.items():
        device, host = (statistics.median(t[k] for t in own) for k in (0, 1))
        rows.append((name, f"{1e6 * device / n:.1f}", f"{1e6 * host / n:.1f}", f"{device / base:.2f}"))
    return Found(f"the program takes {rows[3][3]} of the function's time{says}", rows)
