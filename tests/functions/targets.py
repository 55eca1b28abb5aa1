"""Targets and outputs for each task of losses and metrics, and what several test files ask."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

_UNIT = np.random.default_rng(4).normal(size=(6, 3))
#: examples of losses of a whole batch by their names: targets, and outputs
OF_BATCHES = {
    "circle": (np.asarray([0, 1, 0, 2, 1, 0]), _UNIT / np.linalg.norm(_UNIT, axis=1, keepdims=True)),
    "ctc": (
        np.asarray([[1, 2, 3, 0], [2, 2, 0, 0], [3, 0, 0, 0], [0, 0, 0, 0]]),
        np.random.default_rng(3).normal(size=(4, 7, 4)),
    ),
}
#: options that a function has no default for
REQUIRED = {"threshold": {"threshold": 0.7, "default_value": -0.3}}


def example(task, n=6, k=3, seed=0):
    """``(y_true, y_pred)`` as NumPy arrays: float64, class numbers as int64; nothing lies near a kink."""
    random = np.random.default_rng(seed)
    scores = random.standard_normal((n, k))
    shares = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
    labels = random.integers(0, k, n)
    hot = np.eye(k)[labels]
    if task == "regression":
        error = random.uniform(0.1, 0.9, (n, k)) * random.choice([-1.0, 1.0], (n, k))
        error[0] *= 3.0  # some errors beyond Huber's delta, none near it
        error = np.where(np.abs(np.abs(error) - 1.0) < 0.1, 0.5, error)
        y_true = random.uniform(0.5, 2.0, (n, k))
        return y_true, y_true + error
    if task == "positive":
        return random.uniform(0.1, 3.0, (n, k)), random.uniform(0.1, 3.0, (n, k))
    if task == "signs":
        y_true = random.choice([-1.0, 1.0], (n, k))
        margin = np.where(np.abs(scores * y_true - 1.0) < 0.1, 0.5, scores * y_true)
        return y_true, margin * y_true
    if task == "binary":
        return (random.random((n, k)) < 0.5).astype("float64"), 1.0 / (1.0 + np.exp(-scores))
    if task == "categorical":
        return hot, shares
    if task == "sparse":
        return labels, shares
    raise AssertionError(f"No example for the task {task!r}: add one here.")


def same_defaults(ours: Any, theirs: Any) -> None:
    """Every option that a function or class has here stands in Keras too, with the same default."""
    own = inspect.signature(ours).parameters.values()
    options = {p.name: p.default for p in own if p.default is not p.empty and p.name not in ("random", "out")}
    expected = {name: p.default for name, p in inspect.signature(theirs).parameters.items()}
    if expected.get("name", "") is None:  # the name that Keras then makes itself
        expected["name"] = options.get("name")
    assert options == {name: expected[name] for name in options}
