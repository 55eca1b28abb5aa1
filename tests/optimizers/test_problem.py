"""The problem of a plain function: what is computed, and how often."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from nnx.backend import namespace, to_numpy
from nnx.errors import OptionError, ShapeError
from nnx.optimizers import (
    BFGS,
    Adam,
    FunctionProblem,
    LevenbergMarquardt,
    Newton,
    Optimizer,
    Point,
    Problem,
    ResidualProblem,
)
from nnx.optimizers.problem import offers
from nnx.parameters import Layout


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
    with pytest.raises(ShapeError, match="one number"):
        Adam().step(problem, w, Adam().init(problem, w))


def test_the_types_keep_the_protocol():
    problem: Problem = FunctionProblem(lambda w: np.sum(w))
    point: Point = problem.at(np.ones(2))
    optimizer: Optimizer = Adam()
    assert {"value", "gradient"} <= set(dir(point))
    assert {"init", "step"} <= set(dir(optimizer))


class Recorded:
    """A problem of plain functions; notes what its points ask for."""

    layout, version = None, 0

    def __init__(self):
        self.counts, self.asked = Counter(), []

    def at(self, w):
        return Point(self, w)

    def argument(self, w):
        self.asked.append("argument")
        return 2.0 * w

    def value(self, point):
        self.asked.append("value")
        return np.sum(point.x**3)

    def value_and_gradient(self, point):
        self.asked.append("value_and_gradient")
        point.aux["statistics"] = [point.x.shape[0]]
        return np.sum(point.x**3), 6.0 * point.x**2

    def hvp(self, point, v):
        self.asked.append("hvp")
        return 24.0 * point.x * v


def test_a_point_computes_each_quantity_once_by_the_functions_of_the_problem():
    problem = Recorded()
    point = problem.at(np.asarray([1.0, 2.0]))
    for _ in range(2):
        assert float(point.value) == 72.0
        np.testing.assert_array_equal(point.gradient, [24.0, 96.0])
        np.testing.assert_array_equal(point.hessian, np.diag([48.0, 96.0]))
    assert problem.asked == ["value", "argument", "value_and_gradient", "hvp", "hvp"]
    assert problem.counts == {"value": 2, "gradient": 1, "hessian": 1}  # the function ran twice
    np.testing.assert_array_equal(point.hvp(np.ones(2)), [48.0, 96.0])
    assert problem.counts["hvp"] == 1


def test_what_comes_along_with_a_result_stays_at_the_point():
    point = Recorded().at(np.ones(3))
    assert point.aux == {}
    assert point.gradient is point.gradient
    assert point.aux["statistics"] == [3]
    assert Recorded().at(np.ones(3)).aux == {}


def test_a_function_that_returns_value_and_gradient_is_called_once():
    calls = []
    problem = FunctionProblem(lambda w: (calls.append(1), (np.sum(w * w), 2.0 * w))[1], gradient=True)
    point = problem.at(np.ones(2))
    assert (float(point.value), len(calls)) == (2.0, 1)
    np.testing.assert_array_equal(point.gradient, [2.0, 2.0])
    assert (len(calls), problem.counts) == (1, {"value": 1, "gradient": 1})


@pytest.mark.parametrize("limit", [1e9, 50.0], ids=["at once", "in blocks"])
def test_a_sum_of_squares_is_computed_once_and_counted(limit):
    calls = []
    problem = ResidualProblem(lambda w: (calls.append(1), np.stack([w[0] * w[1], w[0], w[1] ** 2]))[1])
    point = problem.at(np.asarray([2.0, 3.0]))
    assert float(point.value) == 0.5 * (36.0 + 4.0 + 81.0)
    assert (len(calls), problem.counts) == (1, {"value": 1})
    blocks = list(point.blocks(limit))
    jacobian = [[3.0, 2.0], [1.0, 0.0], [0.0, 6.0]]
    np.testing.assert_array_equal(np.concatenate([rows for rows, _ in blocks]), jacobian)
    np.testing.assert_array_equal(np.concatenate([r for _, r in blocks]), point.residual)
    assert problem.counts == {"value": 1, "jacobian": 1}
    np.testing.assert_array_equal(point.gradient, np.asarray(jacobian).T @ point.residual)
    assert problem.counts == {"value": 1, "jacobian": 1, "product": 1}


def test_a_ridge_adds_its_penalty_to_value_and_gradient():
    class Ridged(ResidualProblem):
        ridge = np.asarray([2.0, 4.0])

    point, plain = (kind(lambda w: w - 1.0).at(np.asarray([3.0, 5.0])) for kind in (Ridged, ResidualProblem))
    assert float(point.value - plain.value) == 0.5 * (2.0 * 9.0 + 4.0 * 25.0)
    np.testing.assert_array_equal(point.gradient - plain.gradient, [6.0, 20.0])


def test_a_cost_that_is_computed_from_the_residuals_counts_as_one_evaluation():
    class Mean(ResidualProblem):
        def value(self, point):
            return np.mean(point.residual**2)

    problem = Mean(lambda w: w - 1.0)
    assert float(problem.at(np.asarray([3.0, 5.0])).value) == 10.0
    assert problem.counts == {"value": 1}


def test_what_a_point_offers_is_known_without_computing_it():
    problem = Recorded()
    cost, squares = problem.at(np.ones(2)), ResidualProblem(lambda w: 1 / 0).at(np.ones(2))
    for part in ("value", "gradient", "hvp", "hessian"):
        assert offers(cost, part) and not offers(squares, "hvp")
    for part in ("residual", "jacobian", "blocks", "jvp", "vjp"):
        assert offers(squares, part) and not offers(cost, part)
    assert problem.asked == []
    own = SimpleNamespace(value=1.0, gradient=np.ones(2), hvp=lambda v: v)
    assert offers(own, "hvp") and not offers(own, "hessian")


def test_a_method_says_what_a_problem_lacks():
    with pytest.raises(OptionError, match=r"Newton needs a problem whose points have hessian"):
        Newton().init(SimpleNamespace(layout=None, at=lambda w: SimpleNamespace(value=0.0)), np.ones(2))
    with pytest.raises(OptionError, match=r"LevenbergMarquardt needs residuals"):
        LevenbergMarquardt().init(Recorded(), np.ones(2))


def test_a_layout_of_other_weights_is_refused_by_every_kind_of_method():
    problem = FunctionProblem(lambda w: np.sum(w), Layout(("a",), ((3,),)))
    for method in (Adam(), BFGS()):
        with pytest.raises(ShapeError, match=r"names 3 weights, the vector has 2"):
            method.init(problem, np.ones(2))


def test_a_function_that_writes_into_a_buffer_of_its_own_goes_by_columns():
    buffer, t = np.zeros(40), np.linspace(0.0, 1.0, 40)

    def r(w):
        total = 0.0
        for k in range(4):
            buffer[:] = t**k  # the tape of reverse mode would lock it
            total = total + w[k] * buffer
        return total

    point = ResidualProblem(r).at(np.ones(4))
    np.testing.assert_allclose(point.jacobian, np.stack([t**k for k in range(4)], axis=1), rtol=1e-15)
