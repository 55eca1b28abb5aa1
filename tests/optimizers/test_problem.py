"""The problem of a plain function: what is computed, and how often."""

from __future__ import annotations

import numpy as np
import pytest

from nnx.backend import namespace, to_numpy
from nnx.errors import DerivativeError
from nnx.optimizers import Adam, FunctionProblem, Optimizer, Point, Problem


def test_value_and_gradient_are_arrays_of_the_backend(backend):
    problem = FunctionProblem(lambda w: namespace(w).sum(w * w * w))
    point = problem.at(backend.asarray([1.0, 2.0], dtype="float32"))
    assert point.value.shape == ()
    assert point.gradient.dtype == backend.adapter.dtype("float32")
    np.testing.assert_array_equal(to_numpy(point.gradient), [3.0, 12.0])
    assert float(to_numpy(point.value)) == 9.0


def test_each_is_computed_once_and_only_when_asked_for():
    calls = []
    problem = FunctionProblem(lambda w: (calls.append(1), np.sum(w * w))[1])
    first = problem.at(np.ones(2))
    assert (calls, problem.counts) == ([], {})
    assert first.value is first.value
    assert (len(calls), problem.counts) == (1, {"value": 1})
    second = problem.at(np.ones(2))
    assert second.gradient is second.gradient
    assert float(second.value) == 2.0  # came with the gradient
    assert (len(calls), problem.counts) == (2, {"value": 2, "gradient": 1})


def test_a_function_with_more_than_one_number_is_refused():
    problem, w = FunctionProblem(lambda w: w * w), np.ones(2)
    with pytest.raises(DerivativeError, match="one number"):
        Adam().step(problem, w, Adam().init(problem, w))


def test_the_types_keep_the_protocol():
    problem: Problem = FunctionProblem(lambda w: np.sum(w))
    point: Point = problem.at(np.ones(2))
    optimizer: Optimizer = Adam()
    assert {"value", "gradient"} <= set(dir(point))
    assert {"init", "step"} <= set(dir(optimizer))
