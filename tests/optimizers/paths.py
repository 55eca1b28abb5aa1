"""Quadratics whose minimum is known, and the path that a method takes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nnx.optimizers import FunctionProblem


def bowl(n, condition, seed=0):
    """A positive definite matrix with that condition, a vector, and ½wᵀHw − bᵀw."""
    random = np.random.default_rng(seed)
    q = np.linalg.qr(random.standard_normal((n, n)))[0]
    h = (q * np.geomspace(1.0, condition, n)) @ q.T
    h, b = 0.5 * (h + h.T), random.standard_normal(n)
    return h, b, lambda w: 0.5 * (w @ (h @ w)) - b @ w


class After(NamedTuple):
    """The weights after a step, and copies of what the method keeps."""

    w: np.ndarray
    memory: dict[str, np.ndarray]
    values: dict[str, float]


def walk(method, f, w, steps):
    """What there is after each step, until the method stops."""
    problem, w = FunctionProblem(f), np.array(w)
    state, path = method.init(problem, w), []
    for _ in range(steps):
        w, state, info = method.step(problem, w, state)
        if not info.accepted:
            break
        path.append(After(w.copy(), {k: v.copy() for k, v in state.memory.items()}, dict(state.values)))
        if info.stop is not None:
            break
    return path
