"""Section: special functions, activations, losses, metrics and derivatives beside the same on NumPy.

The examples are those of the tests (tests/autodiff, tests/functions).
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from checks import ROOT, Check, Found, against_numpy
from machine import Machine

#: CUDA's exponentials and logarithms differ from the host's in the last places.
ELEMENTARY = {"float64": 1e-12, "float32": 2e-5}


def checks(machine: Machine) -> Iterator[Check]:
    """The functions that networks are made of first."""
    sys.path.append(str(ROOT / "tests"))
    from functions.test_metrics import ENTRIES as METRICS

    from nnx import activations, losses

    for dtype, tolerance in ELEMENTARY.items():
        for entry in activations.registry:
            compute = partial(activation, entry=entry, dtype=dtype)
            yield against_numpy(f"activation {entry.name}, {dtype}", compute, tolerance, tolerance)
        for entry in losses.registry:
            if entry.traits.task:  # else it is a wrapper of any function
                compute = partial(loss, entry=entry, dtype=dtype)
                yield against_numpy(f"loss {entry.name}, {dtype}", compute, tolerance, tolerance)
    for entry in METRICS:
        yield against_numpy(f"metric {entry.name}", partial(metric, entry=entry), 1e-12, 1e-12)
    for name, function in DERIVATIVES.items():
        yield against_numpy(f"derivatives: {name}", partial(derivatives, function=function), 1e-10, 1e-10)
    if importlib.util.find_spec("scipy") is not None:
        yield Check("special functions that CuPy lacks", on_the_host)
        from autodiff.special_cases import EXAMPLES

        for example in EXAMPLES:
            # both are made after Cephes, in part by different hands
            compute = partial(special, example=example)
            yield against_numpy(f"special function {example}", compute, 1e-10, 1e-12)


def activation(b: Any, entry: Any, dtype: str) -> Any:
    """Values in a wide range, and the derivative of their sum of squares."""
    from functions.targets import REQUIRED

    import nnx
    from nnx.backend import namespace

    function = entry.create(**REQUIRED.get(entry.name, {}))
    x = b.asarray(np.linspace(-6.0, 6.0, 480).reshape(20, 24), dtype=dtype)

    def squares(x: Any) -> Any:
        y = function(x)
        return namespace(y).sum(y * y)

    return function(x), nnx.grad(squares)(x)


def _given(b: Any, entry: Any, dtype: str) -> list[Any]:
    from functions.targets import OF_BATCHES, example

    task = entry.traits.task
    given = OF_BATCHES.get(entry.name) or example("categorical" if task == "labels" else task, n=50, k=5)
    return [b.asarray(a, dtype="int64" if a.dtype.kind == "i" else dtype) for a in given]


def loss(b: Any, entry: Any, dtype: str) -> Any:
    import nnx
    from nnx.backend import namespace

    y_true, y_pred = _given(b, entry, dtype)

    def total(p: Any) -> Any:
        return namespace(p).sum(entry.target(y_true, p))

    return entry.target(y_true, y_pred), nnx.grad(total)(y_pred)


def metric(b: Any, entry: Any) -> Any:
    from functions.test_metrics import made

    from nnx.backend import to_numpy

    one = made(entry)
    return np.asarray(one.value(to_numpy(one.statistics(*_given(b, entry, "float64")))), dtype="float64")


def special(b: Any, example: Any) -> Any:
    from nnx.backend import SpecialFunctions

    functions = SpecialFunctions(b.adapter.special)
    result = example.function(functions, *(b.asarray(a) for a in example.arrays()))
    return tuple(result) if isinstance(result, tuple) else result


def on_the_host(machine: Machine) -> Found:
    """Their names: what is computed by SciPy on the host, and so waits for the device."""
    from autodiff.special_cases import EXAMPLES

    names = sorted({example.name for example in EXAMPLES})
    if machine.rehearsal:
        return Found(f"{len(names)} names; which of them CuPy has is not asked in a rehearsal")
    import cupyx.scipy.special as native

    lacking = [name for name in names if not hasattr(native, name)]
    return Found(f"{len(lacking)} of {len(names)}: {', '.join(lacking)}")


def _network(xp: Any, w: Any, x: Any) -> Any:
    h = xp.tanh(x @ xp.reshape(w[:12], (3, 4)))
    return xp.sum(xp.log(1.0 + xp.exp(xp.sum(h, axis=1) * w[12])) ** 2)


def _choices(xp: Any, w: Any, x: Any) -> Any:
    y = xp.where(x[:, :1] > 0.0, xp.maximum(x, w[:3]), xp.minimum(x, w[3:6]))
    rows = xp.take(y, xp.argsort(x[:, 0]), axis=0)
    return xp.sum(xp.cumulative_sum(rows, axis=0) ** 2) + xp.max(w) * xp.prod(w[6:9])


def _matrices(xp: Any, w: Any, x: Any) -> Any:
    a = x.T @ x + xp.eye(3, dtype=x.dtype, device=x.device) * (1.0 + w[0] ** 2)
    return xp.sum(xp.linalg.solve(a, w[1:4]) ** 2) + xp.log(xp.linalg.det(a)) + xp.sum(xp.linalg.cholesky(a))


DERIVATIVES = {"a network": _network, "choices, sums and orders": _choices, "matrices": _matrices}


def derivatives(b: Any, function: Any) -> Any:
    """Value, gradient, Hessian, Hessian times vector, and forward mode."""
    import nnx
    from nnx.backend import namespace

    w, v = (b.asarray(f(np.arange(1.0, 14.0)), dtype="float64") for f in (np.sin, np.cos))
    x = b.asarray(np.sin(np.arange(15.0) * 2.0).reshape(5, 3), dtype="float64")

    def f(w: Any) -> Any:
        return function(namespace(w), w, x)

    return nnx.value_and_grad(f)(w), nnx.hessian(f)(w), nnx.hvp(f, w, v), nnx.jvp(f, (w,), (v,))
